/* What a tab shows of a space: the confirmed documents with the outbox on top, kept up by deltas.
 *
 * STATES of a document that carries unconfirmed pushes: `queued` (in the outbox), `sent` (acked: in the log, its outcome
 * is still to come). Without any it is confirmed, and `pending` is null.
 *
 * INVARIANTS
 * 1. A snapshot never changes; a document that did not change is the same object in the next one.
 * 2. Only documents that a delta touches, and those that share a push with them, are worked out anew.
 */
import { parse } from './json.js';
import { optimistic, type StoredDoc } from './resolve.js';
import type { Delta, DocRecord, OutboxRecord, SpaceRecord } from './types.js';

/** A document as it is shown. `T` is what the app knows of its bodies. */
export class Doc<T = Record<string, unknown>> {
  #value: T | undefined;

  /** @internal */
  constructor(
    readonly space: string, readonly collection: string, readonly id: string,
    /** The body's text, byte for byte. */
    readonly raw: string,
    /** The rev of the confirmed document, 0: there is none yet. */
    readonly rev: number,
    /** The rev that it was added at (`append` collections). */
    readonly born: number | undefined,
    /** ms of the log's clock; of one not confirmed yet, as the device estimates. */
    readonly time: number,
    /** Its last writer. */
    readonly user: string,
    /** `queued`: in the outbox. `sent`: safe in the log, outcome to come. null: confirmed. */
    readonly pending: 'queued' | 'sent' | null,
    /** The id of the first push that is on top of it, 0: none is. */
    readonly push: number,
  ) {}

  /** The body's value; integers past 2^53 are BigInts. */
  get data(): T { return (this.#value ??= parse(this.raw) as T); }
  /** Has it changes that the server has not confirmed? */
  get hasPendingWrites(): boolean { return this.pending !== null; }
}

/** The live documents of a collection, in order, at one moment. */
export interface Snapshot<T = Record<string, unknown>> {
  readonly docs: readonly Doc<T>[];
  readonly metadata: {
    /** Not known to be up to date: offline, or still catching up. */
    readonly fromCache: boolean;
    readonly hasPendingWrites: boolean;
  };
}

/* In `append` collections by birth, the unconfirmed last; in others by id. */
function order(a: Doc, b: Doc): number {
  const x = a.born ?? 0, y = b.born ?? 0;
  return x !== y ? x - y : a.push !== b.push && x === Infinity ? a.push - b.push : a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function place(docs: readonly Doc[], doc: Doc): number {
  let low = 0, high = docs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (order(docs[middle]!, doc) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* One collection: every document shown, by id and in order. */
class Shelf {
  readonly byId = new Map<string, Doc>();
  #docs: Doc[] = [];
  #isShared = false;
  #pending = 0;
  #snapshot: Snapshot | null = null;

  fill(docs: Doc[]): void {
    for (const doc of docs) this.byId.set(doc.id, doc);
    this.#docs = docs.sort(order);
    this.#pending = docs.filter((doc) => doc.pending !== null).length;
  }
  put(id: string, doc: Doc | null): void {
    const held = this.byId.get(id);
    if (!held && !doc) return;
    if (this.#isShared) this.#docs = this.#docs.slice();
    this.#isShared = false;
    this.#snapshot = null;
    if (held) {
      this.#docs.splice(place(this.#docs, held), 1);
      this.byId.delete(id);
      if (held.pending !== null) this.#pending--;
    }
    if (!doc) return;
    this.#docs.splice(place(this.#docs, doc), 0, doc);
    this.byId.set(id, doc);
    if (doc.pending !== null) this.#pending++;
  }
  first(): Doc | undefined { return this.#docs[0]?.born === Infinity ? undefined : this.#docs[0]; }
  take(fromCache: boolean): Snapshot {
    if (this.#snapshot?.metadata.fromCache !== fromCache) {
      this.#isShared = true;
      this.#snapshot = { docs: this.#docs, metadata: { fromCache, hasPendingWrites: this.#pending > 0 } };
    }
    return this.#snapshot;
  }
}

const nameOf = (collection: string, id: string) => `${collection}/${id}`;

export class SpaceView {
  /** Said by the leading tab: the copy is up to date, and kept so. */
  isLive = false;
  /** Documents changed since the packs were made. */
  fresh = 0;
  readonly #confirmed = new Map<string, DocRecord>();
  #outbox: OutboxRecord[] = [];
  readonly #shelves = new Map<string, Shelf>();
  /* document -> the pushes that touch it */
  readonly #touching = new Map<string, Set<OutboxRecord>>();

  constructor(readonly space: string, public state: SpaceRecord, docs: DocRecord[], outbox: OutboxRecord[], private readonly me: () => string) {
    for (const doc of docs) this.#confirmed.set(nameOf(doc.collection, doc.id), doc);
    for (const push of outbox) this.#hold(push);
    const shown = new Map<string, Doc[]>();
    const overlaid = this.#overlay(new Set(this.#touching.keys()));
    for (const doc of this.#confirmed.values()) if (!overlaid.has(nameOf(doc.collection, doc.id))) this.#add(shown, this.#show(doc));
    for (const doc of overlaid.values()) this.#add(shown, doc);
    for (const [collection, list] of shown) this.#shelf(collection).fill(list);
  }

  #add(shown: Map<string, Doc[]>, doc: Doc | null): void {
    if (!doc) return;
    const list = shown.get(doc.collection);
    if (list) list.push(doc);
    else shown.set(doc.collection, [doc]);
  }
  #hold(push: OutboxRecord): void {
    const isLast = push.id > (this.#outbox.at(-1)?.id ?? 0), at = isLast ? -1 : this.#outbox.findIndex((one) => one.id >= push.id), held = at >= 0 && this.#outbox[at]!.id === push.id ? this.#outbox[at] : undefined;
    if (held) this.#release(held);
    this.#outbox.splice(at < 0 ? this.#outbox.length : at, 0, push);
    for (const { collection, id } of push.ops) {
      const name = nameOf(collection, id);
      this.#touching.set(name, (this.#touching.get(name) ?? new Set()).add(push));
    }
  }
  #release(push: OutboxRecord): void {
    this.#outbox.splice(this.#outbox.indexOf(push), 1);
    for (const { collection, id } of push.ops) this.#touching.get(nameOf(collection, id))?.delete(push);
  }
  #shelf(collection: string): Shelf {
    let shelf = this.#shelves.get(collection);
    if (!shelf) this.#shelves.set(collection, (shelf = new Shelf()));
    return shelf;
  }
  #show(doc: DocRecord): Doc | null {
    return doc.body === undefined ? null : new Doc(this.space, doc.collection, doc.id, doc.body, doc.rev, doc.born, doc.time, doc.user, null, 0);
  }

  /* What the outbox makes of these documents, and of those that share a push with them. */
  #overlay(names: Set<string>): Map<string, Doc | null> {
    const pushes = new Set<OutboxRecord>();
    for (const name of names) {
      for (const push of this.#touching.get(name) ?? []) {
        pushes.add(push);
        for (const op of push.ops) names.add(nameOf(op.collection, op.id)); /* a set's new members are visited too */
      }
    }
    const now = new Map<string, StoredDoc>(), shown = new Map<string, Doc | null>();
    for (const name of names) {
      const doc = this.#confirmed.get(name);
      if (doc) now.set(name, doc);
    }
    for (const push of [...pushes].sort((a, b) => a.id - b.id)) {
      const before = [...new Set(push.ops.map((op) => nameOf(op.collection, op.id)))].flatMap((name) => now.get(name) ?? []);
      const time = push.at ?? push.wall;
      for (const doc of optimistic(push.ops, this.me(), Number.MAX_SAFE_INTEGER - 1, before, time)) {
        const name = nameOf(doc.collection, doc.id), held = this.#confirmed.get(name), isBirth = push.ops.some((op) => op.op === 'append' && nameOf(op.collection, op.id) === name);
        const born = held?.born ?? (isBirth ? Infinity : now.get(name)?.born), body = doc.live ? doc.body : undefined;
        now.set(name, { collection: doc.collection, id: doc.id, rev: held?.rev ?? 0, time, user: this.me(), ...(body === undefined ? { deleted: true } : { body }), ...(born !== undefined && { born }) });
        const pending = push.acked ? 'sent' : 'queued';
        shown.set(name, body === undefined ? null : new Doc(this.space, doc.collection, doc.id, body, held?.rev ?? 0, born, time, this.me(), pending, shown.get(name)?.push || push.id));
      }
    }
    return shown;
  }

  #refresh(names: Set<string>): Set<string> {
    const overlaid = this.#overlay(names), changed = new Set<string>();
    for (const name of names) {
      const slash = name.indexOf('/'), collection = name.slice(0, slash), id = name.slice(slash + 1), confirmed = this.#confirmed.get(name);
      this.#shelf(collection).put(id, overlaid.has(name) ? overlaid.get(name)! : confirmed ? this.#show(confirmed) : null);
      changed.add(collection);
    }
    return changed;
  }

  /** Takes in the next delta; the collections that changed. */
  apply(delta: Delta): Set<string> {
    const names = new Set<string>();
    this.fresh += delta.docs.length;
    for (const doc of delta.docs) {
      this.#confirmed.set(nameOf(doc.collection, doc.id), doc);
      names.add(nameOf(doc.collection, doc.id));
    }
    for (const [collection, id] of delta.dropped) {
      this.#confirmed.delete(nameOf(collection, id));
      names.add(nameOf(collection, id));
    }
    const touch = (push: OutboxRecord) => push.ops.forEach((op) => names.add(nameOf(op.collection, op.id)));
    for (const push of delta.queued) {
      const held = this.#outbox.find((one) => one.id === push.id);
      this.#hold(held?.acked ? { ...push, acked: true } : push);
      touch(push);
    }
    for (const { id } of delta.outcomes) {
      const push = this.#outbox.find((one) => one.id === id);
      if (!push) continue;
      this.#release(push);
      touch(push);
    }
    this.state = delta.state;
    return this.#refresh(names);
  }

  /** The pushes up to `id` are in the log; the collections that show it. */
  acked(id: number): Set<string> {
    const names = new Set<string>();
    for (const push of this.#outbox) {
      if (push.id > id) break;
      if (push.acked) continue;
      push.acked = true;
      for (const op of push.ops) names.add(nameOf(op.collection, op.id));
    }
    return this.#refresh(names);
  }

  snapshot(collection: string): Snapshot { return this.#shelf(collection).take(!this.isLive); }
  get(collection: string, id: string): Doc | undefined { return this.#shelf(collection).byId.get(id); }
  /** The confirmed rev that an edit is made on, 0 without one; null if the copy doesn't know the document. */
  revOf(collection: string, id: string): number { return this.#confirmed.get(nameOf(collection, id))?.rev ?? 0; }
  get size(): number { return this.#confirmed.size; }
  /** The confirmed documents, tombstones too. */
  documents(): Iterable<DocRecord> { return this.#confirmed.values(); }
  /** The rev that the oldest confirmed document of a collection was added at. */
  oldest(collection: string): number | undefined { return this.#shelf(collection).first()?.born; }
}

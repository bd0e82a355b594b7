/* What a tab holds of the store: the device, its spaces, its outbox, what was refused, and the documents of the spaces that
 * are looked at. Every change of the store by this tab goes through `commit`; other tabs' come as deltas to `apply`.
 *
 * INVARIANTS
 * 1. Memory is what the store held after the last delta taken in. A delta that is missing (`seq`) makes the space be
 *    read again. Only `acked` lives in memory alone.
 * 2. A store that was deleted under a living page is written anew from memory: nothing that was promised is lost.
 * 3. Packs hold the documents as of `packed`; whoever reads takes in what was written since.
 */
import type { Times } from './clock.js';
import { Change, newDevice, newSpace } from './copy.js';
import type { Store, Transaction } from './store.js';
import { LIMITS, TidegateError, type Delta, type DeviceRecord, type DocRecord, type Outcome, type OutboxRecord, type PackRecord, type RefusedRecord, type SpaceRecord } from './types.js';
import { SpaceView } from './view.js';

/** A push that was refused, for its user to settle: `client.retry` or `client.dismiss` with its key. */
export type Refused = RefusedRecord & { key: number };

/** What the keeper asks and tells. */
export interface KeeperHost {
  isLeading(): boolean;
  isWanted(space: string): boolean;
  isLive(space: string): boolean;
  /** This tab changed the store. */
  committed(deltas: Delta[]): void;
  /** `*`: all of its collections. */
  touched(space: string, collection: string): void;
  settled(outcome: Outcome): void;
  refused(fresh: Refused[]): void;
  changed(space: string): void;
  failed(error: unknown): void;
}

const PACK_MS = 1500;

export class Keeper {
  device: DeviceRecord = newDevice();
  refused: Refused[] = [];
  readonly views = new Map<string, SpaceView>();
  readonly states = new Map<string, SpaceRecord>();
  readonly #outboxes = new Map<string, OutboxRecord[]>();
  readonly #reading = new Map<string, Promise<void>>();
  isLoaded = false;
  #isKept = false;
  #packing: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly store: Store, private readonly times: Times, private readonly host: KeeperHost) {}

  outbox(space: string): OutboxRecord[] { return this.#outboxes.get(space) ?? []; }
  pending(): OutboxRecord[] { return [...this.#outboxes.values()].flat(); }
  waiting(): number { return [...this.#outboxes.values()].reduce((sum, pushes) => sum + pushes.length, 0); }
  /** Reads a space's documents into memory, where they are not there yet. */
  async view(space: string): Promise<SpaceView> {
    if (!this.views.has(space)) await (this.#reading.get(space) ?? this.#read(space));
    return this.views.get(space)!;
  }
  close(): Promise<void> {
    clearTimeout(this.#packing);
    return this.store.close();
  }

  async load(): Promise<void> {
    await this.store.transact('read', (tx) => this.#readAll(tx));
    if (!this.#isKept) await this.commit('strict', async () => {}); /* makes the device */
    this.isLoaded = true;
  }
  async #readAll(tx: Transaction): Promise<void> {
    const [device, states, outbox, refused] = await Promise.all([tx.get<DeviceRecord>('device', 'device'), tx.all<SpaceRecord>('spaces'),
      tx.all<OutboxRecord>('outbox'), tx.all<Refused>('refused')]);
    this.#isKept = device !== undefined;
    this.device = device ?? this.device;
    for (const state of states) this.states.set(state.space, state);
    this.#outboxes.clear();
    for (const push of outbox) this.#outboxes.set(push.space, [...(this.#outboxes.get(push.space) ?? []), push]);
    this.refused = refused;
  }
  /* Reads a space as it is in the store now, in place of what memory holds. */
  #read(space: string): Promise<void> {
    const reading = this.store.transact('read', async (tx) => {
      const state = (await tx.get<SpaceRecord>('spaces', space)) ?? newSpace(space);
      const [packs, fresh, outbox, refused] = await Promise.all([state.packed ? tx.all<PackRecord>('packs', space) : [],
        state.packed ? tx.since<DocRecord>(space, state.packed) : tx.all<DocRecord>('docs', space), tx.all<OutboxRecord>('outbox', space), tx.all<Refused>('refused')]);
      return { state, packs, fresh, outbox, refused };
    }).then(({ state, packs, fresh, outbox, refused }) => {
      this.#reading.delete(space);
      if (state.seq < (this.states.get(space)?.seq ?? 0)) return this.#read(space); /* a delta was quicker */
      const acked = new Set(this.outbox(space).filter((push) => push.acked).map((push) => push.id));
      for (const push of outbox) if (acked.has(push.id)) push.acked = true;
      const gone = this.outbox(space).filter((push) => !outbox.some((one) => one.id === push.id));
      this.states.set(space, state);
      this.#outboxes.set(space, outbox);
      this.refused = refused;
      if (this.host.isWanted(space) || this.views.has(space)) {
        const docs = packs.flatMap((pack) => JSON.parse(pack.docs) as DocRecord[]), view = new SpaceView(space, state, [...docs, ...fresh], outbox, () => this.device.user ?? '');
        view.isLive = this.host.isLive(space);
        view.fresh = fresh.length;
        this.#packSoon(view);
        this.views.set(space, view);
        this.host.touched(space, '*');
      }
      /* What became of these was told to another tab; its refusals are in `refused`. */
      for (const { id } of gone) {
        const row = refused.find((one) => one.space === space && one.id === id);
        this.host.settled(row ? { space, id, status: row.status, code: row.code, message: row.message } : { space, id, status: 'applied' });
      }
      this.host.refused([]);
      this.host.changed(space);
      return undefined;
    });
    this.#reading.set(space, reading);
    reading.catch(() => this.#reading.delete(space));
    return reading;
  }

  /* Makes the packs anew once much has changed, when nothing changes just now. Tombstones past the window go. */
  #packSoon(view: SpaceView): void {
    if (!this.host.isLeading() || view.fresh < LIMITS.fresh || view.fresh < view.size / 4) return;
    clearTimeout(this.#packing);
    this.#packing = setTimeout(() => void this.store.transact('relaxed', async (tx) => {
      const { space } = view, state = await tx.get<SpaceRecord>('spaces', space);
      if (state?.seq !== view.state.seq || state.resetting) return;
      await tx.deleteAll('packs', space);
      const now = this.times.server(this.device) ?? 0, isGone = (doc: DocRecord) => doc.deleted && state.window > 0 && doc.time < now - state.window * 1000;
      const all = [...view.documents()], docs = all.filter((doc) => !isGone(doc));
      for (const doc of all) if (isGone(doc)) void tx.delete('docs', [space, doc.collection, doc.id]);
      for (let n = 0; n < docs.length; n += LIMITS.pack) void tx.put('packs', { space, n, docs: JSON.stringify(docs.slice(n, n + LIMITS.pack)) });
      await tx.put('spaces', { ...state, packed: state.seq });
      view.fresh = 0;
    }).catch(() => { /* they only save time */ }), PACK_MS);
  }

  async commit<T>(mode: 'relaxed' | 'strict', work: (change: Change) => Promise<T>): Promise<T> {
    let deltas: Delta[] = [], device = this.device;
    const result = await this.store.transact(mode, async (tx) => {
      if (this.isLoaded && !(await tx.get('device', 'device'))) await this.#rewrite(tx);
      const change = await Change.begin(tx, this.times.wall()), made = await work(change);
      deltas = await change.end();
      ({ device } = change);
      return made;
    }).catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'QuotaExceededError') throw new TidegateError('storage_full', 'no more room');
      throw error;
    });
    this.device = device;
    if (deltas.length > 0) this.host.committed(deltas);
    for (const delta of deltas) this.apply(delta);
    return result;
  }
  /* The store was deleted under us. Spaces whose documents are not in memory begin anew. */
  async #rewrite(tx: Transaction): Promise<void> {
    await tx.put('device', this.device);
    for (const state of this.states.values()) {
      const view = this.views.get(state.space);
      await tx.put('spaces', view ? { ...state, packed: 0 } : { ...newSpace(state.space), seq: state.seq, last: state.last, window: state.window });
      for (const doc of view?.documents() ?? []) void tx.put('docs', doc);
    }
    for (const { acked: _, ...push } of [...this.#outboxes.values()].flat()) void tx.put('outbox', push);
    for (const row of this.refused) await tx.put('refused', row);
  }

  apply(delta: Delta): void {
    const { space, state } = delta, known = this.states.get(space)?.seq ?? 0;
    if (state.seq <= known) return;
    if (state.seq > known + 1) return void (this.#reading.get(space) ?? this.#read(space)).catch((error: unknown) => this.host.failed(error));
    this.states.set(space, state);
    const outbox = this.outbox(space), gone = new Set(delta.outcomes.map(({ id }) => id));
    for (const push of delta.queued) {
      const at = push.id > (outbox.at(-1)?.id ?? 0) ? outbox.length : outbox.findIndex((one) => one.id === push.id);
      outbox[at] = { ...push, ...(outbox[at]?.acked && { acked: true }) };
    }
    this.#outboxes.set(space, gone.size > 0 ? outbox.filter(({ id }) => !gone.has(id)) : outbox);
    const view = this.views.get(space);
    for (const collection of view?.apply(delta) ?? []) this.host.touched(space, collection);
    if (view) this.#packSoon(view);
    if (delta.refused.length > 0) {
      this.refused = [...this.refused, ...delta.refused as Refused[]].slice(-LIMITS.refused);
      this.host.refused(delta.refused as Refused[]);
    }
    for (const outcome of delta.outcomes) this.host.settled(outcome);
    this.host.changed(space);
  }
  /* A tab may have died between its write and its news; what it wrote is in the store. */
  async rescan(): Promise<void> {
    const states = await this.store.transact('read', (tx) => tx.all<SpaceRecord>('spaces')).catch(() => []);
    for (const { space, seq } of states) if (seq > (this.states.get(space)?.seq ?? 0) && !this.#reading.has(space)) await this.#read(space).catch((error: unknown) => this.host.failed(error));
  }
}

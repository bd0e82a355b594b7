/* What an app holds: spaces, collections, documents. Thin handles on the client's memory; none has a state of its own. */
import type { Client, Write } from './client.js';
import type { Person } from './types.js';
import type { Doc, Snapshot } from './view.js';
import type { OperationInput } from './wire.js';
import type { RawJson } from './json.js';

type Unsubscribe = () => void;
/** What of a collection is wanted, and in which order; the collection's own by default. */
export interface QueryOptions<T> { where?: (doc: Doc<T>) => boolean; orderBy?: (a: Doc<T>, b: Doc<T>) => number; limit?: number }
type Body = Record<string, unknown>;

/** What is shared, ordered and authorised together: a room, somebody's cart. From `client.space`. */
export class Space {
  /** Marks of how far each has got in this space's messages (collection `receipts`). */
  readonly receipts: Receipts;

  /** @internal */
  constructor(readonly client: Client, readonly name: string) { this.receipts = new Receipts(this); }

  /** One kind of document in it. `T` is the shape of their bodies. */
  collection<T extends object = Body>(name: string): Collection<T> { return new Collection<T>(this, name); }
  /** One document: `space.doc('items/tea')`. */
  doc<T extends object = Body>(path: string): DocRef<T> {
    const slash = path.indexOf('/');
    return new DocRef<T>(this, path.slice(0, slash), path.slice(slash + 1));
  }
  /** One atomic push of several operations. Resolves when it is safe in the outbox. */
  write(operations: OperationInput[]): Promise<Write> { return this.client.write(this.name, operations); }
  /** Gathers operations into one push: `space.batch().put('items', 'tea', {..}).increment('items', 'milk', 'qty').commit()`. */
  batch(): Batch { return new Batch(this); }
  /** Resolves when everything that was in the space before it has arrived here. */
  async barrier(): Promise<void> { await (await this.write([])).settled(); }
  /** Has it been taken in whole at least once? */
  get hasSynced(): boolean { return this.client.stateOf(this.name)?.synced ?? false; }
  /** How far its copy is, and the sum of each collection: two devices with the same cursor hold the same sums. */
  get position(): { cursor: string | null; sums: Readonly<Record<string, string>> } {
    const { cursor = null, sums = {} } = this.client.stateOf(this.name) ?? {};
    return { cursor, sums };
  }
  /** Tells others who have it open now, without keeping it: typing, a pointer's place. */
  signal(body: unknown): void { this.client.signal(this.name, body); }
  /** Called with what others tell so. */
  onSignal(listener: (signal: { user: string; device: string; body: unknown }) => void): Unsubscribe {
    return this.client.on('signal', (signal) => { if (signal.space === this.name) listener(signal); });
  }
  /** Who is here, as far as the space was opened with `presence`. */
  here(): { here: readonly Person[]; count: number } { return this.client.hereIn(this.name); }
  /** Called with who is here now, and whenever that changes. */
  onPresence(listener: (presence: { here: readonly Person[]; count: number }) => void): Unsubscribe {
    listener(this.here());
    return this.client.on('presence', (space) => { if (space === this.name) listener(this.here()); });
  }
  /** Shows `meta` to others with one's presence from now on. */
  track(meta: object): void { this.client.space(this.name, { presence: true, meta }); }
  /** No longer kept in step; its copy stays in the store. */
  close(): void { this.client.want(this.name, null); }
}

/** A query: a collection's documents as they are and as they change. A collection is the query for all of them. */
export class Query<T extends object = Body> implements AsyncIterable<Snapshot<T>> {
  #base: Snapshot | null = null;
  #made: Snapshot<T> | null = null;

  /** @internal */
  constructor(readonly space: Space, readonly name: string, private readonly options: QueryOptions<T> | null) {}

  /** Only some of the documents, or in another order. */
  query(options: QueryOptions<T>): Query<T> { return new Query<T>(this.space, this.name, options); }
  /** The documents as this device has them. Reads the store the first time. */
  async get(): Promise<Snapshot<T>> {
    await this.space.client.view(this.space.name);
    return this.current()!;
  }
  /** As `get`, at once; null until the store has been read. */
  current(): Snapshot<T> | null {
    const base = this.space.client.views.get(this.space.name)?.snapshot(this.name);
    if (!base) return null;
    if (base !== this.#base) this.#made = this.#derive(base as unknown as Snapshot<T>);
    this.#base = base;
    return this.#made;
  }
  #derive(base: Snapshot<T>): Snapshot<T> {
    if (!this.options) return base;
    const { where, orderBy, limit } = this.options;
    let docs = where ? base.docs.filter(where) : [...base.docs];
    if (orderBy) docs.sort(orderBy);
    if (limit !== undefined) docs = docs.slice(0, limit);
    return { docs, metadata: base.metadata };
  }
  /** Called with the documents now, and whenever they change; with `includeMetadataChanges` also when only the metadata does. */
  onSnapshot(listener: (snapshot: Snapshot<T>) => void, options: { includeMetadataChanges?: boolean } = {}): Unsubscribe {
    const { client } = this.space;
    let last: Snapshot<T> | null = null, isOver = false;
    const tell = () => {
      const now = this.current();
      if (isOver || !now || now === last) return;
      const isSame = last !== null && last.docs === now.docs && !options.includeMetadataChanges;
      last = now;
      if (!isSame) listener(now);
    };
    const stop = client.listenTo(`${this.space.name}\n${this.name}`, tell);
    void client.view(this.space.name).then(tell, () => { /* the status tells it */ });
    return () => {
      isOver = true;
      stop();
    };
  }
  /** The same as `onSnapshot`. */
  subscribe(listener: (snapshot: Snapshot<T>) => void): Unsubscribe { return this.onSnapshot(listener); }
  /** `for await (const { docs } of messages)`: the newest snapshot each time round; those between are left out. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Snapshot<T>, void, undefined> {
    let next: Snapshot<T> | null = null, wake: (() => void) | null = null;
    const stop = this.onSnapshot((snapshot) => {
      next = snapshot;
      wake?.();
    });
    try {
      for (;;) {
        if (!next) await new Promise<void>((resolve) => { wake = resolve; });
        const snapshot: Snapshot<T> = next!;
        next = null;
        yield snapshot;
      }
    } finally {
      stop();
    }
  }
}

/** One kind of document in a space. */
export class Collection<T extends object = Body> extends Query<T> {
  /** @internal */
  constructor(space: Space, name: string) { super(space, name, null); }

  /** One of its documents. */
  doc(id: string): DocRef<T> { return new DocRef<T>(this.space, this.name, id); }
  /** Adds a document to an `append` collection, under a new id unless one is given. */
  async append(body: T, id: string = newId()): Promise<Write & { docId: string }> {
    return { ...(await this.space.write([{ op: 'append', collection: this.name, id, body }])), docId: id };
  }
  /** Puts a new document under a new id. */
  async add(body: T): Promise<Write & { docId: string }> {
    const id = newId();
    return { ...(await this.space.write([{ op: 'put', collection: this.name, id, body, if: 'absent' }])), docId: id };
  }
  /** Fetches older documents of an `append` collection into the copy, first what a tail left out between; false: there are no more. */
  async loadOlder(limit = 50): Promise<boolean> {
    const view = await this.space.client.view(this.space.name);
    for (let tries = 0; tries < 3; tries++) {
      const oldest = view.state.partial[this.name] || view.oldest(this.name), { more, isKept } = await this.space.client.history(this.space.name, this.name, oldest, limit);
      if (isKept) return more;
    }
    return true;
  }
}

/** One document. Every write resolves when it is safe in the outbox, and shows at once. */
export class DocRef<T extends object = Body> {
  /** @internal */
  constructor(readonly space: Space, readonly collection: string, readonly id: string) {}

  /** The document as this device has it. */
  async get(): Promise<Doc<T> | undefined> {
    await this.space.client.view(this.space.name);
    return this.current();
  }
  /** As `get`, at once. */
  current(): Doc<T> | undefined { return this.space.client.views.get(this.space.name)?.get(this.collection, this.id) as unknown as Doc<T> | undefined; }
  /** Called with the document now, and whenever it changes. */
  onSnapshot(listener: (doc: Doc<T> | undefined) => void): Unsubscribe {
    let last: Doc<T> | undefined | null = null;
    return new Collection<T>(this.space, this.collection).onSnapshot(() => {
      const now = this.current();
      if (now !== last) listener(now);
      last = now;
    }, { includeMetadataChanges: true });
  }
  #push(op: OperationInput['op'], more: Omit<OperationInput, 'op' | 'collection' | 'id'> = {}): Promise<Write> {
    return this.space.write([{ op, collection: this.collection, id: this.id, ...more }]);
  }
  /** Replaces the document. */
  set(body: T): Promise<Write> { return this.#push('put', { body }); }
  /** Changes some fields; null removes one. */
  update(fields: { [K in keyof T]?: T[K] | null }): Promise<Write> { return this.#push('patch', { body: fields }); }
  /** Deletes it. */
  delete(): Promise<Write> { return this.#push('delete'); }
  /** Adds to a counter; `min` and `max` clamp it. */
  increment(field: string & keyof T, by: number | bigint = 1, bounds: { min?: number | bigint; max?: number | bigint } = {}): Promise<Write> { return this.#push('incr', { field, by, ...bounds }); }
  /** Adds values to a set. */
  addToSet(field: string & keyof T, ...values: unknown[]): Promise<Write> { return this.#push('add', { field, values }); }
  /** Removes values from a set. */
  removeFromSet(field: string & keyof T, ...values: unknown[]): Promise<Write> { return this.#push('remove', { field, values }); }
  /** Keeps the greater of the field and the value. */
  max(field: string & keyof T, value: number | bigint | RawJson): Promise<Write> { return this.#push('max', { field, value }); }
}

/** Operations that go as one push. */
export class Batch {
  readonly #operations: OperationInput[] = [];

  /** @internal */
  constructor(private readonly space: Space) {}

  /** Any operation. */
  do(operation: OperationInput): this {
    this.#operations.push(operation);
    return this;
  }
  put(collection: string, id: string, body: object): this { return this.do({ op: 'put', collection, id, body }); }
  patch(collection: string, id: string, body: object): this { return this.do({ op: 'patch', collection, id, body }); }
  delete(collection: string, id: string): this { return this.do({ op: 'delete', collection, id }); }
  append(collection: string, body: object, id: string = newId()): this { return this.do({ op: 'append', collection, id, body }); }
  increment(collection: string, id: string, field: string, by: number | bigint = 1): this { return this.do({ op: 'incr', collection, id, field, by }); }
  /** Resolves when all of it is safe in the outbox. */
  commit(): Promise<Write> { return this.space.write(this.#operations); }
}

/** How far each user has got: `delivered` and `read` are revs of messages, and only grow. */
export class Receipts {
  readonly #asked = { delivered: 0, read: 0 };

  /** @internal */
  constructor(private readonly space: Space) {}

  /** This device's user has what was born up to there. */
  markDelivered(born: number): Promise<void> { return this.#mark('delivered', born); }
  /** This device's user has read what was born up to there. */
  markRead(born: number): Promise<void> { return this.#mark('read', born); }
  /** How far the user has got. */
  of(user: string): { delivered: number; read: number } {
    const doc = this.space.doc<{ delivered?: number; read?: number }>(`receipts/${user}`).current();
    return { delivered: doc?.data.delivered ?? 0, read: doc?.data.read ?? 0 };
  }
  /** Called whenever anybody's mark moves. */
  onChange(listener: () => void): Unsubscribe { return this.space.collection('receipts').onSnapshot(listener); }

  async #mark(field: 'delivered' | 'read', born: number): Promise<void> {
    const { user } = this.space.client;
    if (user === null || !Number.isSafeInteger(born) || born <= Math.max(this.#asked[field], this.of(user)[field])) return;
    this.#asked[field] = born;
    await this.space.doc<{ delivered: number; read: number }>(`receipts/${user}`).max(field, born);
  }
}

/** A new document's id: 20 letters and digits, rising with time. */
export function newId(): string {
  const random = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => (byte % 36).toString(36)).join('');
  return Date.now().toString(36).padStart(8, '0') + random;
}

/* A device: its store, what it knows in memory, its tabs, and in the leading one the session. Hub of the others.
 *
 * INVARIANTS
 * 1. What is in memory is what the store held after the last delta taken in; a delta that is missing (`seq`) makes the
 *    space be read again. Only `acked`, presence and status live in memory alone.
 * 2. A write resolves when it is safe in the outbox. What follows is told by its outcome.
 * 3. A store that was deleted under a living page is written anew from memory: nothing that was promised is lost.
 */
import { Change, newDevice, newSpace } from './copy.js';
import { systemClock, Times, type Clock } from './clock.js';
import { Space } from './space.js';
import { Session, type ConnectionState, type OpenOptions, type SessionHost } from './session.js';
import { indexedStore, type Store, type Transaction } from './store.js';
import { Tabs, type Message } from './tabs.js';
import { LIMITS, TidegateError, type Delta, type DeviceRecord, type DocRecord, type Frame, type Outcome, type OutboxRecord, type PackRecord, type Person, type RefusedRecord,
  type SpaceRecord } from './types.js';
import { SpaceView } from './view.js';
import { pushBytes, writeOperation, type OperationInput } from './wire.js';

/** What `createClient` takes. */
export interface ClientOptions {
  /** Where the gateway is: `https://example.org`, or the WebSocket's own address. The page's origin by default. */
  url?: string | URL;
  /** A token for the user; called for each connection. `isExpired`: the last one was refused, a kept one won't do. */
  getToken: (context: { isExpired: boolean }) => string | Promise<string>;
  /** Names the store, so that one origin may hold several devices: `tidegate` by default. */
  name?: string;
  /** In place of IndexedDB: `memoryStore()` of `@tidegate/client/memory`. Such a store is this page's alone. */
  store?: Store;
  /** Settles conflicts in the leading tab: operations to push on the server's documents instead, or null to leave it to the user. */
  resolver?: (refused: Refused) => OperationInput[] | null | Promise<OperationInput[] | null>;
  /** Asks for a Background Sync when something is written offline; see the service worker entry. */
  backgroundSync?: boolean;
  /** Connects by itself: true by default. */
  autoConnect?: boolean;
  clock?: Clock;
  /** In place of the browser's own. */
  WebSocket?: new (url: string, protocol: string) => WebSocket;
  /** Every frame, for whoever wants to watch the wire. Only the leading tab has any. */
  onFrame?: (event: { isOut: boolean; text: string; frame?: Frame }) => void;
}

/** A push that was refused, for its user to settle: `client.retry` or `client.dismiss` with its key. */
export type Refused = RefusedRecord & { key: number };

/** How the device stands. */
export interface Status {
  readonly connected: boolean;
  readonly connecting: boolean;
  /** `disconnect()` was called, and `connect()` not yet. */
  readonly paused: boolean;
  /** This tab holds the connection for all. */
  readonly leading: boolean;
  /** Pushes in the outbox. */
  readonly uploading: number;
  /** Spaces that are wanted and still catching up. */
  readonly downloading: number;
  /** Everything wanted has been taken in at least once, by this device. */
  readonly hasSynced: boolean;
  readonly lastSyncedAt: Date | null;
  readonly error: TidegateError | null;
}

/** A write that is safe in the outbox. */
export interface Write {
  readonly space: string;
  readonly id: number;
  /** Resolves with what became of it, however long that takes. */
  settled(): Promise<Outcome>;
}

const PACK_MS = 1500;

type Events = { status: Status; refused: readonly Refused[]; outcome: Outcome; presence: string; signal: { space: string; user: string; device: string; body: unknown } };
type Unsubscribe = () => void;

/** A device of its user. Made by `createClient`. */
export class Client {
  /** Resolves when the store has been read. */
  readonly ready: Promise<void>;
  /** @internal */
  readonly views = new Map<string, SpaceView>();
  readonly #store: Store;
  readonly #times: Times;
  readonly #tabs: Tabs;
  readonly #session: Session;
  readonly #listeners = new Map<string, Set<(value: never) => void>>();
  readonly #dirty = new Set<string>();
  readonly #spaces = new Map<string, Space>();
  readonly #states = new Map<string, SpaceRecord>();
  readonly #outboxes = new Map<string, OutboxRecord[]>();
  readonly #reading = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, (outcome: Outcome) => void>();
  readonly #wants = new Map<string, Map<string, OpenOptions>>(); /* by life */
  readonly #liveSpaces = new Set<string>();
  readonly #people = new Map<string, { here: Person[]; count: number }>();
  readonly #calls = new Map<number, (answer: Extract<Message, { kind: 'answer' }>) => void>();
  #device: DeviceRecord = newDevice();
  #refusedRows: Refused[] = [];
  #state: ConnectionState = 'stopped';
  #error: TidegateError | null = null;
  #lastSyncedAt: Date | null = null;
  #isLoaded = false;
  #isKept = false;
  #isLeading = false;
  #isPaused: boolean;
  #isClosed = false;
  #packing: ReturnType<typeof setTimeout> | undefined;
  #call = 0;
  #shown: Status | null = null;
  #rescan: ReturnType<typeof setInterval> | undefined;

  /** @internal */
  constructor(private readonly options: ClientOptions) {
    const name = options.name ?? 'tidegate', isShared = options.store === undefined;
    this.#store = options.store ?? indexedStore(`tidegate:${name}`);
    this.#times = new Times(options.clock ?? systemClock);
    this.#isPaused = options.autoConnect === false;
    this.#tabs = new Tabs(name, isShared, (message) => this.#hear(message), () => this.#lead());
    this.#session = new Session(this.#host());
    this.#store.onLost = () => { if (this.#isLoaded && !this.#isClosed) void this.#commit('strict', async () => {}).catch((error: unknown) => this.#fail(error)); };
    this.ready = this.#load();
    this.ready.then(() => { if (!this.#isClosed) this.#tabs.elect(); }, (error: unknown) => this.#fail(error));
    this.#listen();
  }

  /* ---- what an app calls ---- */

  /** A space, opened and kept in step from now on; the same object for the same name. */
  space(name: string, options: OpenOptions = {}): Space {
    let space = this.#spaces.get(name);
    if (!space) this.#spaces.set(name, (space = new Space(this, name)));
    const held = this.#wants.get(this.#times.life)?.get(name);
    if (!held || JSON.stringify(held) !== JSON.stringify({ ...held, ...options })) this.want(name, { ...held, ...options });
    return space;
  }
  /** Connects, in whichever tab leads; the opposite of `disconnect`. */
  connect(): void { this.#pause(false); }
  /** Stays offline until `connect`: writing goes on, into the outbox. */
  disconnect(): void { this.#pause(true); }
  /** How the device stands now. */
  get status(): Status { return (this.#shown ??= this.#makeStatus()); }
  /** Called with the status now, and whenever it changes. */
  onStatus(listener: (status: Status) => void): Unsubscribe {
    listener(this.status);
    return this.on('status', listener);
  }
  /** Called with the outcome of every push of this device. */
  onOutcome(listener: (outcome: Outcome) => void): Unsubscribe { return this.on('outcome', listener); }
  /** The refused pushes that wait to be settled, oldest first. */
  refused(): readonly Refused[] { return this.#refusedRows; }
  /** Called with them now, and whenever one comes or goes. */
  onRefused(listener: (refused: readonly Refused[]) => void): Unsubscribe {
    listener(this.#refusedRows);
    return this.on('refused', listener);
  }
  /** As `onRefused`, for those that another's change got in the way of. */
  onConflict(listener: (conflict: Refused) => void): Unsubscribe {
    const told = new Set<number>();
    return this.onRefused((all) => all.filter((one) => one.status === 'conflict' && !told.has(one.key)).forEach((one) => {
      told.add(one.key);
      listener(one);
    }));
  }
  /** Settles a refused push by letting it go. */
  async dismiss(key: number): Promise<void> {
    await this.ready;
    await this.#commit('strict', async (change) => { await change.tx.delete('refused', key); });
    this.#forgetRefused(key);
  }
  /** Settles a refused push by pushing again, on what the device holds now: its own operations, or others in their place. */
  async retry(key: number, operations?: OperationInput[]): Promise<Write> {
    await this.ready;
    const row = this.#refusedRows.find((one) => one.key === key);
    if (!row) throw new TidegateError('invalid', `no refused push ${key}`);
    const ops = operations?.map(writeOperation) ?? row.ops.map(({ base: _, if: __, age: ___, ...op }) => op);
    const write = await this.#queue(row.space, ops, key);
    this.#forgetRefused(key);
    return write;
  }
  /** Pushes that have no outcome yet, by space. */
  pendingWrites(): { space: string; id: number; acked: boolean }[] {
    return [...this.#outboxes.values()].flat().map(({ space, id, acked }) => ({ space, id, acked: acked ?? false }));
  }
  /** Resolves when the outbox is empty. */
  waitForPendingWrites(options: { signal?: AbortSignal } = {}): Promise<void> { return this.#until((status) => status.uploading === 0, options.signal); }
  /** Resolves when every wanted space has been taken in whole at least once. */
  waitForFirstSync(options: { signal?: AbortSignal } = {}): Promise<void> { return this.#until((status) => status.hasSynced, options.signal); }
  /** Whose device this is, once known. */
  get user(): string | null { return this.#device.user; }
  /** The device's id. */
  get deviceId(): string { return this.#device.device; }
  /** Ends this tab's part; another tab takes over. The store stays. */
  async destroy(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unlisten();
    clearInterval(this.#rescan);
    clearTimeout(this.#packing);
    this.#tabs.tell({ kind: 'leave', life: this.#times.life });
    this.#session.stop();
    await this.ready.catch(() => null);
    this.#tabs.close();
    await this.#store.close();
  }
  /** Ends it and deletes the store, the outbox too. */
  async clear(): Promise<void> {
    await this.destroy();
    await this.#store.destroy();
  }

  /* ---- for spaces and collections ---- */

  /** @internal */
  on<K extends keyof Events>(event: K, listener: (value: Events[K]) => void): Unsubscribe { return this.listenTo(event, listener as never); }
  /** @internal */
  listenTo(topic: string, listener: (value: never) => void): Unsubscribe {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return () => { listeners.delete(listener); };
  }
  /** @internal */
  stateOf(space: string): SpaceRecord | undefined { return this.#states.get(space); }
  /** @internal */
  hereIn(space: string): { here: Person[]; count: number } { return this.#people.get(space) ?? { here: [], count: 0 }; }
  /** @internal Reads a space's documents into memory; at once where they are there. */
  async view(space: string): Promise<SpaceView> {
    await this.ready;
    if (!this.views.has(space)) await (this.#reading.get(space) ?? this.#read(space));
    return this.views.get(space)!;
  }
  /** @internal */
  async write(space: string, inputs: OperationInput[]): Promise<Write> {
    const ops = inputs.map(writeOperation), view = this.views.get(space);
    if (ops.length > LIMITS.ops || pushBytes(ops) > LIMITS.frame) throw new TidegateError('too_large', 'a push has at most 512 operations and 1 MiB');
    if (view) for (const op of ops) if (op.op !== 'append') op.base ??= view.revOf(op.collection, op.id);
    await this.ready;
    return this.#queue(space, ops);
  }
  /** @internal */
  want(space: string, options: OpenOptions | null): void {
    const mine = this.#wants.get(this.#times.life) ?? new Map<string, OpenOptions>();
    this.#wants.set(this.#times.life, mine);
    if (options) mine.set(space, options);
    else {
      mine.delete(space);
      this.#spaces.delete(space);
      this.views.delete(space);
    }
    if (this.#isLeading) this.#reopen(space, options === null);
    else this.#hello();
    if (options) void this.view(space).catch((error: unknown) => this.#fail(error));
    this.#changedStatus();
  }
  /** @internal */
  signal(space: string, body: unknown): void {
    if (this.#isLeading) this.#session.signal(space, body);
    else this.#tabs.tell({ kind: 'say', space, body });
  }
  /** @internal */
  async history(space: string, collection: string, before: number | undefined, limit: number): Promise<{ more: boolean; isKept: boolean; count: number }> {
    await this.ready;
    if (this.#isLeading) return this.#session.history(space, collection, before, limit);
    const call = ++this.#call, { life } = this.#times;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(call);
        reject(new TidegateError('unreachable', 'no answer'));
      }, 10000);
      this.#calls.set(call, (answer) => {
        clearTimeout(timer);
        if (answer.code === null) resolve(answer);
        else reject(new TidegateError(answer.code, answer.code));
      });
      this.#tabs.tell({ kind: 'history', life, call, space, collection, before, limit });
    });
  }

  /* ---- the store and memory ---- */

  async #load(): Promise<void> {
    await this.#store.transact('read', (tx) => this.#readAll(tx));
    if (!this.#isKept) await this.#commit('strict', async () => {}); /* makes the device */
    this.#isLoaded = true;
    this.#changedStatus();
    this.#tell('refused', this.#refusedRows);
  }
  async #readAll(tx: Transaction): Promise<void> {
    const [device, states, outbox, refused] = await Promise.all([tx.get<DeviceRecord>('device', 'device'), tx.all<SpaceRecord>('spaces'),
      tx.all<OutboxRecord>('outbox'), tx.all<Refused>('refused')]);
    this.#isKept = device !== undefined;
    this.#device = device ?? this.#device;
    for (const state of states) this.#states.set(state.space, state);
    this.#outboxes.clear();
    for (const push of outbox) this.#outboxes.set(push.space, [...(this.#outboxes.get(push.space) ?? []), push]);
    this.#refusedRows = refused;
  }
  /* Reads a space as it is in the store now, in place of what memory holds. */
  #read(space: string): Promise<void> {
    const reading = this.#store.transact('read', async (tx) => {
      const state = (await tx.get<SpaceRecord>('spaces', space)) ?? newSpace(space);
      const [packs, fresh, outbox, refused] = await Promise.all([state.packed ? tx.all<PackRecord>('packs', space) : [],
        state.packed ? tx.since<DocRecord>(space, state.packed) : tx.all<DocRecord>('docs', space), tx.all<OutboxRecord>('outbox', space), tx.all<Refused>('refused')]);
      return { state, packs, fresh, outbox, refused };
    }).then(({ state, packs, fresh, outbox, refused }) => {
      this.#reading.delete(space);
      if (state.seq < (this.#states.get(space)?.seq ?? 0)) return this.#read(space); /* a delta was quicker */
      const acked = new Set((this.#outboxes.get(space) ?? []).filter((push) => push.acked).map((push) => push.id));
      for (const push of outbox) if (acked.has(push.id)) push.acked = true;
      const gone = (this.#outboxes.get(space) ?? []).filter((push) => !outbox.some((one) => one.id === push.id));
      this.#states.set(space, state);
      this.#outboxes.set(space, outbox);
      this.#refusedRows = refused;
      if (this.#wants.get(this.#times.life)?.has(space) || this.views.has(space)) {
        const docs = packs.flatMap((pack) => JSON.parse(pack.docs) as DocRecord[]), view = new SpaceView(space, state, [...docs, ...fresh], outbox, () => this.#device.user ?? '');
        view.isLive = this.#liveSpaces.has(space);
        view.fresh = fresh.length;
        this.#packSoon(view);
        this.views.set(space, view);
        this.#touch(space, '*');
      }
      /* What became of these was told to another tab; its refusals are in `refused`. */
      for (const { id } of gone) {
        const row = refused.find((one) => one.space === space && one.id === id);
        this.#toldOutcome(row ? { space, id, status: row.status, code: row.code, message: row.message } : { space, id, status: 'applied' });
      }
      this.#tell('refused', this.#refusedRows);
      this.#changedStatus();
      if (this.#isLeading) this.#session.flush(space);
      return undefined;
    });
    this.#reading.set(space, reading);
    reading.catch(() => this.#reading.delete(space));
    return reading;
  }

  /* Makes the packs anew once much has changed, when nothing changes just now. Tombstones past the window go. */
  #packSoon(view: SpaceView): void {
    if (!this.#isLeading || view.fresh < LIMITS.fresh || view.fresh < view.size / 4) return;
    clearTimeout(this.#packing);
    this.#packing = setTimeout(() => void this.#store.transact('relaxed', async (tx) => {
      const { space } = view, state = await tx.get<SpaceRecord>('spaces', space);
      if (state?.seq !== view.state.seq || state.resetting) return;
      await tx.deleteAll('packs', space);
      const now = this.#times.server(this.#device) ?? 0, isGone = (doc: DocRecord) => doc.deleted && state.window > 0 && doc.time < now - state.window * 1000;
      const all = [...view.documents()], docs = all.filter((doc) => !isGone(doc));
      for (const doc of all) if (isGone(doc)) void tx.delete('docs', [space, doc.collection, doc.id]);
      for (let n = 0; n < docs.length; n += LIMITS.pack) void tx.put('packs', { space, n, docs: JSON.stringify(docs.slice(n, n + LIMITS.pack)) });
      await tx.put('spaces', { ...state, packed: state.seq });
      view.fresh = 0;
    }).catch(() => { /* they only save time */ }), PACK_MS);
  }

  async #commit<T>(mode: 'relaxed' | 'strict', work: (change: Change) => Promise<T>): Promise<T> {
    let deltas: Delta[] = [], device = this.#device;
    const result = await this.#store.transact(mode, async (tx) => {
      if (this.#isLoaded && !(await tx.get('device', 'device'))) await this.#rewrite(tx);
      const change = await Change.begin(tx, this.#times.wall()), made = await work(change);
      deltas = await change.end();
      ({ device } = change);
      return made;
    }).catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'QuotaExceededError') throw new TidegateError('storage_full', 'no more room');
      throw error;
    });
    this.#device = device;
    if (deltas.length > 0) this.#tabs.tell({ kind: 'deltas', deltas });
    for (const delta of deltas) this.#apply(delta);
    return result;
  }
  /* The store was deleted under us. Spaces whose documents are not in memory begin anew. */
  async #rewrite(tx: Transaction): Promise<void> {
    await tx.put('device', this.#device);
    for (const state of this.#states.values()) {
      const view = this.views.get(state.space);
      await tx.put('spaces', view ? { ...state, packed: 0 } : { ...newSpace(state.space), seq: state.seq, last: state.last, window: state.window });
      for (const doc of view?.documents() ?? []) void tx.put('docs', doc);
    }
    for (const { acked: _, ...push } of [...this.#outboxes.values()].flat()) void tx.put('outbox', push);
    for (const row of this.#refusedRows) await tx.put('refused', row);
  }

  #apply(delta: Delta): void {
    const { space, state } = delta, known = this.#states.get(space)?.seq ?? 0;
    if (state.seq <= known) return;
    if (state.seq > known + 1) return void (this.#reading.get(space) ?? this.#read(space)).catch((error: unknown) => this.#fail(error));
    this.#states.set(space, state);
    const outbox = new Map((this.#outboxes.get(space) ?? []).map((push) => [push.id, push]));
    for (const push of delta.queued) outbox.set(push.id, { ...push, ...(outbox.get(push.id)?.acked && { acked: true }) });
    for (const { id } of delta.outcomes) outbox.delete(id);
    this.#outboxes.set(space, [...outbox.values()].sort((a, b) => a.id - b.id));
    const view = this.views.get(space);
    for (const collection of view?.apply(delta) ?? []) this.#touch(space, collection);
    if (view) this.#packSoon(view);
    if (delta.refused.length > 0) {
      this.#refusedRows = [...this.#refusedRows, ...delta.refused as Refused[]].slice(-LIMITS.refused);
      this.#tell('refused', this.#refusedRows);
      if (this.#isLeading) for (const row of delta.refused as Refused[]) void this.#resolveConflict(row);
    }
    for (const outcome of delta.outcomes) this.#toldOutcome(outcome);
    this.#changedStatus();
    if (this.#isLeading && delta.queued.length > 0) this.#session.flush(space);
  }
  #toldOutcome(outcome: Outcome): void {
    const key = `${outcome.space}/${outcome.id}`;
    this.#waiting.get(key)?.(outcome);
    this.#waiting.delete(key);
    this.#tell('outcome', outcome);
  }

  async #queue(space: string, ops: ReturnType<typeof writeOperation>[], settles?: number): Promise<Write> {
    if ([...this.#outboxes.values()].reduce((sum, pushes) => sum + pushes.length, 0) >= LIMITS.outbox) throw new TidegateError('outbox_full', 'too many pushes wait');
    const sent = this.#state === 'up' && !this.#isPaused ? this.#times.server(this.#device) : null, stamp = this.#times.stamp(this.#device);
    let outcome: Promise<Outcome> | undefined;
    const { id } = await this.#commit('strict', async (change) => {
      const push = await change.queue(space, ops, stamp, sent);
      if (settles !== undefined) await change.tx.delete('refused', settles);
      outcome = new Promise((resolve) => this.#waiting.set(`${space}/${push.id}`, resolve));
      return push;
    });
    if (this.options.backgroundSync && this.#state !== 'up') void this.#askForSync();
    return { space, id, settled: () => outcome! };
  }
  async #askForSync(): Promise<void> {
    const registration = await globalThis.navigator?.serviceWorker?.ready as (ServiceWorkerRegistration & { sync?: { register(tag: string): Promise<void> } }) | undefined;
    await registration?.sync?.register(`tidegate:${this.options.name ?? 'tidegate'}`).catch(() => { /* not allowed: the page sends it when it can */ });
  }
  #forgetRefused(key: number): void {
    this.#refusedRows = this.#refusedRows.filter((one) => one.key !== key);
    this.#tabs.tell({ kind: 'settled', key });
    this.#tell('refused', this.#refusedRows);
  }
  async #resolveConflict(row: Refused): Promise<void> {
    if (row.status !== 'conflict' || !this.options.resolver) return;
    try {
      const operations = await this.options.resolver(row);
      if (operations) await this.retry(row.key, operations);
    } catch (error) {
      this.#fail(error);
    }
  }

  /* ---- tabs ---- */

  #lead(): void {
    if (this.#isClosed) return;
    this.#isLeading = true;
    this.#tabs.tell({ kind: 'lead' });
    /* A tab may have died between its write and its news; what it wrote is in the store. */
    void this.#rescanOutbox();
    this.#rescan = setInterval(() => void this.#rescanOutbox(), 5000);
    (this.#rescan as unknown as { unref?: () => void }).unref?.();
    for (const row of this.#refusedRows) void this.#resolveConflict(row);
    if (!this.#isPaused) this.#session.start();
    this.#changedStatus();
  }
  async #rescanOutbox(): Promise<void> {
    const states = await this.#store.transact('read', (tx) => tx.all<SpaceRecord>('spaces')).catch(() => []);
    for (const { space, seq } of states) if (seq > (this.#states.get(space)?.seq ?? 0) && !this.#reading.has(space)) await this.#read(space).catch((error: unknown) => this.#fail(error));
  }
  #hello(): void {
    if (this.#isLeading) return;
    this.#tabs.tell({ kind: 'hello', life: this.#times.life, mono: this.#times.mono(), wants: [...(this.#wants.get(this.#times.life) ?? [])] });
  }
  #hear(message: Message): void {
    if (this.#isClosed) return;
    if (!this.#isLoaded) return void this.ready.then(() => this.#hear(message), () => null);
    switch (message.kind) {
      case 'deltas': return message.deltas.forEach((delta) => this.#apply(delta));
      case 'settled':
        this.#refusedRows = this.#refusedRows.filter((one) => one.key !== message.key);
        return this.#tell('refused', this.#refusedRows);
      case 'lead': return this.#hello();
      case 'pause':
        this.#isPaused = message.isPaused;
        return this.#obeyPause();
      case 'signal': return this.#tell('signal', message);
      default: return this.#isLeading ? this.#serve(message) : this.#follow(message);
    }
  }
  /* What the leader hears. */
  #serve(message: Message): void {
    if (message.kind === 'hello') {
      this.#times.meet(message.life, message.mono);
      const before = this.#wants.get(message.life);
      this.#wants.set(message.life, new Map(message.wants));
      for (const space of new Set([...(before?.keys() ?? []), ...this.#wants.get(message.life)!.keys()])) this.#reopen(space, false);
      this.#tellStatus();
      for (const [space, { here, count }] of this.#people) this.#tabs.tell({ kind: 'presence', space, here, count });
    } else if (message.kind === 'leave') {
      const before = this.#wants.get(message.life);
      this.#wants.delete(message.life);
      for (const space of before?.keys() ?? []) this.#reopen(space, true);
    } else if (message.kind === 'say') this.#session.signal(message.space, message.body);
    else if (message.kind === 'history') {
      const { life, call, space, collection, before, limit } = message, answer = { kind: 'answer', life, call } as const;
      this.#session.history(space, collection, before, limit).then((found) => this.#tabs.tell({ ...answer, code: null, ...found }),
        (error: unknown) => this.#tabs.tell({ ...answer, code: error instanceof TidegateError ? error.code : 'internal', more: false, isKept: false, count: 0 }));
    }
  }
  /* What the others hear. */
  #follow(message: Message): void {
    if (message.kind === 'status') {
      this.#state = message.state;
      this.#error = message.code === null ? null : new TidegateError(message.code, message.message);
      const live = new Set(message.live);
      for (const space of new Set([...this.#liveSpaces, ...live])) this.#turnLive(space, live.has(space));
      this.#changedStatus();
    } else if (message.kind === 'acked') this.#ackedUpTo(message.space, message.id);
    else if (message.kind === 'presence') this.#setPresence(message.space, message.here, message.count);
    else if (message.kind === 'answer' && message.life === this.#times.life) {
      this.#calls.get(message.call)?.(message);
      this.#calls.delete(message.call);
    }
  }
  #wanted(): Map<string, OpenOptions> {
    const all = new Map<string, OpenOptions>();
    for (const mine of this.#wants.values()) for (const [space, options] of mine) {
      const held = all.get(space);
      all.set(space, held ? { ...held, ...options, presence: held.presence || options.presence, meta: options.meta ?? held.meta, tail: held.tail ?? options.tail } : options);
    }
    return all;
  }
  readonly #opened = new Map<string, string>();
  /* Opens or closes a space as all the tabs together want it now. */
  #reopen(space: string, mayClose: boolean): void {
    const options = this.#wanted().get(space);
    if (!options) {
      if (mayClose && this.#opened.delete(space)) this.#session.close(space);
      return;
    }
    if (this.#opened.get(space) === JSON.stringify(options)) return;
    this.#opened.set(space, JSON.stringify(options));
    this.#session.open([space]);
  }
  #pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#tabs.tell({ kind: 'pause', isPaused });
    this.#obeyPause();
  }
  #obeyPause(): void {
    if (this.#isLeading && this.#isPaused) this.#session.stop();
    else if (this.#isLeading) this.#session.start();
    this.#changedStatus();
  }

  /* ---- the session's wishes ---- */

  #host(): SessionHost {
    const given = new URL(this.options.url ?? globalThis.location?.href ?? 'http://127.0.0.1:8080');
    if (given.protocol === 'http:' || given.protocol === 'https:') given.pathname = '/v1/ws';
    given.protocol = given.protocol.replace('http', 'ws');
    given.hash = given.search = '';
    return {
      connect: () => new (this.options.WebSocket ?? WebSocket)(given.href, 'tidegate.v1'), name: '@tidegate/client', times: this.#times,
      token: async (isExpired) => this.options.getToken({ isExpired }),
      device: () => this.#device,
      space: (space) => this.#states.get(space),
      outbox: (space) => this.#outboxes.get(space) ?? [],
      outboxSpaces: () => [...this.#outboxes].filter(([, pushes]) => pushes.length > 0).map(([space]) => space),
      wanted: () => this.#wanted(),
      commit: (mode, work) => this.#commit(mode, work),
      state: (state, error) => {
        this.#state = state;
        this.#error = error ?? (state === 'up' ? null : this.#error);
        this.#tellStatus();
        this.#changedStatus();
      },
      live: (space, isLive) => {
        this.#turnLive(space, isLive);
        this.#tellStatus();
        this.#changedStatus();
      },
      acked: (space, id) => {
        this.#tabs.tell({ kind: 'acked', space, id });
        this.#ackedUpTo(space, id);
      },
      presence: (space, here, count) => {
        this.#tabs.tell({ kind: 'presence', space, here, count });
        this.#setPresence(space, here, count);
      },
      signal: (space, user, device, body) => {
        this.#tabs.tell({ kind: 'signal', space, user, device, body });
        this.#tell('signal', { space, user, device, body });
      },
      frame: (isOut, text, frame) => this.options.onFrame?.({ isOut, text, ...(frame && { frame }) }),
    };
  }
  #tellStatus(): void {
    this.#tabs.tell({ kind: 'status', state: this.#state, code: this.#error?.code ?? null, message: this.#error?.message ?? '', live: [...this.#liveSpaces] });
  }
  #turnLive(space: string, isLive: boolean): void {
    if (isLive) this.#lastSyncedAt = new Date(this.#times.wall());
    if (this.#liveSpaces.has(space) === isLive) return;
    if (isLive) this.#liveSpaces.add(space);
    else this.#liveSpaces.delete(space);
    const view = this.views.get(space);
    if (!view) return;
    view.isLive = isLive;
    this.#touch(space, '*');
  }
  #ackedUpTo(space: string, id: number): void {
    for (const push of this.#outboxes.get(space) ?? []) if (push.id <= id) push.acked = true;
    for (const collection of this.views.get(space)?.acked(id) ?? []) this.#touch(space, collection);
  }
  #setPresence(space: string, here: Person[], count: number): void {
    this.#people.set(space, { here, count });
    this.#tell('presence', space);
  }

  /* ---- telling the app ---- */

  #tell<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (value: Events[K]) => void)(value);
  }
  /* Once a turn, however many deltas it took in. */
  #touch(space: string, collection: string): void {
    if (this.#dirty.size === 0) queueMicrotask(() => {
      const topics = [...this.#dirty];
      this.#dirty.clear();
      for (const [topic, listeners] of this.#listeners) {
        if (topics.includes(topic) || (topic.includes('\n') && topics.includes(`${topic.split('\n')[0]}\n*`))) for (const listener of listeners) (listener as () => void)();
      }
    });
    this.#dirty.add(`${space}\n${collection}`);
  }
  #makeStatus(): Status {
    const wanted = [...(this.#wants.get(this.#times.life)?.keys() ?? [])];
    return {
      connected: this.#state === 'up', connecting: this.#state === 'connecting', paused: this.#isPaused, leading: this.#isLeading,
      uploading: [...this.#outboxes.values()].reduce((sum, pushes) => sum + pushes.length, 0),
      downloading: this.#state === 'up' ? wanted.filter((space) => !this.#liveSpaces.has(space)).length : 0,
      hasSynced: this.#isLoaded && wanted.every((space) => this.#states.get(space)?.synced), lastSyncedAt: this.#lastSyncedAt, error: this.#error,
    };
  }
  #changedStatus(): void {
    const before = this.#shown, now = this.#makeStatus();
    if (before && (Object.keys(now) as (keyof Status)[]).every((key) => now[key] === before[key])) return;
    this.#shown = now;
    this.#tell('status', now);
  }
  #fail(error: unknown): void {
    this.#error = error instanceof TidegateError ? error : new TidegateError('storage', String(error));
    this.#changedStatus();
  }
  #until(holds: (status: Status) => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = this.on('status', check), abort = () => {
        stop();
        reject(signal!.reason);
      };
      function check(status: Status): void {
        if (!holds(status)) return;
        stop();
        signal?.removeEventListener('abort', abort);
        resolve();
      }
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort);
      void this.ready.then(() => check(this.status), reject);
    });
  }

  /* ---- the page ---- */

  readonly #onWake = () => { if (globalThis.document?.visibilityState !== 'hidden') this.#session.wake(); };
  readonly #onLeave = () => this.#tabs.tell({ kind: 'leave', life: this.#times.life });
  readonly #onShow = () => this.#hello();
  #listen(): void {
    globalThis.addEventListener?.('online', this.#onWake);
    globalThis.addEventListener?.('offline', this.#onWake);
    globalThis.addEventListener?.('pagehide', this.#onLeave);
    globalThis.addEventListener?.('pageshow', this.#onShow);
    globalThis.document?.addEventListener('visibilitychange', this.#onWake);
  }
  #unlisten(): void {
    globalThis.removeEventListener?.('online', this.#onWake);
    globalThis.removeEventListener?.('offline', this.#onWake);
    globalThis.removeEventListener?.('pagehide', this.#onLeave);
    globalThis.removeEventListener?.('pageshow', this.#onShow);
    globalThis.document?.removeEventListener('visibilitychange', this.#onWake);
  }
}

/** A device of its user in this browser. It opens its store, and connects unless told not to. */
export function createClient(options: ClientOptions): Client { return new Client(options); }

/* A device: hub of its keeper (store and memory), its tabs, and in the leading one the session.
 *
 * INVARIANTS
 * 1. A write resolves when it is safe in the outbox. What follows is told by its outcome.
 * 2. Presence and status live in memory alone; what other tabs must know of them, the leader tells.
 */
import { systemClock, Times, type Clock } from './clock.js';
import type { ConnectionState } from './connection.js';
import { Keeper, type KeeperHost, type Refused } from './keeper.js';
import { Space } from './space.js';
import { Session, type OpenOptions, type SessionHost } from './session.js';
import { indexedStore, type Store } from './store.js';
import { Tabs, type Message } from './tabs.js';
import { LIMITS, TidegateError, type Frame, type Outcome, type Person, type SpaceRecord } from './types.js';
import type { SpaceView } from './view.js';
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

type Events = { status: Status; refused: readonly Refused[]; outcome: Outcome; presence: string; signal: { space: string; user: string; device: string; body: unknown } };
type Unsubscribe = () => void;

/** A device of its user. Made by `createClient`. */
export class Client {
  /** Resolves when the store has been read. */
  readonly ready: Promise<void>;
  readonly #keeper: Keeper;
  readonly #store: Store;
  readonly #times: Times;
  readonly #tabs: Tabs;
  readonly #session: Session;
  readonly #listeners = new Map<string, Set<(value: never) => void>>();
  readonly #dirty = new Set<string>();
  readonly #spaces = new Map<string, Space>();
  readonly #waiting = new Map<string, (outcome: Outcome) => void>();
  readonly #wants = new Map<string, Map<string, OpenOptions>>(); /* by life */
  readonly #liveSpaces = new Set<string>();
  readonly #people = new Map<string, { here: Person[]; count: number }>();
  readonly #calls = new Map<number, (answer: Extract<Message, { kind: 'answer' }>) => void>();
  #state: ConnectionState = 'stopped';
  #error: TidegateError | null = null;
  #lastSyncedAt: Date | null = null;
  #isLeading = false;
  #isPaused: boolean;
  #isClosed = false;
  readonly #ended = new AbortController();
  #call = 0;
  #shown: Status | null = null;
  #rescan: ReturnType<typeof setInterval> | undefined;

  /** @internal */
  constructor(private readonly options: ClientOptions) {
    const name = options.name ?? 'tidegate', isShared = options.store === undefined;
    this.#store = options.store ?? indexedStore(`tidegate:${name}`);
    this.#times = new Times(options.clock ?? systemClock);
    this.#keeper = new Keeper(this.#store, this.#times, this.#keeperHost());
    this.#isPaused = options.autoConnect === false;
    this.#tabs = new Tabs(name, this.#times.life, isShared, (message) => this.#hear(message), () => this.#lead());
    this.#session = new Session(this.#host());
    this.#store.onLost = () => { if (this.#keeper.isLoaded && !this.#isClosed) void this.#keeper.commit('strict', async () => {}).catch((error: unknown) => this.#fail(error)); };
    this.ready = this.#keeper.load().then(() => {
      this.#changedStatus();
      this.#tell('refused', this.refused());
    });
    this.ready.then(() => { if (!this.#isClosed) this.#tabs.elect(() => this.#hello()); }, (error: unknown) => this.#fail(error));
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
  refused(): readonly Refused[] { return this.#keeper.refused; }
  /** Called with them now, and whenever one comes or goes. */
  onRefused(listener: (refused: readonly Refused[]) => void): Unsubscribe {
    listener(this.#keeper.refused);
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
    await this.#keeper.commit('strict', async (change) => { await change.tx.delete('refused', key); });
    this.#forgetRefused(key);
  }
  /** Settles a refused push by pushing again, on what the device holds now: its own operations, or others in their place. */
  async retry(key: number, operations?: OperationInput[]): Promise<Write> {
    await this.ready;
    const row = this.#keeper.refused.find((one) => one.key === key);
    if (!row) throw new TidegateError('invalid', `no refused push ${key}`);
    const ops = operations?.map(writeOperation) ?? row.ops.map(({ base: _, if: __, age: ___, ...op }) => op);
    const write = await this.#queue(row.space, ops, key);
    this.#forgetRefused(key);
    return write;
  }
  /** Pushes that have no outcome yet, by space. */
  pendingWrites(): { space: string; id: number; acked: boolean }[] {
    return this.#keeper.pending().map(({ space, id, acked }) => ({ space, id, acked: acked ?? false }));
  }
  /** Resolves when the outbox is empty. */
  waitForPendingWrites(options: { signal?: AbortSignal } = {}): Promise<void> { return this.#until((status) => status.uploading === 0, options.signal); }
  /** Resolves when every wanted space has been taken in whole at least once. */
  waitForFirstSync(options: { signal?: AbortSignal } = {}): Promise<void> { return this.#until((status) => status.hasSynced, options.signal); }
  /** Whose device this is, once known. */
  get user(): string | null { return this.#keeper.device.user; }
  /** The device's id. */
  get deviceId(): string { return this.#keeper.device.device; }
  /** Ends this tab's part; another tab takes over. The store stays. */
  async destroy(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ended.abort();
    clearInterval(this.#rescan);
    this.#tabs.tell({ kind: 'leave', life: this.#times.life });
    this.#session.stop();
    await this.ready.catch(() => null);
    this.#tabs.close();
    await this.#keeper.close();
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
  get views(): Map<string, SpaceView> { return this.#keeper.views; }
  /** @internal */
  stateOf(space: string): SpaceRecord | undefined { return this.#keeper.states.get(space); }
  /** @internal */
  hereIn(space: string): { here: Person[]; count: number } { return this.#people.get(space) ?? { here: [], count: 0 }; }
  /** @internal Reads a space's documents into memory; at once where they are there. */
  async view(space: string): Promise<SpaceView> {
    await this.ready;
    return this.#keeper.view(space);
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
    if (this.#isLeading) this.#reopen(space);
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

  /* ---- writing ---- */

  #toldOutcome(outcome: Outcome): void {
    const key = `${outcome.space}/${outcome.id}`;
    this.#waiting.get(key)?.(outcome);
    this.#waiting.delete(key);
    this.#tell('outcome', outcome);
  }

  async #queue(space: string, ops: ReturnType<typeof writeOperation>[], settles?: number): Promise<Write> {
    if (this.#keeper.waiting() >= LIMITS.outbox) throw new TidegateError('outbox_full', 'too many pushes wait');
    const sent = this.#state === 'up' && !this.#isPaused ? this.#times.server(this.#keeper.device) : null, stamp = this.#times.stamp(this.#keeper.device);
    let outcome: Promise<Outcome> | undefined;
    const { id } = await this.#keeper.commit('strict', async (change) => {
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
    this.#keeper.refused = this.#keeper.refused.filter((one) => one.key !== key);
    this.#tabs.tell({ kind: 'settled', key });
    this.#tell('refused', this.#keeper.refused);
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
    void this.#keeper.rescan();
    this.#rescan = setInterval(() => void this.#keeper.rescan(), 5000);
    (this.#rescan as unknown as { unref?: () => void }).unref?.();
    for (const row of this.#keeper.refused) void this.#resolveConflict(row);
    if (!this.#isPaused) this.#session.start();
    this.#changedStatus();
  }
  #hello(): void {
    if (this.#isLeading || !this.#tabs.isThere) return;
    this.#tabs.tell({ kind: 'hello', life: this.#times.life, mono: this.#times.mono(), wants: [...(this.#wants.get(this.#times.life) ?? [])] });
  }
  #hear(message: Message): void {
    if (this.#isClosed) return;
    if (!this.#keeper.isLoaded) return void this.ready.then(() => this.#hear(message), () => null);
    switch (message.kind) {
      case 'deltas': return message.deltas.forEach((delta) => this.#keeper.apply(delta));
      case 'settled':
        this.#keeper.refused = this.#keeper.refused.filter((one) => one.key !== message.key);
        return this.#tell('refused', this.#keeper.refused);
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
      if (!before) this.#tabs.watch(message.life, () => this.#left(message.life));
      this.#wants.set(message.life, new Map(message.wants));
      for (const space of new Set([...(before?.keys() ?? []), ...this.#wants.get(message.life)!.keys()])) this.#reopen(space);
      this.#tellStatus();
      for (const [space, { here, count }] of this.#people) this.#tabs.tell({ kind: 'presence', space, here, count });
    } else if (message.kind === 'leave') this.#left(message.life);
    else if (message.kind === 'say') this.#session.signal(message.space, message.body);
    else if (message.kind === 'history') {
      const { life, call, space, collection, before, limit } = message, answer = { kind: 'answer', life, call } as const;
      this.#session.history(space, collection, before, limit).then((found) => this.#tabs.tell({ ...answer, code: null, ...found }),
        (error: unknown) => this.#tabs.tell({ ...answer, code: error instanceof TidegateError ? error.code : 'internal', more: false, isKept: false, count: 0 }));
    }
  }
  #left(life: string): void {
    const before = this.#wants.get(life);
    this.#wants.delete(life);
    for (const space of before?.keys() ?? []) this.#reopen(space);
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
  #reopen(space: string): void {
    const options = this.#wanted().get(space);
    if (!options) {
      this.#opened.delete(space);
      this.#session.close(space);
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

  #keeperHost(): KeeperHost {
    return {
      isLeading: () => this.#isLeading, isWanted: (space) => this.#wants.get(this.#times.life)?.has(space) ?? false, isLive: (space) => this.#liveSpaces.has(space),
      committed: (deltas) => this.#tabs.tell({ kind: 'deltas', deltas }),
      touched: (space, collection) => this.#touch(space, collection),
      settled: (outcome) => this.#toldOutcome(outcome),
      refused: (fresh) => {
        this.#tell('refused', this.refused());
        if (this.#isLeading) for (const row of fresh) void this.#resolveConflict(row);
      },
      changed: (space) => {
        this.#changedStatus();
        if (this.#isLeading) this.#session.flush(space);
      },
      failed: (error) => this.#fail(error),
    };
  }
  #host(): SessionHost {
    const given = new URL(this.options.url ?? globalThis.location?.href ?? 'http://127.0.0.1:8080');
    if (given.protocol === 'http:' || given.protocol === 'https:') given.pathname = '/v1/ws';
    given.protocol = given.protocol.replace('http', 'ws');
    given.hash = given.search = '';
    return {
      connect: () => new (this.options.WebSocket ?? WebSocket)(given.href, 'tidegate.v1'), name: '@tidegate/client', times: this.#times,
      token: async (isExpired) => this.options.getToken({ isExpired }),
      device: () => this.#keeper.device,
      space: (space) => this.#keeper.states.get(space),
      outbox: (space) => this.#keeper.outbox(space),
      outboxSpaces: () => [...new Set(this.#keeper.pending().map(({ space }) => space))],
      wanted: () => this.#wanted(),
      commit: (mode, work) => this.#keeper.commit(mode, work),
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
    for (const push of this.#keeper.outbox(space)) if (push.id <= id) push.acked = true;
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
      uploading: this.#keeper.waiting(),
      downloading: this.#state === 'up' ? wanted.filter((space) => !this.#liveSpaces.has(space)).length : 0,
      hasSynced: this.#keeper.isLoaded && wanted.every((space) => this.#keeper.states.get(space)?.synced), lastSyncedAt: this.#lastSyncedAt, error: this.#error,
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

  #listen(): void {
    const { signal } = this.#ended, on = (target: EventTarget | undefined, names: string[], listener: () => void) => {
      for (const name of names) target?.addEventListener?.(name, listener, { signal });
    };
    const wake = () => { if (globalThis.document?.visibilityState !== 'hidden') this.#session.wake(); };
    on(globalThis, ['online', 'offline'], wake);
    on(globalThis.document, ['visibilitychange'], wake);
    on(globalThis, ['pagehide'], () => this.#tabs.tell({ kind: 'leave', life: this.#times.life }));
    on(globalThis, ['pageshow'], () => this.#hello());
  }
}

/** A device of its user in this browser. It opens its store, and connects unless told not to. */
export function createClient(options: ClientOptions): Client { return new Client(options); }

/* The leading tab's talk with the gateway: the spaces that are open on the connection, and the outbox's way out.
 *
 * A space on a connection (`Live`): fresh: its open is unanswered, older frames are ignored. ready: pushes may go.
 *
 * INVARIANTS
 * 1. What a message changes is committed before anything is sent or shown on account of it; a message that can't be
 *    committed ends the connection, and the cursors that stand ask for the same again.
 * 2. A push is marked as sent, on the disk, before it is sent.
 * 3. At most LIMITS.inflight pushes to a space are unanswered. After an error the first of them goes again, and in order.
 * 4. No `after` is below a push whose outcome the log gave on this connection (`floors`): an error may have been answered
 *    before that push was in the log, and be heard after it. The log would take what goes below for another device's.
 */
import type { Change, Taken } from './copy.js';
import { Connection, type ConnectionHost } from './connection.js';
import { LIMITS, TidegateError, type Frame, type OutboxRecord, type Person, type SpaceRecord } from './types.js';
import { encodePush } from './wire.js';

/** How a space is wanted. */
export interface OpenOptions {
  /** Tells who is here, and shows one's own user as here. */
  presence?: boolean | undefined;
  /** Of `append` collections only the newest that many, in the first run. */
  tail?: number | undefined;
  /** Shown to others with one's presence. */
  meta?: object | undefined;
}

/** What the session asks of its client. */
export interface SessionHost extends ConnectionHost {
  space(space: string): SpaceRecord | undefined;
  outbox(space: string): readonly OutboxRecord[];
  outboxSpaces(): string[];
  wanted(): Map<string, OpenOptions>;
  commit<T>(mode: 'relaxed' | 'strict', work: (change: Change) => Promise<T>): Promise<T>;
  live(space: string, isLive: boolean): void;
  acked(space: string, id: number): void;
  presence(space: string, here: Person[], count: number): void;
  signal(space: string, user: string, device: string, body: unknown): void;
}

interface Live {
  ref: number; isFresh: boolean; isReady: boolean; isOpen: boolean; isMarking: boolean; fromNothing: boolean;
  base: number | null;  /* the next push's `after`; null: the one it was made with */
  sent: Set<number>;
  failed: number;       /* the least id to go again once `retry` is over; 0: none */
  refusals: number;     /* opens refused in a row */
}

interface Asked { resolve: (answer: { more: boolean; isKept: boolean; count: number }) => void; reject: (error: Error) => void }

const SEEN_MS = 1000, REOPEN_MS = 700, REOPEN_MS_MAX = 30000;

export class Session {
  readonly #line: Connection;
  readonly #lives = new Map<string, Live>();
  readonly #here = new Map<string, Map<string, Person>>();
  readonly #asked = new Map<number, Asked>();
  readonly #seen = new Set<string>();
  readonly #floors = new Map<string, number>();
  #isDraining = false;
  #ref = 0;

  constructor(private readonly host: SessionHost) { this.#line = new Connection(host, () => void this.#drain(), () => this.#end()); }

  start(): void { this.#line.start(); }
  stop(): void { this.#line.stop(); }
  wake(): void { this.#line.wake(); }

  /* Everything that belongs to the connection goes with it. */
  #end(): void {
    this.#seen.clear();
    this.#floors.clear();
    for (const space of this.#lives.keys()) this.host.live(space, false);
    this.#lives.clear();
    for (const space of this.#here.keys()) this.host.presence(space, [], 0);
    this.#here.clear();
    for (const { reject } of this.#asked.values()) reject(new TidegateError('unreachable', 'the connection ended'));
    this.#asked.clear();
  }

  /* ---- what comes in ---- */

  async #drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    while (this.#line.queue.length > 0) {
      const batch = this.#line.queue.splice(0, LIMITS.batch), socket = this.#line.socket, effects: (() => void)[] = [];
      let hasBegun = false;
      try {
        const isStored = batch.some((frame) => STORED.has(frame.type)), hasOutcome = batch.some((frame) => this.#mayHoldOutcome(frame));
        if (isStored) {
          await this.host.commit(hasOutcome ? 'strict' : 'relaxed', async (change) => {
            if (hasBegun) throw new TidegateError('storage', 'closed'); /* the first try has changed what is open */
            hasBegun = true;
            for (const frame of batch) await this.#take(change, frame, effects);
          });
        } else for (const frame of batch) this.#takeLight(frame, effects);
      } catch (error) {
        const told = error instanceof TidegateError ? error : new TidegateError('storage', String(error));
        if (socket === this.#line.socket) {
          if (told.code === 'other_user') this.#line.stop(told);
          else this.#line.drop(told);
        }
        continue;
      }
      if (socket === this.#line.socket) for (const effect of effects) effect();
    }
    this.#isDraining = false;
  }
  #mayHoldOutcome(frame: Frame): boolean {
    if (frame.type === 'welcome' || frame.type === 'result') return true;
    if (frame.type === 'current') return frame.spaces.some(({ space }) => this.host.outbox(space).length > 0);
    return (frame.type === 'page' || frame.type === 'update') && this.host.outbox(frame.space).length > 0;
  }

  async #take(change: Change, frame: Frame, effects: (() => void)[]): Promise<void> {
    switch (frame.type) {
      case 'welcome':
        await change.welcome(frame.user, frame.log, this.host.times.welcome(frame.time, change.device.skew, this.#line.greeted!, this.#line.answered!));
        effects.push(() => this.#welcomed(frame.heartbeat));
        return;
      case 'current':
        for (const entry of frame.spaces) {
          const live = this.#lives.get(entry.space);
          if (live?.ref !== frame.ref) continue;
          live.isFresh = false;
          this.#judge(await change.current(entry), entry.space, entry.pushed, effects, () => this.#complete(entry.space, live, entry.pushed));
        }
        return;
      case 'page': return this.#takePage(change, frame, effects);
      case 'update': {
        const live = this.#lives.get(frame.space);
        if (!live || live.isFresh || !live.isOpen) return;
        this.#judge(await change.update(frame), frame.space, 0, effects, () => {
          if (frame.user === change.device.user && frame.device === change.device.device) this.#raise(frame.space, frame.push);
          this.flush(frame.space);
          this.#tellSeen(frame.space);
        });
        return;
      }
      case 'result':
        if (frame.code === 'busy' || frame.code === 'too_many') effects.push(() => this.#again(frame.space, frame.id, REOPEN_MS));
        else {
          await change.result(frame);
          effects.push(() => {
            if (frame.at !== undefined) this.#raise(frame.space, frame.id); /* a gateway's own refusal is not in the log */
            this.flush(frame.space);
          });
        }
        return;
      case 'closed': {
        const live = this.#lives.get(frame.space);
        if (frame.ref !== undefined && live?.isOpen && frame.ref !== live.ref) return;
        if (frame.purge) await change.purge(frame.space);
        effects.push(() => this.#closed(frame.space, frame.code));
        return;
      }
      default: this.#takeLight(frame, effects);
    }
  }
  async #takePage(change: Change, frame: Extract<Frame, { type: 'page' }>, effects: (() => void)[]): Promise<void> {
    if (frame.at !== undefined) {
      const isKept = await change.history(frame), asked = this.#asked.get(frame.ref as number);
      effects.push(() => {
        this.#asked.delete(frame.ref as number);
        asked?.resolve({ more: frame.more, isKept, count: frame.docs.length });
      });
      return;
    }
    const live = this.#lives.get(frame.space);
    if (live?.ref !== frame.ref || live === undefined) return;
    const taken = await change.page(frame), isWorse = taken === 'reset' && frame.reset === true && !frame.more;
    if (isWorse) effects.push(() => this.#line.turn(this.#line.state, new TidegateError('internal', `${frame.space}: the sums differ after a reset`)));
    live.isFresh = false;
    this.#judge(isWorse ? 'taken' : taken, frame.space, frame.pushed ?? 0, effects, () => { if (!frame.more) this.#complete(frame.space, live, frame.pushed ?? 0); });
  }
  #judge(taken: Taken, space: string, pushed: number, effects: (() => void)[], whenTaken: () => void): void {
    const live = this.#lives.get(space);
    if (taken === 'taken') effects.push(whenTaken);
    else if (taken === 'forked') effects.push(() => void this.#fork(space, pushed));
    else if (live) {
      live.isFresh = true;
      effects.push(() => this.open([space], taken === 'reset'));
    }
  }
  #takeLight(frame: Frame, effects: (() => void)[]): void {
    if (frame.type === 'ack') effects.push(() => this.host.acked(frame.space, frame.id));
    else if (frame.type === 'presence') effects.push(() => this.#takePresence(frame));
    else if (frame.type === 'signal') effects.push(() => this.host.signal(frame.space, frame.user, frame.device, frame.body));
    else if (frame.type === 'error') effects.push(() => this.#takeError(frame));
    else if (frame.type === 'bye') this.#line.notBefore = this.host.times.mono() + frame.retry;
  }

  #welcomed(heartbeat: number): void {
    this.#line.isTokenBad = false;
    this.#line.up(heartbeat);
    this.open([...this.host.wanted().keys()]);
    for (const space of this.host.outboxSpaces()) this.flush(space);
  }
  /* A run, or nothing to tell: pushes may go, from behind what the log has of us. */
  #complete(space: string, live: Live, pushed: number): void {
    this.#raise(space, pushed);
    live.refusals = 0;
    if (!live.isReady) {
      live.sent.clear();
      live.base = this.#floor(space);
    }
    live.isReady = true;
    live.fromNothing = false;
    this.host.live(space, true);
    this.flush(space);
    this.#tellSeen(space);
  }
  #tellSeen(space: string): void {
    if (this.#seen.has(space)) return;
    this.#seen.add(space);
    this.#line.later(SEEN_MS, () => {
      this.#seen.delete(space);
      const cursor = this.host.space(space)?.cursor;
      if (cursor && this.#lives.get(space)?.isOpen) this.#line.sendFrame({ type: 'seen', space, cursor });
    });
  }
  #closed(space: string, code: string): void {
    const before = this.#lives.get(space), refusals = (before?.refusals ?? 0) + 1, live = this.#born(space, false);
    live.refusals = refusals;
    this.host.live(space, false);
    this.#here.delete(space);
    this.host.presence(space, [], 0);
    if (code === 'forbidden' || code === 'unknown_space') this.flush(space);
    if (code === 'unknown_space') return;
    this.#line.later(Math.min(REOPEN_MS_MAX, REOPEN_MS * 2 ** (refusals - 1)), () => {
      const now = this.#lives.get(space);
      if (now === live && this.host.wanted().has(space)) this.open([space]);
    });
  }
  #takePresence(frame: Extract<Frame, { type: 'presence' }>): void {
    const here = frame.here ? new Map() : this.#here.get(frame.space) ?? new Map<string, Person>();
    for (const person of [...(frame.here ?? []), ...(frame.join ?? [])]) here.set(person.user, person);
    for (const person of frame.leave ?? []) here.delete(person.user);
    this.#here.set(frame.space, here);
    this.host.presence(frame.space, [...here.values()], Math.max(here.size, frame.count ?? 0));
  }
  #takeError(frame: Extract<Frame, { type: 'error' }>): void {
    const { code, space, id, ref } = frame, message = frame.message ?? code, told = new TidegateError(code, message);
    const asked = ref !== undefined ? this.#asked.get(ref) : undefined;
    if (asked) {
      this.#asked.delete(ref!);
      asked.reject(told);
    } else if (code === 'unauthenticated') void this.#renew();
    else if (code === 'forked' && space !== undefined) void this.#fork(space, frame.after ?? 0);
    else if (code === 'gap' && space !== undefined) this.#gap(space, id ?? 0, frame.after ?? 0);
    else if (code === 'too_large' && space !== undefined && id !== undefined) void this.#refuse(space, id, code, message);
    else if (space !== undefined && id !== undefined) this.#again(space, id, frame.retry ?? 1000);
    else if (ref !== undefined) this.#line.later(frame.retry ?? 1000, () => this.open([...this.#lives].filter(([, live]) => live.ref === ref && live.isFresh).map(([name]) => name)));
    else this.#line.turn(this.#line.state, told);
  }
  async #renew(): Promise<void> {
    this.#line.isTokenBad = true;
    if (this.#line.state !== 'up') return; /* the close that follows brings us back */
    const socket = this.#line.socket;
    try {
      const token = await this.host.token(true);
      if (socket === this.#line.socket) this.#line.sendFrame({ type: 'auth', token });
      this.#line.isTokenBad = false;
    } catch (error) {
      this.#line.turn(this.#line.state, new TidegateError('unauthenticated', String(error)));
    }
  }
  async #fork(space: string, after: number): Promise<void> {
    await this.#commit((change) => change.fork(space, after));
    this.#line.drop(new TidegateError('forked', 'the device was restored from an old copy'));
  }
  async #refuse(space: string, id: number, code: string, message: string): Promise<void> {
    await this.#commit(async (change) => {
      const push = (await change.outbox(space)).find((one) => one.id === id);
      if (push) await change.refuse(await change.of(space), push, 'rejected', code, message);
    });
    this.flush(space);
  }
  /* A commit of our own; one that fails ends the connection. */
  async #commit(work: (change: Change) => Promise<void>): Promise<boolean> {
    const socket = this.#line.socket;
    try {
      await this.host.commit('strict', work);
      return socket === this.#line.socket;
    } catch (error) {
      if (socket === this.#line.socket) this.#line.drop(new TidegateError('storage', String(error)));
      return false;
    }
  }

  /* ---- spaces ---- */

  #born(space: string, isOpen: boolean): Live {
    const live: Live = { ref: isOpen ? ++this.#ref : 0, isFresh: isOpen, isReady: !isOpen, isOpen, isMarking: false, fromNothing: false, base: null,
      sent: new Set(), failed: 0, refusals: 0 };
    this.#lives.set(space, live);
    return live;
  }
  /** Opens spaces, each from its cursor. */
  open(spaces: string[], fromNothing = false): void {
    if (this.#line.state !== 'up' || spaces.length === 0) return;
    const wanted = this.host.wanted(), groups = new Map<string, { ref: number; options: OpenOptions; entries: object[] }>();
    for (const space of spaces) {
      const options = wanted.get(space) ?? {}, before = this.#lives.get(space), live = this.#born(space, true), state = this.host.space(space);
      const key = JSON.stringify([options.presence ?? false, options.meta ?? null]), group = groups.get(key) ?? { ref: live.ref, options, entries: [] };
      /* What was sent on this connection is on its way still: only a new connection sends it again. */
      if (before) Object.assign(live, { sent: before.sent, base: before.base, refusals: before.refusals, isReady: before.isReady && before.isOpen });
      Object.assign(live, { ref: group.ref, fromNothing });
      group.entries.push({ space, since: fromNothing ? null : state?.cursor ?? null, known: this.#known(space), ...(options.tail !== undefined && { tail: options.tail }) });
      groups.set(key, group);
    }
    for (const { ref, options, entries } of groups.values()) {
      this.#line.sendFrame({ type: 'open', ref, spaces: entries, presence: options.presence ?? false, ...(options.meta && { meta: options.meta }) });
    }
  }
  close(space: string): void {
    if (!this.#lives.get(space)?.isOpen) return;
    this.#lives.delete(space);
    this.#here.delete(space);
    this.#line.sendFrame({ type: 'close', space });
    this.host.live(space, false);
    this.flush(space);
  }
  signal(space: string, body: unknown): void { if (this.#line.state === 'up') this.#line.sendFrame({ type: 'signal', space, body }); }

  /** Older documents of an `append` collection, into the store. */
  history(space: string, collection: string, before: number | undefined, limit: number): Promise<{ more: boolean; isKept: boolean; count: number }> {
    return new Promise((resolve, reject) => {
      const ref = ++this.#ref;
      if (this.#line.state !== 'up' || !this.#line.sendFrame({ type: 'history', ref, space, collection, limit, ...(before !== undefined && { before }) })) {
        return reject(new TidegateError('unreachable', 'not connected'));
      }
      this.#asked.set(ref, { resolve, reject });
    });
  }

  /* ---- pushes ---- */

  /* Our outcomes up to here are on the disk: commits that take one in are strict. */
  #known(space: string): number {
    const first = this.host.outbox(space)[0];
    return first ? first.id - 1 : this.host.space(space)?.last ?? 0;
  }
  #again(space: string, id: number, retry: number): void {
    const live = this.#lives.get(space);
    if (!live) return;
    const isFirst = live.failed === 0;
    live.failed = isFirst ? id : Math.min(live.failed, id);
    if (isFirst) this.#line.later(retry, () => {
      const now = this.#lives.get(space);
      if (!now) return;
      const from = live.failed;
      live.failed = now.failed = 0;
      this.#rewind(space, now, from);
      this.flush(space);
    });
  }
  #floor(space: string): number { return this.#floors.get(space) ?? 0; }
  #raise(space: string, id: number): void { this.#floors.set(space, Math.max(this.#floor(space), id)); }
  #rewind(space: string, live: Live, from: number): void {
    for (const id of live.sent) if (id >= from) live.sent.delete(id);
    const base = Math.max(this.#floor(space), ...live.sent);
    live.base = base > 0 ? base : null;
  }
  /* Each push of a volley is told the gap; only the first unanswered counts. */
  #gap(space: string, id: number, after: number): void {
    const live = this.#lives.get(space), first = this.host.outbox(space).find((push) => live?.sent.has(push.id));
    if (after > (this.host.space(space)?.last ?? 0)) return void this.#fork(space, after);
    if (!live || (first && id > first.id) || id <= this.#floor(space)) return;
    live.base = Math.max(after, this.#floor(space));
    for (const sent of live.sent) if (sent > live.base) live.sent.delete(sent);
    this.flush(space);
  }

  /** Sends what may be sent to the space. */
  flush(space: string): void {
    if (this.#line.state !== 'up') return;
    const pushes = this.host.outbox(space);
    if (pushes.length === 0) return;
    const live = this.#lives.get(space) ?? (this.host.wanted().has(space) ? null : this.#born(space, false));
    if (!live?.isReady || live.isMarking || live.failed > 0) return;
    const due: OutboxRecord[] = [];
    let unanswered = 0;
    for (const push of pushes) {
      if (++unanswered > LIMITS.inflight) break;
      if (!live.sent.has(push.id)) due.push(push);
    }
    if (due.length === 0) return;
    const device = this.host.device(), now = this.host.times.server(device)!, expiry = (this.host.space(space)?.window ?? 0) * 2000;
    const isMarked = due.every((push) => push.sent !== null && (expiry === 0 || now - push.sent <= expiry));
    if (!isMarked) {
      live.isMarking = true;
      const ids = new Set(due.map((push) => push.id));
      void this.#commit((change) => change.markSent(space, ids, now)).then((isOurs) => {
        live.isMarking = false;
        const stands = this.#lives.get(space);
        if (stands) stands.isMarking = false;
        if (isOurs) this.flush(space);
      });
      return;
    }
    const known = this.#known(space);
    for (const push of due) {
      if (!this.#line.send(encodePush(push, live.base ?? push.after, known, this.host.times.age(push, device)))) return;
      live.base = push.id;
      live.sent.add(push.id);
    }
  }
}

/* What changes the store. */
const STORED = new Set(['welcome', 'current', 'page', 'update', 'result', 'closed']);

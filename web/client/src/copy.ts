/* A device's copy of its spaces, as transactions change it: what each frame does to the store, and nothing else.
 *
 * The session and the service worker both go through here, so that a background sync follows the very rules of the
 * live one. A `Change` gathers what one transaction touches and closes it with a delta a space.
 *
 * INVARIANTS
 * 1. A cursor moves only along `prev`, a page's `from`, or to nothing.
 * 2. A push leaves the outbox with its outcome alone, in the transaction of the cursor that covers it.
 * 3. Within a run a document never goes back to a lesser rev.
 * 4. What was refused is put into `refused` in the transaction that takes it out of the outbox.
 */
import { combine, documentHash, EMPTY_SUM } from './sum.js';
import { LIMITS, TidegateError, type Current, type Delta, type DeviceRecord, type DocRecord, type OutboxRecord, type Page, type RefusedRecord, type Result,
  type SpaceRecord, type Update, type WireDoc } from './types.js';
import type { Transaction } from './store.js';
import type { Operation } from './resolve.js';

/** What a frame found: `hole`: ask again from the cursor; `reset`: ask again from nothing; `forked`: this device id was another's. */
export type Taken = 'taken' | 'hole' | 'reset' | 'forked';

export function newDevice(): DeviceRecord {
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { key: 'device', device: id, user: null, log: null, next: 1, skew: null };
}

export function newSpace(space: string): SpaceRecord {
  return { space, seq: 0, cursor: null, last: 0, newest: 0, ahead: 0, window: 0, run: 0, resetting: false, synced: false, sums: {}, packed: 0, partial: {} };
}

export class Change {
  readonly #deltas = new Map<string, Delta>();
  #isDeviceChanged = false;

  private constructor(readonly tx: Transaction, readonly device: DeviceRecord, private readonly wall: number) {}

  static async begin(tx: Transaction, wall: number): Promise<Change> {
    const found = await tx.get<DeviceRecord>('device', 'device'), change = new Change(tx, found ?? newDevice(), wall);
    if (!found) change.touchDevice();
    return change;
  }

  touchDevice(): void { this.#isDeviceChanged = true; }

  async of(space: string): Promise<Delta> {
    let delta = this.#deltas.get(space);
    if (!delta) {
      const state = (await this.tx.get<SpaceRecord>('spaces', space)) ?? newSpace(space);
      delta = this.#deltas.get(space) ?? { space, state, docs: [], dropped: [], queued: [], outcomes: [], refused: [] };
      this.#deltas.set(space, delta);
    }
    return delta;
  }

  /** Writes what was gathered; the deltas are news as soon as the transaction has ended well. */
  async end(): Promise<Delta[]> {
    for (const { state } of this.#deltas.values()) {
      state.seq++;
      void this.tx.put('spaces', state);
    }
    if (this.#isDeviceChanged) await this.tx.put('device', this.device);
    return [...this.#deltas.values()];
  }

  outbox(space: string): Promise<OutboxRecord[]> { return this.tx.all<OutboxRecord>('outbox', space); }

  /* ---- what the app writes ---- */

  async queue(space: string, ops: Operation[], stamp: Pick<OutboxRecord, 'life' | 'mono' | 'wall' | 'at'>, sent: number | null): Promise<OutboxRecord> {
    const delta = await this.of(space), id = this.device.next++;
    for (const op of ops) if (op.base === undefined && op.op !== 'append') op.base = await this.#revOf(space, op);
    const push: OutboxRecord = { space, id, after: delta.state.last, ops, ...stamp, sent, log: sent === null ? null : this.device.log, stale: false };
    delta.state.last = id;
    delta.queued.push(push);
    this.touchDevice();
    await this.tx.put('outbox', push);
    return push;
  }
  async #revOf(space: string, op: Operation): Promise<number> {
    return (await this.tx.get<DocRecord>('docs', [space, op.collection, op.id]))?.rev ?? 0;
  }

  /* ---- documents ---- */

  /* All at once; of one that is named twice the last counts. */
  async #storeAll(delta: Delta, docs: WireDoc[], isRun: boolean): Promise<void> {
    const last = new Map(docs.map((doc) => [`${doc.collection}/${doc.id}`, doc]));
    await Promise.all([...last.values()].map((doc) => this.#store(delta, doc, isRun)));
  }
  async #store(delta: Delta, doc: WireDoc, isRun: boolean): Promise<void> {
    const { state } = delta, { collection, id } = doc, held = await this.tx.get<DocRecord>('docs', [delta.space, collection, id]);
    const isCurrent = held !== undefined && held.run === state.run;
    if (isRun) state.newest = Math.max(state.newest, doc.rev);
    if (isCurrent && held.rev > doc.rev) return;
    const record: DocRecord = { space: delta.space, collection, id, rev: doc.rev, time: doc.time, user: doc.user, hash: '', run: state.run, seq: state.seq + 1 };
    if (doc.body !== undefined) {
      record.body = doc.body;
      record.hash = documentHash(id, doc.rev, doc.body);
    } else record.deleted = true;
    const born = doc.born ?? (isCurrent ? held.born : undefined);
    if (born !== undefined) record.born = born;
    this.#addToSum(state, collection, isCurrent ? held.hash : '', record.hash);
    delta.docs.push(record);
    await this.tx.put('docs', record);
  }
  #addToSum(state: SpaceRecord, collection: string, out: string, into: string): void {
    for (const hash of [out, into]) if (hash !== '') state.sums[collection] = combine(state.sums[collection] ?? EMPTY_SUM, hash);
  }

  /** Documents that a history or a result brought: kept only if nothing newer has been seen. False: ask again. */
  async ahead(space: string, docs: WireDoc[], at: number): Promise<boolean> {
    const delta = await this.of(space), { state } = delta;
    if (at < state.newest || state.resetting) return false;
    await this.#storeAll(delta, docs, false);
    for (const doc of docs) if (doc.rev > state.newest) state.ahead = Math.max(state.ahead, doc.rev);
    return true;
  }
  /** What a history brought, newest first. It closes what a tail left out from above: as far as it goes, or whole. */
  async history({ space, docs, at, more }: Page): Promise<boolean> {
    const held = await Promise.all(docs.map((doc) => this.tx.get('docs', [space, doc.collection, doc.id]))), isKept = await this.ahead(space, docs, at!);
    const last = docs.at(-1), { state } = await this.of(space);
    if (!isKept || !last) return isKept;
    const { collection } = last, left = state.partial[collection];
    if (!more) delete state.partial[collection];
    else if (left !== undefined) state.partial[collection] = held.at(-1) ? 0 : Math.min(left || Infinity, last.born ?? 0);
    return true;
  }

  /* ---- the stream ---- */

  async current({ space, cursor, pushed, window }: Current): Promise<Taken> {
    const delta = await this.of(space), { state } = delta;
    if (pushed > state.last) return 'forked';
    Object.assign(state, { cursor, window, synced: true });
    return this.#settleUpTo(delta, pushed, []);
  }

  async page(page: Page): Promise<Taken> {
    const delta = await this.of(page.space), { state } = delta;
    if (page.reset && page.from === null) await this.#beginReset(delta);
    else if (page.from !== state.cursor) return 'hole';
    else if (state.resetting && !page.reset) return 'reset';
    if ((page.pushed ?? 0) > state.last) return 'forked';
    await this.#storeAll(delta, page.docs, true);
    for (const [collection, rev] of Object.entries(page.tail ?? {})) state.partial[collection] = Math.max(rev, state.partial[collection] ?? 0);
    state.cursor = page.to!;
    if (page.more) return 'taken';
    if (state.resetting) await this.#endReset(delta);
    state.window = page.window ?? state.window;
    state.synced = true;
    const settled = await this.#settleUpTo(delta, page.pushed ?? 0, page.refused ?? []);
    return settled === 'taken' && !this.#sumsAgree(state, page.sum ?? {}) ? 'reset' : settled;
  }

  /* What the run will name replaces the copy; its bases and sums count from here. The outbox is not touched but for that. */
  async #beginReset(delta: Delta): Promise<void> {
    const { state } = delta;
    Object.assign(state, { run: state.run + 1, resetting: true, newest: 0, ahead: 0, sums: {}, partial: {} });
    for (const push of await this.outbox(delta.space)) {
      if (push.stale) continue;
      if (push.sent === null && push.ops.some((op) => typeof op.if === 'number')) {
        await this.refuse(delta, push, 'rejected', 'precondition', 'its copy was replaced');
      } else {
        push.stale = true;
        delta.queued.push(push);
        await this.tx.put('outbox', push);
      }
    }
  }
  async #endReset(delta: Delta): Promise<void> {
    const { state } = delta;
    state.resetting = false;
    await this.#unpack(state);
    for (const doc of await this.tx.all<DocRecord>('docs', delta.space)) {
      if (doc.run === state.run) continue;
      delta.dropped.push([doc.collection, doc.id]);
      await this.tx.delete('docs', [doc.space, doc.collection, doc.id]);
    }
  }
  async #unpack(state: SpaceRecord): Promise<void> {
    state.packed = 0;
    await this.tx.deleteAll('packs', state.space);
  }
  #sumsAgree(state: SpaceRecord, told: Record<string, string>): boolean {
    if (state.ahead > state.newest) return true; /* not comparable yet */
    const names = new Set([...Object.keys(told), ...Object.keys(state.sums)]);
    return [...names].every((name) => name in state.partial || (told[name] ?? EMPTY_SUM) === (state.sums[name] ?? EMPTY_SUM));
  }

  async update(update: Update): Promise<Taken> {
    const delta = await this.of(update.space), { state } = delta;
    if (update.prev !== state.cursor || state.resetting) return 'hole';
    const isOurs = update.user === this.device.user && update.device === this.device.device;
    const push = isOurs ? await this.tx.get<OutboxRecord>('outbox', [update.space, update.push]) : undefined;
    if (update.docs) await this.#storeAll(delta, update.docs, true);
    else if (!push) return 'hole'; /* its documents are asked for */
    else for (const op of push.ops) await this.#storeOwn(delta, update, op);
    state.newest = Math.max(state.newest, update.rev);
    state.cursor = update.cursor;
    if (push) await this.#settle(delta, push, 'applied');
    return 'taken';
  }
  /* The server left out what we know: each document came out as we pushed it. */
  async #storeOwn(delta: Delta, update: Update, op: Operation): Promise<void> {
    const { rev, time, user } = update, doc: WireDoc = { collection: op.collection, id: op.id, rev, time, user };
    if (op.op === 'delete') doc.deleted = true;
    else if (op.body !== undefined) doc.body = op.body;
    if (op.op === 'append') doc.born = rev;
    await this.#store(delta, doc, true);
  }

  async result(result: Result): Promise<Taken> {
    const push = await this.tx.get<OutboxRecord>('outbox', [result.space, result.id]);
    if (!push) return 'taken';
    if (result.docs && result.at !== undefined) await this.ahead(result.space, result.docs, result.at);
    await this.#decide(await this.of(result.space), push, result);
    return 'taken';
  }

  /* ---- outcomes ---- */

  async #decide(delta: Delta, push: OutboxRecord, { status, code, message, docs }: Result): Promise<void> {
    if (status === 'applied') await this.#settle(delta, push, code === 'lost' ? 'lost' : 'applied');
    else await this.refuse(delta, push, status, code ?? status, message ?? '', docs);
  }
  /* A push that was never sent, yet counts as taken in: an earlier life of this store sent another under its id. */
  async #settleUpTo(delta: Delta, pushed: number, refused: Result[]): Promise<Taken> {
    const covered = (await this.outbox(delta.space)).filter((push) => push.id <= pushed);
    if (covered.some((push) => push.sent === null)) return 'forked';
    for (const push of covered) await this.#decide(delta, push, refused.find((one) => one.id === push.id) ?? { id: push.id, space: delta.space, status: 'applied' });
    return 'taken';
  }
  async #settle(delta: Delta, push: OutboxRecord, status: 'applied' | 'lost'): Promise<void> {
    delta.outcomes.push({ space: delta.space, id: push.id, status });
    await this.tx.delete('outbox', [delta.space, push.id]);
  }
  async refuse(delta: Delta, push: OutboxRecord, status: RefusedRecord['status'], code: string, message: string, docs: WireDoc[] = []): Promise<void> {
    const record: RefusedRecord = { space: delta.space, id: push.id, status, code, message, ops: push.ops, docs, time: this.wall };
    delta.outcomes.push({ space: delta.space, id: push.id, status, code, message });
    await this.tx.delete('outbox', [delta.space, push.id]);
    if (push.ops.length === 0) return; /* a barrier: nothing for its user to settle */
    delta.refused.push({ ...record, key: await this.tx.put('refused', record) as number });
    const all = await this.tx.all<RefusedRecord>('refused');
    for (const old of all.slice(0, Math.max(0, all.length - LIMITS.refused))) await this.tx.delete('refused', old.key!);
  }

  /* ---- what ends a copy ---- */

  /** Access was taken away: the copy goes, the outbox stays. */
  async purge(space: string): Promise<void> {
    const delta = await this.of(space);
    for (const doc of await this.tx.all<DocRecord>('docs', space)) delta.dropped.push([doc.collection, doc.id]);
    await this.tx.deleteAll('docs', space);
    await this.#unpack(delta.state);
    const { seq, last, window, run } = delta.state;
    Object.assign(delta.state, newSpace(space), { seq, last, window, run: run + 1 });
  }

  /** A gateway said whose we are and under which log. Every space begins anew under another log; what was sent to the old one is unknown. */
  async welcome(user: string, log: string, skew: number): Promise<void> {
    const { device } = this;
    if (device.user !== null && device.user !== user) throw new TidegateError('other_user', `this store is ${device.user}'s; the token is ${user}'s`);
    if (device.log !== null && device.log !== log) {
      for (const state of await this.tx.all<SpaceRecord>('spaces')) {
        const delta = await this.of(state.space);
        Object.assign(delta.state, { cursor: null, resetting: false });
        for (const push of await this.outbox(state.space)) if (push.sent !== null) await this.refuse(delta, push, 'unknown', 'unknown', 'sent to a log that was lost');
      }
    }
    Object.assign(device, { user, log, skew });
    this.touchDevice();
  }

  /** Marks pushes as sent from now on, and refuses what can't be sent any more: `expiry` is twice the window. */
  async markSent(space: string, ids: Set<number>, now: number): Promise<void> {
    const delta = await this.of(space), expiry = delta.state.window * 2000;
    for (const push of await this.outbox(space)) {
      if (push.sent !== null && expiry > 0 && now - push.sent > expiry) await this.refuse(delta, push, 'unknown', 'unknown', 'too old to be sent again');
      else if (push.sent === null && ids.has(push.id)) {
        Object.assign(push, { sent: now, log: this.device.log });
        delta.queued.push(push);
        await this.tx.put('outbox', push);
      }
    }
  }

  /** This device id was used before, for pushes up to `after` to the space: a new one. What may have been applied is unknown, the rest goes on. */
  async fork(space: string, after: number): Promise<void> {
    Object.assign(this.device, { device: newDevice().device });
    this.touchDevice();
    for (const { space: name } of await this.tx.all<SpaceRecord>('spaces')) {
      const delta = await this.of(name);
      let last = 0;
      for (const push of await this.outbox(name)) {
        if (name === space ? push.id <= after : push.sent !== null) {
          await this.refuse(delta, push, 'unknown', 'unknown', 'the device was restored from an old copy');
          continue;
        }
        Object.assign(push, { after: last, sent: null, log: null });
        last = push.id;
        delta.queued.push(push);
        await this.tx.put('outbox', push);
      }
      delta.state.last = last;
    }
    this.device.next = Math.max(this.device.next, after + 1);
  }
}

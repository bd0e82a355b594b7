// src/sum.ts
var P1 = { hi: 2654435761, lo: 2246822535 };
var P2 = { hi: 3266489917, lo: 668265295 };
var P3 = { hi: 374761393, lo: 2654435833 };
var P4 = { hi: 2246822519, lo: 3266489955 };
var P5 = { hi: 668265263, lo: 374761413 };
function add(a, hi, lo) {
  const low = (a.lo >>> 0) + (lo >>> 0);
  a.hi = a.hi + hi + (low > 4294967295 ? 1 : 0) | 0;
  a.lo = low | 0;
}
function multiply(a, b) {
  const a0 = a.lo & 65535, a1 = a.lo >>> 16, b0 = b.lo & 65535, b1 = b.lo >>> 16;
  const low = a0 * b0, middle = a1 * b0 + (low >>> 16), cross = a0 * b1 + (middle & 65535);
  const carried = a1 * b1 + Math.floor(middle / 65536) + Math.floor(cross / 65536);
  a.hi = carried + Math.imul(a.hi, b.lo) + Math.imul(a.lo, b.hi) | 0;
  a.lo = cross << 16 | low & 65535;
}
function rotate(a, by) {
  const { hi, lo } = a;
  if (by < 32) {
    a.hi = hi << by | lo >>> 32 - by;
    a.lo = lo << by | hi >>> 32 - by;
  } else {
    const rest = by - 32;
    a.hi = rest === 0 ? lo : lo << rest | hi >>> 32 - rest;
    a.lo = rest === 0 ? hi : hi << rest | lo >>> 32 - rest;
  }
}
function exclusive(a, b) {
  a.hi ^= b.hi;
  a.lo ^= b.lo;
}
function fold(a, by) {
  const { hi, lo } = a;
  if (by >= 32) a.lo ^= hi >>> by - 32;
  else {
    a.lo ^= lo >>> by | hi << 32 - by;
    a.hi ^= hi >>> by;
  }
}
function round(acc, hi, lo) {
  const input = { hi, lo };
  multiply(input, P2);
  add(acc, input.hi, input.lo);
  rotate(acc, 31);
  multiply(acc, P1);
}
function hex(word) {
  return (word.hi >>> 0).toString(16).padStart(8, "0") + (word.lo >>> 0).toString(16).padStart(8, "0");
}
function xxh64(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), length = bytes.length;
  const at = (i2) => [view.getInt32(i2 + 4, true), view.getInt32(i2, true)];
  let h = { ...P5 }, i = 0;
  if (length >= 32) {
    const lanes = [{ ...P1 }, { ...P2 }, { hi: 0, lo: 0 }, { hi: 0, lo: 0 }];
    add(lanes[0], P2.hi, P2.lo);
    add(lanes[3], ~P1.hi, ~P1.lo);
    add(lanes[3], 0, 1);
    for (; i + 32 <= length; i += 32) lanes.forEach((lane, n) => round(lane, ...at(i + 8 * n)));
    h = { hi: 0, lo: 0 };
    lanes.forEach((lane, n) => {
      const turned = { ...lane };
      rotate(turned, [1, 7, 12, 18][n]);
      add(h, turned.hi, turned.lo);
    });
    for (const lane of lanes) {
      const value = { hi: 0, lo: 0 };
      round(value, lane.hi, lane.lo);
      exclusive(h, value);
      multiply(h, P1);
      add(h, P4.hi, P4.lo);
    }
  }
  add(h, 0, length);
  for (; i + 8 <= length; i += 8) {
    const value = { hi: 0, lo: 0 };
    round(value, ...at(i));
    exclusive(h, value);
    rotate(h, 27);
    multiply(h, P1);
    add(h, P4.hi, P4.lo);
  }
  if (i + 4 <= length) {
    const value = { hi: 0, lo: view.getInt32(i, true) };
    multiply(value, P1);
    exclusive(h, value);
    rotate(h, 23);
    multiply(h, P2);
    add(h, P3.hi, P3.lo);
    i += 4;
  }
  for (; i < length; i++) {
    const value = { hi: 0, lo: bytes[i] };
    multiply(value, P5);
    exclusive(h, value);
    rotate(h, 11);
    multiply(h, P1);
  }
  for (const [by, factor] of [[33, P2], [29, P3]]) {
    fold(h, by);
    multiply(h, factor);
  }
  fold(h, 32);
  return hex(h);
}
var encoder = new TextEncoder();
function documentHash(id, rev, body) {
  return xxh64(encoder.encode(`${id}\0${rev}\0${body}`));
}
var EMPTY_SUM = "0".repeat(16);
function combine(a, b) {
  const part = (from) => ((parseInt(a.slice(from, from + 8), 16) ^ parseInt(b.slice(from, from + 8), 16)) >>> 0).toString(16).padStart(8, "0");
  return part(0) + part(8);
}

// src/types.ts
var TidegateError = class extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
    this.name = "TidegateError";
  }
  code;
};
var LIMITS = {
  outbox: 1e4,
  /* pushes waiting: a further write is refused, `outbox_full` */
  document: 262144,
  /* bytes of a body: `too_large` */
  frame: 1048576,
  /* bytes of one push's operations: `too_large` */
  ops: 512,
  /* operations of one push: `too_large` */
  inflight: 32,
  /* pushes to a space sent and unanswered; the gateway allows 64 past `known` */
  batch: 256,
  /* frames taken in by one transaction */
  queue: 2e4,
  /* frames that wait to be taken in: past it the connection ends, and goes on from the cursors */
  pack: 256,
  /* documents of one pack */
  fresh: 512,
  /* documents changed since the packs were made, at which they are made anew: these and a quarter of all */
  refused: 1e3
  /* refused records kept: the oldest goes */
};

// src/copy.ts
function newDevice() {
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { key: "device", device: id, user: null, log: null, next: 1, skew: null };
}
function newSpace(space) {
  return { space, seq: 0, cursor: null, last: 0, newest: 0, ahead: 0, window: 0, run: 0, resetting: false, synced: false, sums: {}, packed: 0, partial: {} };
}
var Change = class _Change {
  constructor(tx, device, wall) {
    this.tx = tx;
    this.device = device;
    this.wall = wall;
  }
  tx;
  device;
  wall;
  #deltas = /* @__PURE__ */ new Map();
  #isDeviceChanged = false;
  static async begin(tx, wall) {
    const found = await tx.get("device", "device"), change = new _Change(tx, found ?? newDevice(), wall);
    if (!found) change.touchDevice();
    return change;
  }
  touchDevice() {
    this.#isDeviceChanged = true;
  }
  async of(space) {
    let delta = this.#deltas.get(space);
    if (!delta) {
      const state = await this.tx.get("spaces", space) ?? newSpace(space);
      delta = this.#deltas.get(space) ?? { space, state, docs: [], dropped: [], queued: [], outcomes: [], refused: [] };
      this.#deltas.set(space, delta);
    }
    return delta;
  }
  /** Writes what was gathered; the deltas are news as soon as the transaction has ended well. */
  async end() {
    for (const { state } of this.#deltas.values()) {
      state.seq++;
      void this.tx.put("spaces", state);
    }
    if (this.#isDeviceChanged) await this.tx.put("device", this.device);
    return [...this.#deltas.values()];
  }
  outbox(space) {
    return this.tx.all("outbox", space);
  }
  /* ---- what the app writes ---- */
  async queue(space, ops, stamp, sent) {
    const delta = await this.of(space), id = this.device.next++;
    for (const op of ops) if (op.base === void 0 && op.op !== "append") op.base = await this.#revOf(space, op);
    const push = { space, id, after: delta.state.last, ops, ...stamp, sent, log: sent === null ? null : this.device.log, stale: false };
    delta.state.last = id;
    delta.queued.push(push);
    this.touchDevice();
    await this.tx.put("outbox", push);
    return push;
  }
  async #revOf(space, op) {
    return (await this.tx.get("docs", [space, op.collection, op.id]))?.rev ?? 0;
  }
  /* ---- documents ---- */
  /* All at once; of one that is named twice the last counts. */
  async #storeAll(delta, docs, isRun) {
    const last = new Map(docs.map((doc) => [`${doc.collection}/${doc.id}`, doc]));
    await Promise.all([...last.values()].map((doc) => this.#store(delta, doc, isRun)));
  }
  async #store(delta, doc, isRun) {
    const { state } = delta, { collection, id } = doc, held = await this.tx.get("docs", [delta.space, collection, id]);
    const isCurrent = held !== void 0 && held.run === state.run;
    if (isRun) state.newest = Math.max(state.newest, doc.rev);
    if (isCurrent && held.rev > doc.rev) return;
    const record = { space: delta.space, collection, id, rev: doc.rev, time: doc.time, user: doc.user, hash: "", run: state.run, seq: state.seq + 1 };
    if (doc.body !== void 0) {
      record.body = doc.body;
      record.hash = documentHash(id, doc.rev, doc.body);
    } else record.deleted = true;
    const born = doc.born ?? (isCurrent ? held.born : void 0);
    if (born !== void 0) record.born = born;
    this.#addToSum(state, collection, isCurrent ? held.hash : "", record.hash);
    delta.docs.push(record);
    await this.tx.put("docs", record);
  }
  #addToSum(state, collection, out, into) {
    for (const hash of [out, into]) if (hash !== "") state.sums[collection] = combine(state.sums[collection] ?? EMPTY_SUM, hash);
  }
  /** Documents that a history or a result brought: kept only if nothing newer has been seen. False: ask again. */
  async ahead(space, docs, at) {
    const delta = await this.of(space), { state } = delta;
    if (at < state.newest || state.resetting) return false;
    await this.#storeAll(delta, docs, false);
    for (const doc of docs) if (doc.rev > state.newest) state.ahead = Math.max(state.ahead, doc.rev);
    return true;
  }
  /** What a history brought, newest first. It closes what a tail left out from above: as far as it goes, or whole. */
  async history({ space, docs, at, more }) {
    const held = await Promise.all(docs.map((doc) => this.tx.get("docs", [space, doc.collection, doc.id]))), isKept = await this.ahead(space, docs, at);
    const last = docs.at(-1), { state } = await this.of(space);
    if (!isKept || !last) return isKept;
    const { collection } = last, left = state.partial[collection];
    if (!more) delete state.partial[collection];
    else if (left !== void 0) state.partial[collection] = held.at(-1) ? 0 : Math.min(left || Infinity, last.born ?? 0);
    return true;
  }
  /* ---- the stream ---- */
  async current({ space, cursor, pushed, window }) {
    const delta = await this.of(space), { state } = delta;
    if (pushed > state.last) return "forked";
    Object.assign(state, { cursor, window, synced: true });
    return this.#settleUpTo(delta, pushed, []);
  }
  async page(page) {
    const delta = await this.of(page.space), { state } = delta;
    if (page.reset && page.from === null) await this.#beginReset(delta);
    else if (page.from !== state.cursor) return "hole";
    else if (state.resetting && !page.reset) return "reset";
    if ((page.pushed ?? 0) > state.last) return "forked";
    await this.#storeAll(delta, page.docs, true);
    for (const [collection, rev] of Object.entries(page.tail ?? {})) state.partial[collection] = Math.max(rev, state.partial[collection] ?? 0);
    state.cursor = page.to;
    if (page.more) return "taken";
    if (state.resetting) await this.#endReset(delta);
    state.window = page.window ?? state.window;
    state.synced = true;
    const settled = await this.#settleUpTo(delta, page.pushed ?? 0, page.refused ?? []);
    return settled === "taken" && !this.#sumsAgree(state, page.sum ?? {}) ? "reset" : settled;
  }
  /* What the run will name replaces the copy; its bases and sums count from here. The outbox is not touched but for that. */
  async #beginReset(delta) {
    const { state } = delta;
    Object.assign(state, { run: state.run + 1, resetting: true, newest: 0, ahead: 0, sums: {}, partial: {} });
    for (const push of await this.outbox(delta.space)) {
      if (push.stale) continue;
      if (push.sent === null && push.ops.some((op) => typeof op.if === "number")) {
        await this.refuse(delta, push, "rejected", "precondition", "its copy was replaced");
      } else {
        push.stale = true;
        delta.queued.push(push);
        await this.tx.put("outbox", push);
      }
    }
  }
  async #endReset(delta) {
    const { state } = delta;
    state.resetting = false;
    await this.#unpack(state);
    for (const doc of await this.tx.all("docs", delta.space)) {
      if (doc.run === state.run) continue;
      delta.dropped.push([doc.collection, doc.id]);
      await this.tx.delete("docs", [doc.space, doc.collection, doc.id]);
    }
  }
  async #unpack(state) {
    state.packed = 0;
    await this.tx.deleteAll("packs", state.space);
  }
  #sumsAgree(state, told) {
    if (state.ahead > state.newest) return true;
    const names = /* @__PURE__ */ new Set([...Object.keys(told), ...Object.keys(state.sums)]);
    return [...names].every((name) => name in state.partial || (told[name] ?? EMPTY_SUM) === (state.sums[name] ?? EMPTY_SUM));
  }
  async update(update) {
    const delta = await this.of(update.space), { state } = delta;
    if (update.prev !== state.cursor || state.resetting) return "hole";
    const isOurs = update.user === this.device.user && update.device === this.device.device;
    const push = isOurs ? await this.tx.get("outbox", [update.space, update.push]) : void 0;
    if (update.docs) await this.#storeAll(delta, update.docs, true);
    else if (!push) return "hole";
    else for (const op of push.ops) await this.#storeOwn(delta, update, op);
    state.newest = Math.max(state.newest, update.rev);
    state.cursor = update.cursor;
    if (push) await this.#settle(delta, push, "applied");
    return "taken";
  }
  /* The server left out what we know: each document came out as we pushed it. */
  async #storeOwn(delta, update, op) {
    const { rev, time, user } = update, doc = { collection: op.collection, id: op.id, rev, time, user };
    if (op.op === "delete") doc.deleted = true;
    else if (op.body !== void 0) doc.body = op.body;
    if (op.op === "append") doc.born = rev;
    await this.#store(delta, doc, true);
  }
  async result(result) {
    const push = await this.tx.get("outbox", [result.space, result.id]);
    if (!push) return "taken";
    if (result.docs && result.at !== void 0) await this.ahead(result.space, result.docs, result.at);
    await this.#decide(await this.of(result.space), push, result);
    return "taken";
  }
  /* ---- outcomes ---- */
  async #decide(delta, push, { status, code, message, docs }) {
    if (status === "applied") await this.#settle(delta, push, code === "lost" ? "lost" : "applied");
    else await this.refuse(delta, push, status, code ?? status, message ?? "", docs);
  }
  /* A push that was never sent, yet counts as taken in: an earlier life of this store sent another under its id. */
  async #settleUpTo(delta, pushed, refused) {
    const covered = (await this.outbox(delta.space)).filter((push) => push.id <= pushed);
    if (covered.some((push) => push.sent === null)) return "forked";
    for (const push of covered) await this.#decide(delta, push, refused.find((one) => one.id === push.id) ?? { id: push.id, space: delta.space, status: "applied" });
    return "taken";
  }
  async #settle(delta, push, status) {
    delta.outcomes.push({ space: delta.space, id: push.id, status });
    await this.tx.delete("outbox", [delta.space, push.id]);
  }
  async refuse(delta, push, status, code, message, docs = []) {
    const record = { space: delta.space, id: push.id, status, code, message, ops: push.ops, docs, time: this.wall };
    delta.outcomes.push({ space: delta.space, id: push.id, status, code, message });
    await this.tx.delete("outbox", [delta.space, push.id]);
    if (push.ops.length === 0) return;
    delta.refused.push({ ...record, key: await this.tx.put("refused", record) });
    const all = await this.tx.all("refused");
    for (const old of all.slice(0, Math.max(0, all.length - LIMITS.refused))) await this.tx.delete("refused", old.key);
  }
  /* ---- what ends a copy ---- */
  /** Access was taken away: the copy goes, the outbox stays. */
  async purge(space) {
    const delta = await this.of(space);
    for (const doc of await this.tx.all("docs", space)) delta.dropped.push([doc.collection, doc.id]);
    await this.tx.deleteAll("docs", space);
    await this.#unpack(delta.state);
    const { seq, last, window, run } = delta.state;
    Object.assign(delta.state, newSpace(space), { seq, last, window, run: run + 1 });
  }
  /** A gateway said whose we are and under which log. Every space begins anew under another log; what was sent to the old one is unknown. */
  async welcome(user, log, skew) {
    const { device } = this;
    if (device.user !== null && device.user !== user) throw new TidegateError("other_user", `this store is ${device.user}'s; the token is ${user}'s`);
    if (device.log !== null && device.log !== log) {
      for (const state of await this.tx.all("spaces")) {
        const delta = await this.of(state.space);
        Object.assign(delta.state, { cursor: null, resetting: false });
        for (const push of await this.outbox(state.space)) if (push.sent !== null) await this.refuse(delta, push, "unknown", "unknown", "sent to a log that was lost");
      }
    }
    Object.assign(device, { user, log, skew });
    this.touchDevice();
  }
  /** Marks pushes as sent from now on, and refuses what can't be sent any more: `expiry` is twice the window. */
  async markSent(space, ids, now) {
    const delta = await this.of(space), expiry = delta.state.window * 2e3;
    for (const push of await this.outbox(space)) {
      if (push.sent !== null && expiry > 0 && now - push.sent > expiry) await this.refuse(delta, push, "unknown", "unknown", "too old to be sent again");
      else if (push.sent === null && ids.has(push.id)) {
        Object.assign(push, { sent: now, log: this.device.log });
        delta.queued.push(push);
        await this.tx.put("outbox", push);
      }
    }
  }
  /** This device id was used before, for pushes up to `after` to the space: a new one. What may have been applied is unknown, the rest goes on. */
  async fork(space, after) {
    Object.assign(this.device, { device: newDevice().device });
    this.touchDevice();
    for (const { space: name } of await this.tx.all("spaces")) {
      const delta = await this.of(name);
      let last = 0;
      for (const push of await this.outbox(name)) {
        if (name === space ? push.id <= after : push.sent !== null) {
          await this.refuse(delta, push, "unknown", "unknown", "the device was restored from an old copy");
          continue;
        }
        Object.assign(push, { after: last, sent: null, log: null });
        last = push.id;
        delta.queued.push(push);
        await this.tx.put("outbox", push);
      }
      delta.state.last = last;
    }
    this.device.next = Math.max(this.device.next, after + 1);
  }
};

// src/clock.ts
var systemClock = { mono: () => performance.now(), wall: () => Date.now() };
var SET_MS = 1e4;
var Times = class {
  constructor(clock) {
    this.clock = clock;
  }
  clock;
  life = crypto.getRandomValues(new Uint32Array(2)).join("-");
  /* our clock less that of another page, by its life */
  #others = /* @__PURE__ */ new Map([[this.life, 0]]);
  #serverLessMono = null;
  #isWallSteady = false;
  /** Both clocks now, for `welcome`: taken when a frame arrives, for it may wait before it is taken in. */
  read() {
    return { mono: this.clock.mono(), wall: this.clock.wall() };
  }
  /** A welcome said the server's time, which was between our hello and its arrival; the new difference to the wall clock. */
  welcome(time, skew, sent, heard) {
    const then = time + Math.min(Math.max(0, heard.mono - sent.mono) / 2, SET_MS / 2), now = then - heard.wall;
    this.#serverLessMono = then - heard.mono;
    this.#isWallSteady = skew !== null && Math.abs(now - skew) < SET_MS;
    return now;
  }
  /** Another page's clock stands there now. */
  meet(life, mono) {
    if (life !== this.life) this.#others.set(life, this.clock.mono() - mono);
  }
  mono() {
    return this.clock.mono();
  }
  wall() {
    return this.clock.wall();
  }
  /** The server's time, as far as it is known. */
  server(device) {
    if (this.#serverLessMono !== null) return this.clock.mono() + this.#serverLessMono;
    return device.skew === null ? null : this.clock.wall() + device.skew;
  }
  stamp(device) {
    return { life: this.life, mono: this.clock.mono(), wall: this.clock.wall(), at: this.server(device) };
  }
  /** ms since the edit; null: not known. */
  age(push, device) {
    const byWall = this.clock.wall() - push.wall, offset = this.#others.get(push.life), server = this.server(device);
    let age = byWall;
    if (offset !== void 0) age = Math.max(this.clock.mono() - push.mono - offset, this.#isWallSteady ? byWall : 0);
    else if (push.at !== null && server !== null) age = Math.max(0, server - push.at);
    return age < 0 ? null : Math.round(age);
  }
};

// src/space.ts
var Space = class {
  /** @internal */
  constructor(client, name) {
    this.client = client;
    this.name = name;
    this.receipts = new Receipts(this);
  }
  client;
  name;
  /** Marks of how far each has got in this space's messages (collection `receipts`). */
  receipts;
  /** One kind of document in it. `T` is the shape of their bodies. */
  collection(name) {
    return new Collection(this, name);
  }
  /** One document: `space.doc('items/tea')`. */
  doc(path) {
    const slash = path.indexOf("/");
    return new DocRef(this, path.slice(0, slash), path.slice(slash + 1));
  }
  /** One atomic push of several operations. Resolves when it is safe in the outbox. */
  write(operations) {
    return this.client.write(this.name, operations);
  }
  /** Gathers operations into one push: `space.batch().put('items', 'tea', {..}).increment('items', 'milk', 'qty').commit()`. */
  batch() {
    return new Batch(this);
  }
  /** Resolves when everything that was in the space before it has arrived here. */
  async barrier() {
    await (await this.write([])).settled();
  }
  /** Has it been taken in whole at least once? */
  get hasSynced() {
    return this.client.stateOf(this.name)?.synced ?? false;
  }
  /** How far its copy is, and the sum of each collection: two devices with the same cursor hold the same sums. */
  get position() {
    const { cursor = null, sums = {} } = this.client.stateOf(this.name) ?? {};
    return { cursor, sums };
  }
  /** Tells others who have it open now, without keeping it: typing, a pointer's place. */
  signal(body) {
    this.client.signal(this.name, body);
  }
  /** Called with what others tell so. */
  onSignal(listener) {
    return this.client.on("signal", (signal) => {
      if (signal.space === this.name) listener(signal);
    });
  }
  /** Who is here, as far as the space was opened with `presence`. */
  here() {
    return this.client.hereIn(this.name);
  }
  /** Called with who is here now, and whenever that changes. */
  onPresence(listener) {
    listener(this.here());
    return this.client.on("presence", (space) => {
      if (space === this.name) listener(this.here());
    });
  }
  /** Shows `meta` to others with one's presence from now on. */
  track(meta) {
    this.client.space(this.name, { presence: true, meta });
  }
  /** No longer kept in step; its copy stays in the store. */
  close() {
    this.client.want(this.name, null);
  }
};
var Query = class _Query {
  /** @internal */
  constructor(space, name, options) {
    this.space = space;
    this.name = name;
    this.options = options;
  }
  space;
  name;
  options;
  #base = null;
  #made = null;
  /** Only some of the documents, or in another order. */
  query(options) {
    return new _Query(this.space, this.name, options);
  }
  /** The documents as this device has them. Reads the store the first time. */
  async get() {
    await this.space.client.view(this.space.name);
    return this.current();
  }
  /** As `get`, at once; null until the store has been read. */
  current() {
    const base = this.space.client.views.get(this.space.name)?.snapshot(this.name);
    if (!base) return null;
    if (base !== this.#base) this.#made = this.#derive(base);
    this.#base = base;
    return this.#made;
  }
  #derive(base) {
    if (!this.options) return base;
    const { where, orderBy, limit } = this.options;
    let docs = where ? base.docs.filter(where) : [...base.docs];
    if (orderBy) docs.sort(orderBy);
    if (limit !== void 0) docs = docs.slice(0, limit);
    return { docs, metadata: base.metadata };
  }
  /** Called with the documents now, and whenever they change; with `includeMetadataChanges` also when only the metadata does. */
  onSnapshot(listener, options = {}) {
    const { client } = this.space;
    let last = null, isOver = false;
    const tell = () => {
      const now = this.current();
      if (isOver || !now || now === last) return;
      const isSame = last !== null && last.docs === now.docs && !options.includeMetadataChanges;
      last = now;
      if (!isSame) listener(now);
    };
    const stop = client.listenTo(`${this.space.name}
${this.name}`, tell);
    void client.view(this.space.name).then(tell, () => {
    });
    return () => {
      isOver = true;
      stop();
    };
  }
  /** The same as `onSnapshot`. */
  subscribe(listener) {
    return this.onSnapshot(listener);
  }
  /** `for await (const { docs } of messages)`: the newest snapshot each time round; those between are left out. */
  async *[Symbol.asyncIterator]() {
    let next = null, wake = null;
    const stop = this.onSnapshot((snapshot) => {
      next = snapshot;
      wake?.();
    });
    try {
      for (; ; ) {
        if (!next) await new Promise((resolve2) => {
          wake = resolve2;
        });
        const snapshot = next;
        next = null;
        yield snapshot;
      }
    } finally {
      stop();
    }
  }
};
var Collection = class extends Query {
  /** @internal */
  constructor(space, name) {
    super(space, name, null);
  }
  /** One of its documents. */
  doc(id) {
    return new DocRef(this.space, this.name, id);
  }
  /** Adds a document to an `append` collection, under a new id unless one is given. */
  async append(body, id = newId()) {
    return { ...await this.space.write([{ op: "append", collection: this.name, id, body }]), docId: id };
  }
  /** Puts a new document under a new id. */
  async add(body) {
    const id = newId();
    return { ...await this.space.write([{ op: "put", collection: this.name, id, body, if: "absent" }]), docId: id };
  }
  /** Fetches older documents of an `append` collection into the copy, first what a tail left out between; false: there are no more. */
  async loadOlder(limit = 50) {
    const view = await this.space.client.view(this.space.name);
    for (let tries = 0; tries < 3; tries++) {
      const oldest = view.state.partial[this.name] || view.oldest(this.name), { more, isKept } = await this.space.client.history(this.space.name, this.name, oldest, limit);
      if (isKept) return more;
    }
    return true;
  }
};
var DocRef = class {
  /** @internal */
  constructor(space, collection, id) {
    this.space = space;
    this.collection = collection;
    this.id = id;
  }
  space;
  collection;
  id;
  /** The document as this device has it. */
  async get() {
    await this.space.client.view(this.space.name);
    return this.current();
  }
  /** As `get`, at once. */
  current() {
    return this.space.client.views.get(this.space.name)?.get(this.collection, this.id);
  }
  /** Called with the document now, and whenever it changes. */
  onSnapshot(listener) {
    let last = null;
    return new Collection(this.space, this.collection).onSnapshot(() => {
      const now = this.current();
      if (now !== last) listener(now);
      last = now;
    }, { includeMetadataChanges: true });
  }
  #push(op, more = {}) {
    return this.space.write([{ op, collection: this.collection, id: this.id, ...more }]);
  }
  /** Replaces the document. */
  set(body) {
    return this.#push("put", { body });
  }
  /** Changes some fields; null removes one. */
  update(fields) {
    return this.#push("patch", { body: fields });
  }
  /** Deletes it. */
  delete() {
    return this.#push("delete");
  }
  /** Adds to a counter; `min` and `max` clamp it. */
  increment(field, by = 1, bounds = {}) {
    return this.#push("incr", { field, by, ...bounds });
  }
  /** Adds values to a set. */
  addToSet(field, ...values) {
    return this.#push("add", { field, values });
  }
  /** Removes values from a set. */
  removeFromSet(field, ...values) {
    return this.#push("remove", { field, values });
  }
  /** Keeps the greater of the field and the value. */
  max(field, value) {
    return this.#push("max", { field, value });
  }
};
var Batch = class {
  /** @internal */
  constructor(space) {
    this.space = space;
  }
  space;
  #operations = [];
  /** Any operation. */
  do(operation) {
    this.#operations.push(operation);
    return this;
  }
  put(collection, id, body) {
    return this.do({ op: "put", collection, id, body });
  }
  patch(collection, id, body) {
    return this.do({ op: "patch", collection, id, body });
  }
  delete(collection, id) {
    return this.do({ op: "delete", collection, id });
  }
  append(collection, body, id = newId()) {
    return this.do({ op: "append", collection, id, body });
  }
  increment(collection, id, field, by = 1) {
    return this.do({ op: "incr", collection, id, field, by });
  }
  /** Resolves when all of it is safe in the outbox. */
  commit() {
    return this.space.write(this.#operations);
  }
};
var Receipts = class {
  /** @internal */
  constructor(space) {
    this.space = space;
  }
  space;
  #asked = { delivered: 0, read: 0 };
  /** This device's user has what was born up to there. */
  markDelivered(born) {
    return this.#mark("delivered", born);
  }
  /** This device's user has read what was born up to there. */
  markRead(born) {
    return this.#mark("read", born);
  }
  /** How far the user has got. */
  of(user) {
    const doc = this.space.doc(`receipts/${user}`).current();
    return { delivered: doc?.data.delivered ?? 0, read: doc?.data.read ?? 0 };
  }
  /** Called whenever anybody's mark moves. */
  onChange(listener) {
    return this.space.collection("receipts").onSnapshot(listener);
  }
  async #mark(field, born) {
    const { user } = this.space.client;
    if (user === null || !Number.isSafeInteger(born) || born <= Math.max(this.#asked[field], this.of(user)[field])) return;
    this.#asked[field] = born;
    await this.space.doc(`receipts/${user}`).max(field, born);
  }
};
function newId() {
  const random = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => (byte % 36).toString(36)).join("");
  return Date.now().toString(36).padStart(8, "0") + random;
}

// src/json.ts
var RawJson = class {
  /** @internal */
  constructor(text) {
    this.text = text;
  }
  text;
  toString() {
    return this.text;
  }
};
function raw(text) {
  JSON.parse(text);
  return new RawJson(text);
}
var QUOTE = 34;
var BACKSLASH = 92;
var OPEN_BRACE = 123;
var OPEN_BRACKET = 91;
var CLOSE_BRACE = 125;
var CLOSE_BRACKET = 93;
var COMMA = 44;
var COLON = 58;
function endOfString(text, at) {
  let end = at;
  do
    end = text.indexOf('"', end + 1);
  while (end >= 0 && isEscaped(text, end));
  if (end < 0) throw new SyntaxError("JSON ends inside a string");
  return end + 1;
}
function isEscaped(text, at) {
  let count = 0;
  while (text.charCodeAt(at - 1 - count) === BACKSLASH) count++;
  return count % 2 === 1;
}
function endOfValue(text, at) {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return endOfString(text, at);
  const nests = first === OPEN_BRACE || first === OPEN_BRACKET;
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = endOfString(text, i) - 1;
    else if (c === OPEN_BRACE || c === OPEN_BRACKET) depth++;
    else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
      if (!nests) return i;
      if (--depth === 0) return i + 1;
    } else if (!nests && (c === COMMA || c <= 32)) return i;
  }
  if (nests) throw new SyntaxError("JSON ends inside a value");
  return text.length;
}
function items(text) {
  const found = [];
  let at = 0;
  while (text.charCodeAt(at) <= 32) at++;
  for (at++; at < text.length; ) {
    const c = text.charCodeAt(at);
    if (c <= 32 || c === COMMA || c === COLON) at++;
    else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) break;
    else {
      const end = endOfValue(text, at);
      found.push(text.slice(at, end));
      at = end;
    }
  }
  return found;
}
function members(text) {
  const flat = items(text), found = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const quoted = flat[i], key = quoted.slice(1, -1);
    found.push({ name: key.includes("\\") ? JSON.parse(quoted) : key, key, value: flat[i + 1] });
  }
  return found;
}
function parse(text) {
  return /\d{16}/.test(text) ? parseExactly(text.trim()) : JSON.parse(text);
}
function parseExactly(text) {
  if (text[0] === "[") return items(text).map(parseExactly);
  if (text[0] === "{") {
    const entries = members(text).map(({ name, value }) => [name, parseExactly(value)]);
    return Object.fromEntries(entries);
  }
  if (/^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text))) return BigInt(text);
  return JSON.parse(text);
}
function stringify(value) {
  if (value instanceof RawJson) return value.text;
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map((one) => stringify(one === void 0 ? null : one)).join(",")}]`;
  if (typeof value === "object" && value !== null && !("toJSON" in value)) {
    const parts = Object.entries(value).filter(([, one]) => one !== void 0 && typeof one !== "function");
    return `{${parts.map(([name, one]) => `${JSON.stringify(name)}:${stringify(one)}`).join(",")}}`;
  }
  const text = JSON.stringify(value);
  if (text === void 0) throw new TypeError(`a ${typeof value} has no JSON`);
  return text;
}
function decimal(text) {
  const [, sign, whole = "", part = "", power = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  const digits = (whole + part).replace(/^0+/, ""), trimmed = digits.replace(/0+$/, "");
  if (trimmed === "") return { negative: false, digits: "", exponent: 0 };
  return { negative: sign === "-", digits: trimmed, exponent: Number(power) - part.length + digits.length - trimmed.length };
}
function isNumber(text) {
  return /^[-\d]/.test(text);
}
function compareNumbers(a, b) {
  const x = decimal(a), y = decimal(b), sign = (n) => n.digits === "" ? 0 : n.negative ? -1 : 1;
  if (sign(x) !== sign(y)) return sign(x) - sign(y);
  const size = x.digits.length + x.exponent - y.digits.length - y.exponent;
  const bigger = size !== 0 ? size : x.digits < y.digits ? -1 : x.digits > y.digits ? 1 : 0;
  return x.negative ? 0 - bigger : bigger;
}
function asInt64(text) {
  if (!isNumber(text)) return null;
  const { negative, digits, exponent } = decimal(text);
  if (exponent < 0 || digits.length + exponent > 19) return null;
  const value = BigInt(digits + "0".repeat(exponent)) * (negative ? -1n : 1n);
  return BigInt.asIntN(64, value) === value ? value : null;
}
function identity(text) {
  if (text[0] === '"') return `s${JSON.parse(text)}`;
  if (!isNumber(text)) return `o${text}`;
  const { negative, digits, exponent } = decimal(text);
  return `n${negative ? "-" : ""}${digits}e${exponent}`;
}

// src/wire.ts
function readDoc(text) {
  const doc = {};
  for (const { name, value } of members(text)) doc[name] = name === "body" ? value : JSON.parse(value);
  return doc;
}
function readFrame(text) {
  if (!text.includes('"docs"')) return JSON.parse(text);
  const frame = {};
  for (const { name, value } of members(text)) frame[name] = name === "docs" ? items(value).map(readDoc) : JSON.parse(value);
  return frame;
}
function readFrames(message) {
  return message.split("\n").filter((line) => line.trim() !== "").map(readFrame);
}
var COLLECTION = /^[a-z][a-z0-9_-]{0,31}$/;
var utf8 = new TextEncoder();
function writeOperation(input) {
  const { op, collection, id } = input, fail = (why) => {
    throw new TidegateError("invalid", `${op} ${collection}/${id}: ${why}`);
  };
  if (!COLLECTION.test(collection)) fail("not a collection's name");
  const bytes = utf8.encode(id).length;
  if (bytes < 1 || bytes > 128 || /[\u0000-\u001f\u007f]/.test(id)) fail("an id has 1 to 128 bytes, none a control");
  const made = { op, collection, id };
  if (input.base !== void 0) made.base = input.base;
  if (input.if !== void 0) made.if = input.if;
  if (op === "put" || op === "patch" || op === "append") {
    made.body = stringify(input.body ?? fail("needs a body"));
    if (!made.body.startsWith("{")) fail("a body is an object");
    if (utf8.encode(made.body).length > LIMITS.document) throw new TidegateError("too_large", `${collection}/${id}`);
  } else if (op !== "delete") {
    made.field = input.field ?? fail("needs a field");
    if (op === "incr") made.by = stringify(input.by ?? 1);
    for (const bound of ["min", "max"]) if (op === "incr" && input[bound] !== void 0) made[bound] = stringify(input[bound]);
    if (op === "max") made.value = stringify(input.value ?? fail("needs a value"));
    if (op === "add" || op === "remove") made.values = (input.values ?? fail("needs values")).map(stringify);
  }
  return made;
}
function encodeOperation(op, age, stale) {
  const parts = [`"op":"${op.op}"`, `"collection":"${op.collection}"`, `"id":${JSON.stringify(op.id)}`];
  if (age !== 0) parts.push(`"age":${age}`);
  if (op.base !== void 0) parts.push(`"base":${stale ? 0 : op.base}`);
  if (op.if !== void 0) parts.push(`"if":${JSON.stringify(op.if)}`);
  if (op.field !== void 0) parts.push(`"field":${JSON.stringify(op.field)}`);
  for (const name of ["body", "by", "min", "max", "value"]) if (op[name] !== void 0) parts.push(`"${name}":${op[name]}`);
  if (op.values !== void 0) parts.push(`"values":[${op.values.join(",")}]`);
  return `{${parts.join(",")}}`;
}
function encodePush(push, after, known, age) {
  const ops = push.ops.map((op) => encodeOperation(op, age, push.stale)).join(",");
  return `{"type":"push","id":${push.id},"after":${after},"space":${JSON.stringify(push.space)},"known":${known},"ops":[${ops}]}`;
}
function pushBytes(ops) {
  return ops.reduce((sum, op) => sum + utf8.encode(encodeOperation(op, 0, false)).length, 0);
}

// src/session.ts
var BACKOFF_MS = 400;
var STEADY_MS = 3e3;
var BACKOFF_MS_MAX = 2e4;
var PROBE_MS = 5e3;
var SEEN_MS = 1e3;
var REOPEN_MS = 700;
var REOPEN_MS_MAX = 3e4;
var HELLO_MS = 15e3;
var FINAL = { 4400: "bad_frame", 4403: "forbidden", 4409: "replaced" };
var Session = class {
  constructor(host) {
    this.host = host;
  }
  host;
  #socket = null;
  #state = "stopped";
  #lives = /* @__PURE__ */ new Map();
  #here = /* @__PURE__ */ new Map();
  #asked = /* @__PURE__ */ new Map();
  #timers = /* @__PURE__ */ new Set();
  #seen = /* @__PURE__ */ new Set();
  #queue = [];
  #isDraining = false;
  #retryTimer;
  #attempt = 0;
  #ref = 0;
  #notBefore = 0;
  #isTokenBad = false;
  #heard = 0;
  #greeted = null;
  /* the clocks when hello went out, and when its answer came */
  #answered = null;
  #tried = 0;
  /* ---- the connection ---- */
  start() {
    if (this.#state !== "stopped") return;
    this.#attempt = 0;
    void this.#connect();
  }
  stop(error = null) {
    clearTimeout(this.#retryTimer);
    this.#end();
    this.#turn("stopped", error);
  }
  /** The network may be back, or gone: find out now. */
  wake() {
    if (this.#state === "waiting") {
      this.#attempt = 0;
      void this.#connect();
    } else if (this.#state === "up") this.#probe();
  }
  #turn(state, error = null) {
    this.#state = state;
    this.host.state(state, error);
  }
  #later(ms, work) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }
  async #connect() {
    clearTimeout(this.#retryTimer);
    const wait = this.#notBefore - this.host.times.mono();
    if (wait > 0) return this.#retry(null);
    this.#turn("connecting");
    const tried = ++this.#tried;
    let token;
    try {
      token = await this.host.token(this.#isTokenBad);
    } catch (error) {
      if (tried === this.#tried && this.#state === "connecting") this.#retry(new TidegateError("unauthenticated", `no token: ${String(error)}`));
      return;
    }
    if (tried !== this.#tried || this.#state !== "connecting") return;
    const socket = this.#socket = this.host.connect();
    this.#later(HELLO_MS, () => {
      if (this.#state === "connecting") this.#drop(new TidegateError("unreachable", "no answer"));
    });
    socket.onopen = () => {
      const { device } = this.host.device();
      const text = JSON.stringify({ type: "hello", protocol: 1, token, device, client: this.host.name });
      this.#greeted = this.host.times.read();
      socket.send(text);
      this.host.frame(true, text.replace(token, "…"));
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      const read = this.host.times.read();
      this.#heard = read.mono;
      if (this.#state === "connecting") this.#answered = read;
      const lines = data.split("\n").filter(Boolean);
      try {
        readFrames(data).forEach((frame, i) => {
          this.host.frame(false, lines[i], frame);
          this.#queue.push(frame);
        });
      } catch (error) {
        return this.#drop(new TidegateError("bad_frame", String(error)));
      }
      if (this.#queue.length > LIMITS.queue) this.#drop(new TidegateError("overrun", "more comes than can be stored"));
      else void this.#drain();
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      if (code === 4401) this.#isTokenBad = true;
      if (code in FINAL) this.stop(new TidegateError(FINAL[code], reason || `closed with ${code}`));
      else this.#drop(code === 1e3 || code === 1001 || code === 1006 || code === 1012 ? null : new TidegateError(`closed_${code}`, reason));
    };
  }
  /* Everything that belongs to the connection goes with it. */
  #end() {
    const socket = this.#socket;
    this.#socket = null;
    this.#tried++;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.#queue = [];
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#seen.clear();
    for (const space of this.#lives.keys()) this.host.live(space, false);
    this.#lives.clear();
    for (const space of this.#here.keys()) this.host.presence(space, [], 0);
    this.#here.clear();
    for (const { reject } of this.#asked.values()) reject(new TidegateError("unreachable", "the connection ended"));
    this.#asked.clear();
  }
  #drop(error) {
    this.#end();
    this.#retry(error);
  }
  #retry(error) {
    const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** this.#attempt++), wait = this.#notBefore - this.host.times.mono();
    this.#turn("waiting", error);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => void this.#connect(), Math.max(wait, most * (0.5 + Math.random() / 2)));
  }
  #send(text) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    this.host.frame(true, text);
    return true;
  }
  #sendFrame(frame) {
    return this.#send(JSON.stringify(frame));
  }
  /* A browser doesn't show the gateway's pings: silence is asked about. */
  #probe() {
    const asked = this.host.times.mono();
    if (!this.#sendFrame({ type: "ping" })) return;
    this.#later(PROBE_MS, () => {
      if (this.#heard < asked) this.#drop(new TidegateError("unreachable", "no answer"));
    });
  }
  #watch(heartbeat) {
    this.#later(heartbeat, () => {
      if (this.host.times.mono() - this.#heard >= heartbeat) this.#probe();
      this.#watch(heartbeat);
    });
  }
  /* ---- what comes in ---- */
  async #drain() {
    if (this.#isDraining) return;
    this.#isDraining = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, LIMITS.batch), socket = this.#socket, effects = [];
      try {
        const isStored = batch.some((frame) => STORED.has(frame.type)), hasOutcome = batch.some((frame) => this.#mayHoldOutcome(frame));
        if (isStored) {
          await this.host.commit(hasOutcome ? "strict" : "relaxed", async (change) => {
            effects.length = 0;
            for (const frame of batch) await this.#take(change, frame, effects);
          });
        } else for (const frame of batch) this.#takeLight(frame, effects);
      } catch (error) {
        const told = error instanceof TidegateError ? error : new TidegateError("storage", String(error));
        if (socket === this.#socket) {
          if (told.code === "other_user") this.stop(told);
          else this.#drop(told);
        }
        continue;
      }
      if (socket === this.#socket) for (const effect of effects) effect();
    }
    this.#isDraining = false;
  }
  #mayHoldOutcome(frame) {
    if (frame.type === "welcome" || frame.type === "result") return true;
    if (frame.type === "current") return frame.spaces.some(({ space }) => this.host.outbox(space).length > 0);
    return (frame.type === "page" || frame.type === "update") && this.host.outbox(frame.space).length > 0;
  }
  async #take(change, frame, effects) {
    switch (frame.type) {
      case "welcome":
        await change.welcome(frame.user, frame.log, this.host.times.welcome(frame.time, change.device.skew, this.#greeted, this.#answered));
        effects.push(() => this.#welcomed(frame.heartbeat));
        return;
      case "current":
        for (const entry of frame.spaces) {
          const live = this.#lives.get(entry.space);
          if (live?.ref !== frame.ref) continue;
          live.isFresh = false;
          this.#judge(await change.current(entry), entry.space, entry.pushed, effects, () => this.#complete(entry.space, live, entry.pushed));
        }
        return;
      case "page":
        return this.#takePage(change, frame, effects);
      case "update": {
        const live = this.#lives.get(frame.space);
        if (!live || live.isFresh || !live.isOpen) return;
        this.#judge(await change.update(frame), frame.space, 0, effects, () => {
          this.flush(frame.space);
          this.#tellSeen(frame.space);
        });
        return;
      }
      case "result":
        if (frame.code === "busy" || frame.code === "too_many") effects.push(() => this.#again(frame.space, frame.id, REOPEN_MS));
        else {
          await change.result(frame);
          effects.push(() => this.flush(frame.space));
        }
        return;
      case "closed": {
        const live = this.#lives.get(frame.space);
        if (frame.ref !== void 0 && frame.ref !== live?.ref) return;
        if (frame.purge) await change.purge(frame.space);
        effects.push(() => this.#closed(frame.space, frame.code));
        return;
      }
      default:
        this.#takeLight(frame, effects);
    }
  }
  async #takePage(change, frame, effects) {
    if (frame.at !== void 0) {
      const isKept = await change.history(frame), asked = this.#asked.get(frame.ref);
      this.#asked.delete(frame.ref);
      effects.push(() => asked?.resolve({ more: frame.more, isKept, count: frame.docs.length }));
      return;
    }
    const live = this.#lives.get(frame.space);
    if (live?.ref !== frame.ref || live === void 0) return;
    const taken = await change.page(frame), isWorse = taken === "reset" && frame.reset === true && !frame.more;
    if (isWorse) effects.push(() => this.host.state(this.#state, new TidegateError("internal", `${frame.space}: the sums differ after a reset`)));
    live.isFresh = false;
    this.#judge(isWorse ? "taken" : taken, frame.space, frame.pushed ?? 0, effects, () => {
      if (!frame.more) this.#complete(frame.space, live, frame.pushed ?? 0);
    });
  }
  #judge(taken, space, pushed, effects, whenTaken) {
    const live = this.#lives.get(space);
    if (taken === "taken") effects.push(whenTaken);
    else if (taken === "forked") effects.push(() => void this.#fork(space, pushed));
    else if (live) {
      live.isFresh = true;
      effects.push(() => this.open([space], taken === "reset"));
    }
  }
  #takeLight(frame, effects) {
    if (frame.type === "ack") effects.push(() => this.host.acked(frame.space, frame.id));
    else if (frame.type === "presence") effects.push(() => this.#takePresence(frame));
    else if (frame.type === "signal") effects.push(() => this.host.signal(frame.space, frame.user, frame.device, frame.body));
    else if (frame.type === "error") effects.push(() => this.#takeError(frame));
    else if (frame.type === "bye") this.#notBefore = this.host.times.mono() + frame.retry;
  }
  #welcomed(heartbeat) {
    this.#later(STEADY_MS, () => {
      this.#attempt = 0;
    });
    this.#isTokenBad = false;
    this.#turn("up");
    this.#watch(heartbeat);
    this.open([...this.host.wanted().keys()]);
    for (const space of this.host.outboxSpaces()) this.flush(space);
  }
  /* A run, or nothing to tell: pushes may go, from behind what the log has of us. */
  #complete(space, live, pushed) {
    live.floor = Math.max(live.floor, pushed);
    live.refusals = 0;
    if (!live.isReady) {
      live.sent.clear();
      live.base = pushed;
    }
    live.isReady = true;
    live.fromNothing = false;
    this.host.live(space, true);
    this.flush(space);
    this.#tellSeen(space);
  }
  #tellSeen(space) {
    if (this.#seen.has(space)) return;
    this.#seen.add(space);
    this.#later(SEEN_MS, () => {
      this.#seen.delete(space);
      const cursor = this.host.space(space)?.cursor;
      if (cursor && this.#lives.get(space)?.isOpen) this.#sendFrame({ type: "seen", space, cursor });
    });
  }
  #closed(space, code) {
    const before = this.#lives.get(space), refusals = (before?.refusals ?? 0) + 1, live = this.#born(space, false);
    live.refusals = refusals;
    this.host.live(space, false);
    this.#here.delete(space);
    this.host.presence(space, [], 0);
    if (code === "forbidden" || code === "unknown_space") this.flush(space);
    if (code === "unknown_space") return;
    this.#later(Math.min(REOPEN_MS_MAX, REOPEN_MS * 2 ** (refusals - 1)), () => {
      const now = this.#lives.get(space);
      if (now === live && this.host.wanted().has(space)) this.open([space]);
    });
  }
  #takePresence(frame) {
    const here = frame.here ? /* @__PURE__ */ new Map() : this.#here.get(frame.space) ?? /* @__PURE__ */ new Map();
    for (const person of [...frame.here ?? [], ...frame.join ?? []]) here.set(person.user, person);
    for (const person of frame.leave ?? []) here.delete(person.user);
    this.#here.set(frame.space, here);
    this.host.presence(frame.space, [...here.values()], Math.max(here.size, frame.count ?? 0));
  }
  #takeError(frame) {
    const { code, space, id, ref } = frame, message = frame.message ?? code, told = new TidegateError(code, message);
    const asked = ref !== void 0 ? this.#asked.get(ref) : void 0;
    if (asked) {
      this.#asked.delete(ref);
      asked.reject(told);
    } else if (code === "unauthenticated") void this.#renew();
    else if (code === "forked" && space !== void 0) void this.#fork(space, frame.after ?? 0);
    else if (code === "gap" && space !== void 0) this.#gap(space, id ?? 0, frame.after ?? 0);
    else if (code === "too_large" && space !== void 0 && id !== void 0) void this.#refuse(space, id, code, message);
    else if (space !== void 0 && id !== void 0) this.#again(space, id, frame.retry ?? 1e3);
    else if (ref !== void 0) this.#later(frame.retry ?? 1e3, () => this.open([...this.#lives].filter(([, live]) => live.ref === ref && live.isFresh).map(([name]) => name)));
    else this.host.state(this.#state, told);
  }
  async #renew() {
    this.#isTokenBad = true;
    if (this.#state !== "up") return;
    const socket = this.#socket;
    try {
      const token = await this.host.token(true);
      if (socket === this.#socket) this.#sendFrame({ type: "auth", token });
      this.#isTokenBad = false;
    } catch (error) {
      this.host.state(this.#state, new TidegateError("unauthenticated", String(error)));
    }
  }
  async #fork(space, after) {
    await this.#commit((change) => change.fork(space, after));
    this.#attempt = 0;
    this.#drop(new TidegateError("forked", "the device was restored from an old copy"));
  }
  async #refuse(space, id, code, message) {
    await this.#commit(async (change) => {
      const push = (await change.outbox(space)).find((one) => one.id === id);
      if (push) await change.refuse(await change.of(space), push, "rejected", code, message);
    });
    this.flush(space);
  }
  /* A commit of our own; one that fails ends the connection. */
  async #commit(work) {
    const socket = this.#socket;
    try {
      await this.host.commit("strict", work);
      return socket === this.#socket;
    } catch (error) {
      if (socket === this.#socket) this.#drop(new TidegateError("storage", String(error)));
      return false;
    }
  }
  /* ---- spaces ---- */
  #born(space, isOpen) {
    const live = {
      ref: isOpen ? ++this.#ref : 0,
      isFresh: isOpen,
      isReady: !isOpen,
      isOpen,
      isMarking: false,
      fromNothing: false,
      base: null,
      floor: 0,
      sent: /* @__PURE__ */ new Set(),
      failed: 0,
      refusals: 0
    };
    this.#lives.set(space, live);
    return live;
  }
  /** Opens spaces, each from its cursor. */
  open(spaces, fromNothing = false) {
    if (this.#state !== "up" || spaces.length === 0) return;
    const wanted = this.host.wanted(), groups = /* @__PURE__ */ new Map();
    for (const space of spaces) {
      const options = wanted.get(space) ?? {}, before = this.#lives.get(space), live = this.#born(space, true), state = this.host.space(space);
      const key = JSON.stringify([options.presence ?? false, options.meta ?? null]), group = groups.get(key) ?? { ref: live.ref, options, entries: [] };
      if (before) Object.assign(live, { sent: before.sent, base: before.base, floor: before.floor, refusals: before.refusals, isReady: before.isReady && before.isOpen });
      Object.assign(live, { ref: group.ref, fromNothing });
      group.entries.push({ space, since: fromNothing ? null : state?.cursor ?? null, known: this.#known(space), ...options.tail !== void 0 && { tail: options.tail } });
      groups.set(key, group);
    }
    for (const { ref, options, entries } of groups.values()) {
      this.#sendFrame({ type: "open", ref, spaces: entries, presence: options.presence ?? false, ...options.meta && { meta: options.meta } });
    }
  }
  close(space) {
    if (!this.#lives.get(space)?.isOpen) return;
    this.#lives.delete(space);
    this.#here.delete(space);
    this.#sendFrame({ type: "close", space });
    this.host.live(space, false);
    this.flush(space);
  }
  signal(space, body) {
    if (this.#state === "up") this.#sendFrame({ type: "signal", space, body });
  }
  /** Older documents of an `append` collection, into the store. */
  history(space, collection, before, limit) {
    return new Promise((resolve2, reject) => {
      const ref = ++this.#ref;
      if (this.#state !== "up" || !this.#sendFrame({ type: "history", ref, space, collection, limit, ...before !== void 0 && { before } })) {
        return reject(new TidegateError("unreachable", "not connected"));
      }
      this.#asked.set(ref, { resolve: resolve2, reject });
    });
  }
  /* ---- pushes ---- */
  /* Our outcomes up to here are on the disk: commits that take one in are strict. */
  #known(space) {
    const first = this.host.outbox(space)[0];
    return first ? first.id - 1 : this.host.space(space)?.last ?? 0;
  }
  #again(space, id, retry) {
    const live = this.#lives.get(space);
    if (!live) return;
    const isFirst = live.failed === 0;
    live.failed = isFirst ? id : Math.min(live.failed, id);
    if (isFirst) this.#later(retry, () => {
      const now = this.#lives.get(space);
      if (!now) return;
      const from = live.failed;
      live.failed = now.failed = 0;
      this.#rewind(now, from);
      this.flush(space);
    });
  }
  #rewind(live, from) {
    for (const id of live.sent) if (id >= from) live.sent.delete(id);
    const base = Math.max(live.floor, ...live.sent);
    live.base = base > 0 ? base : null;
  }
  /* Each push of a volley is told the gap; only the first unanswered counts. */
  #gap(space, id, after) {
    const live = this.#lives.get(space), first = this.host.outbox(space).find((push) => live?.sent.has(push.id));
    if (after > (this.host.space(space)?.last ?? 0)) return void this.#fork(space, after);
    if (!live || first && id > first.id) return;
    this.#rewind(live, after + 1);
    live.base = after;
    this.flush(space);
  }
  /** Sends what may be sent to the space. */
  flush(space) {
    if (this.#state !== "up") return;
    const pushes = this.host.outbox(space);
    if (pushes.length === 0) return;
    const live = this.#lives.get(space) ?? (this.host.wanted().has(space) ? null : this.#born(space, false));
    if (!live?.isReady || live.isMarking || live.failed > 0) return;
    const due = [];
    let unanswered = 0;
    for (const push of pushes) {
      if (++unanswered > LIMITS.inflight) break;
      if (!live.sent.has(push.id)) due.push(push);
    }
    if (due.length === 0) return;
    const device = this.host.device(), now = this.host.times.server(device), expiry = (this.host.space(space)?.window ?? 0) * 2e3;
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
      if (!this.#send(encodePush(push, live.base ?? push.after, known, this.host.times.age(push, device)))) return;
      live.base = push.id;
      live.sent.add(push.id);
    }
  }
};
var STORED = /* @__PURE__ */ new Set(["welcome", "current", "page", "update", "result", "closed"]);

// src/store.ts
var KEYS = { device: "key", spaces: "space", docs: ["space", "collection", "id"], packs: ["space", "n"], outbox: ["space", "id"], refused: "key" };
var TABLES = Object.keys(KEYS);
var VERSION = 1;
var rangeOf = (prefix) => prefix.length > 0 ? IDBKeyRange.bound(prefix, [...prefix, []]) : void 0;
function promise(request) {
  return new Promise((resolve2, reject) => {
    request.onsuccess = () => resolve2(request.result);
    request.onerror = () => reject(request.error ?? new Error("the store failed"));
  });
}
function indexedStore(name) {
  let opening = null;
  const open = () => {
    if (opening) return opening;
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      for (const table of TABLES) {
        const made2 = request.result.createObjectStore(table, { keyPath: KEYS[table], autoIncrement: table === "refused" });
        if (table === "docs") made2.createIndex("seq", ["space", "seq"]);
      }
    };
    const made = promise(request).then((db) => {
      const lost = () => {
        db.close();
        if (opening !== made) return;
        opening = null;
        store.onLost();
      };
      db.onclose = db.onversionchange = lost;
      return db;
    });
    made.catch(() => {
      opening = null;
    });
    return opening = made;
  };
  const begin = async (mode) => {
    const start = async () => (await open()).transaction(TABLES, mode === "read" ? "readonly" : "readwrite", { durability: mode === "read" ? "default" : mode });
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "InvalidStateError") throw error;
      opening = null;
      return start();
    }
  };
  const store = {
    onLost: () => {
    },
    async transact(mode, work) {
      const tx = await begin(mode), done = new Promise((resolve2) => {
        tx.oncomplete = () => resolve2(null);
        tx.onabort = () => resolve2(tx.error ?? new DOMException("aborted", "AbortError"));
      });
      const table = (one) => tx.objectStore(one);
      const write = (request) => {
        const written = promise(request);
        written.catch(() => {
        });
        return written;
      };
      try {
        const result = await work({
          get: (one, key) => promise(table(one).get(key)),
          all: (one, ...prefix) => promise(table(one).getAll(rangeOf(prefix))),
          since: (space, seq) => promise(table("docs").index("seq").getAll(IDBKeyRange.bound([space, seq], [space, []], true))),
          put: (one, row) => write(table(one).put(row)),
          delete: (one, key) => write(table(one).delete(key)),
          deleteAll: (one, ...prefix) => write(table(one).delete(rangeOf(prefix)))
        });
        const failed = await done;
        if (failed !== null) throw failed;
        return result;
      } catch (error) {
        try {
          tx.abort();
        } catch {
        }
        const cause = await done;
        throw cause instanceof DOMException && cause.name !== "AbortError" ? cause : error;
      }
    },
    async close() {
      const db = await opening?.catch(() => null);
      opening = null;
      db?.close();
    },
    async destroy() {
      await this.close();
      await promise(indexedDB.deleteDatabase(name));
    }
  };
  return store;
}

// src/tabs.ts
var Tabs = class {
  constructor(name, isShared, hear, lead) {
    this.name = name;
    this.lead = lead;
    if (isShared && typeof BroadcastChannel !== "undefined") {
      this.#channel = new BroadcastChannel(`tidegate:${name}`);
      this.#channel.onmessage = ({ data }) => hear(data);
      this.#channel.unref?.();
    }
  }
  name;
  lead;
  #channel = null;
  #release = null;
  #abort = new AbortController();
  /** Leads as soon as no other tab does. Where there are no locks, at once. */
  elect() {
    if (!this.#channel || typeof navigator === "undefined" || !navigator.locks) return this.lead();
    navigator.locks.request(lockName(this.name), { signal: this.#abort.signal }, () => {
      const held = new Promise((resolve2) => {
        this.#release = resolve2;
      });
      this.lead();
      return held;
    }).catch(() => {
    });
  }
  tell(message) {
    this.#channel?.postMessage(message);
  }
  close() {
    this.#abort.abort();
    this.#release?.();
    this.#channel?.close();
  }
};
function lockName(name) {
  return `tidegate:${name}`;
}

// src/resolve.ts
var Rejected = class extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
  code;
};
var NOBODY = { rev: 0, edited: null, user: "", device: "" };
var utf82 = new TextEncoder();
function compareBytes(a, b) {
  if (a === b) return 0;
  const x = utf82.encode(a), y = utf82.encode(b);
  for (let i = 0; i < x.length && i < y.length; i++) if (x[i] !== y[i]) return x[i] - y[i];
  return x.length - y.length;
}
function compareStamps(a, b) {
  const x = a.edited ?? -Infinity, y = b.edited ?? -Infinity;
  if (x !== y) return x < y ? -1 : 1;
  return compareBytes(a.user, b.user) || compareBytes(a.device, b.device);
}
var Edit = class {
  base;
  stamp;
  constructor(push, op) {
    const base = op.base ?? 0;
    this.base = base <= push.head ? base : 0;
    const edited = op.age === null ? push.last : push.time - Math.max(0, op.age ?? 0);
    this.stamp = { rev: push.rev, edited, user: push.user, device: push.device };
  }
  /* A backend has no device id: only within one push is it itself. */
  isSameDevice(stamp) {
    return this.stamp.user === stamp.user && this.stamp.device === stamp.device && (stamp.device !== "" || stamp.rev === this.stamp.rev);
  }
  knows(stamp) {
    return this.base >= stamp.rev || this.isSameDevice(stamp);
  }
  isLater(stamp, arrival) {
    return arrival || this.knows(stamp) || compareStamps(this.stamp, stamp) >= 0;
  }
};
var WorkDoc = class {
  /* null: rebuilt when asked for */
  constructor(collection, id, stored) {
    this.collection = collection;
    this.id = id;
    this.stored = stored;
    if (stored === void 0) return;
    this.exists = true;
    this.whole = stored.whole ?? NOBODY;
    this.author = stored.author;
    this.rev = stored.rev;
    for (const [name, stamp] of Object.entries(stored.fields ?? {})) this.stamps.set(name, stamp);
    if (stored.body !== void 0) this.become(stored.body);
  }
  collection;
  id;
  stored;
  exists = false;
  live = false;
  changed = false;
  whole = NOBODY;
  author;
  rev = 0;
  stamps = /* @__PURE__ */ new Map();
  /* field -> the rev that knows it, where this push folded its own part into another's value */
  known = /* @__PURE__ */ new Map();
  fields = /* @__PURE__ */ new Map();
  #text = null;
  become(text) {
    this.live = true;
    this.#text = text;
    this.fields = new Map(members(text).map(({ name, key, value }) => [name, { key, value }]));
  }
  set(name, key, value) {
    const held = this.fields.get(name);
    if (value === null ? !held : held?.value === value) return;
    this.#text = null;
    if (value === null) this.fields.delete(name);
    else if (held) held.value = value;
    else this.fields.set(name, { key, value });
  }
  revive() {
    if (this.live) return;
    this.live = true;
    this.#text = null;
  }
  delete() {
    this.live = false;
    this.fields = /* @__PURE__ */ new Map();
    this.#text = null;
  }
  get body() {
    this.#text ??= `{${[...this.fields.values()].map(({ key, value }) => `"${key}":${value}`).join(",")}}`;
    return this.#text;
  }
  /* What an edit of the field is judged against. */
  stampOf(name) {
    const stamp = this.stamps.get(name);
    return stamp ? { ...stamp, rev: this.known.get(name) ?? stamp.rev } : this.whole;
  }
};
function incremented(stands, op) {
  const was = stands === void 0 ? 0n : asInt64(stands), by = asInt64(op.by ?? "");
  if (was === null || by === null) throw new Rejected("invalid");
  let becomes = was + by;
  if (BigInt.asIntN(64, becomes) !== becomes) becomes = becomes < 0n ? -(2n ** 63n) : 2n ** 63n - 1n;
  if (op.min !== void 0 && becomes < asInt64(op.min)) becomes = asInt64(op.min);
  if (op.max !== void 0 && becomes > asInt64(op.max)) becomes = asInt64(op.max);
  return becomes === was ? null : becomes.toString();
}
function greater(stands, op) {
  if (stands === void 0) return op.value;
  if (!isNumber(stands)) throw new Rejected("invalid");
  return compareNumbers(op.value, stands) > 0 ? op.value : null;
}
function changedSet(stands, op) {
  if (stands !== void 0 && stands[0] !== "[") throw new Rejected("invalid");
  const values = /* @__PURE__ */ new Map();
  const take = (text) => {
    if (!values.has(identity(text))) values.set(identity(text), text);
  };
  items(stands ?? "[]").forEach(take);
  const count = values.size;
  if (op.op === "add") op.values.forEach(take);
  else for (const text of op.values) values.delete(identity(text));
  return values.size === count ? null : `[${[...values.values()].join(",")}]`;
}
var ON_FIELD = { incr: incremented, max: greater, add: changedSet, remove: changedSet };
var Resolver = class {
  constructor(push, before, rulesOf, window) {
    this.push = push;
    this.rulesOf = rulesOf;
    const stored = new Map(before.map((doc) => [`${doc.collection}/${doc.id}`, doc]));
    for (const { collection, id } of push.ops) {
      const name = `${collection}/${id}`;
      if (this.#docs.has(name)) continue;
      const found = stored.get(name), isGone = found?.deleted && found.time < push.clock - window;
      this.#docs.set(name, new WorkDoc(collection, id, isGone ? void 0 : found));
    }
  }
  push;
  rulesOf;
  #lost = false;
  #conflict = false;
  #docs = /* @__PURE__ */ new Map();
  run() {
    const docs = [...this.#docs.values()];
    try {
      for (const op of this.push.ops) this.#judge(op);
      for (const doc of docs) if (doc.changed && doc.live && this.rulesOf(doc.collection).check?.(doc.body) === false) throw new Rejected("invalid");
    } catch (error) {
      if (error instanceof Rejected) return { status: "rejected", code: error.code, docs };
      throw error;
    }
    if (this.#conflict) return { status: "conflict", code: "conflict", docs };
    if (docs.some((doc) => doc.changed)) return { status: "changed", docs };
    return this.#lost ? { status: "lost", code: "lost", docs } : { status: "unchanged", docs };
  }
  #judge(op) {
    const doc = this.#docs.get(`${op.collection}/${op.id}`), edit = new Edit(this.push, op), rules = this.rulesOf(op.collection);
    const onField = op.op in ON_FIELD;
    const belongs = {
      lww: op.op !== "append" && !onField,
      merge: op.op !== "append",
      append: !onField,
      manual: op.op !== "append" && (!onField || op.base !== void 0)
    }[rules.policy];
    if (!belongs) throw new Rejected("invalid");
    this.#permit(op, doc, rules.write ?? "writer");
    if (op.if !== void 0 && !this.#holds(op.if, doc)) throw new Rejected("precondition");
    const policies = {
      lww: () => this.#lww(doc, op, edit),
      merge: () => this.#merge(doc, op, edit),
      append: () => this.#append(doc, op, edit),
      manual: () => this.#manual(doc, op, edit)
    };
    policies[rules.policy]();
  }
  #permit(op, doc, write) {
    const { role, user } = this.push, writes = role === "writer" || role === "owner", isOwn = op.id === user;
    const may = { writer: writes, owner: role === "owner", self: writes && isOwn }[write];
    const leaves = op.collection === "members" && isOwn && op.op === "delete" && doc.live;
    if (!may && !leaves) throw new Rejected("forbidden");
  }
  #holds(wanted, doc) {
    if (wanted === "absent") return !doc.live;
    return doc.exists && !doc.changed && wanted > 0 && wanted <= this.push.head && wanted === doc.rev;
  }
  #isArrival(doc) {
    return this.rulesOf(doc.collection).arrival ?? false;
  }
  #change(doc) {
    if (!doc.exists) doc.author = this.push.user;
    doc.exists = doc.changed = true;
  }
  #winWhole(doc, op, edit) {
    this.#change(doc);
    if (op.op === "delete") doc.delete();
    else if (op.op === "patch") {
      doc.revive();
      for (const { name, key, value } of members(op.body)) doc.set(name, key, value === "null" ? null : value);
    } else doc.become(op.body);
    doc.whole = edit.stamp;
    doc.stamps.clear();
  }
  #lww(doc, op, edit) {
    if (!doc.exists || edit.isLater(doc.whole, this.#isArrival(doc))) this.#winWhole(doc, op, edit);
    else this.#lost = true;
  }
  #append(doc, op, edit) {
    if (op.op === "append") {
      if (!doc.exists) this.#winWhole(doc, op, edit);
      else if (!doc.live || doc.body !== op.body) throw new Rejected("precondition");
      return;
    }
    if (!doc.exists) throw new Rejected("precondition");
    const isAuthors = doc.author === void 0 || doc.author === this.push.user;
    if (!isAuthors && !(op.op === "delete" && this.push.role === "owner")) throw new Rejected("forbidden");
    this.#lww(doc, op, edit);
  }
  #manual(doc, op, edit) {
    const rev = doc.changed ? this.push.rev : doc.rev;
    if (doc.exists && edit.base < rev && !edit.isSameDevice(doc.whole)) this.#conflict = true;
    if (op.op in ON_FIELD) this.#onField(doc, op, edit, false);
    else this.#winWhole(doc, op, edit);
  }
  #merge(doc, op, edit) {
    if (op.op in ON_FIELD) return this.#onField(doc, op, edit, true);
    const arrival = this.#isArrival(doc), coversAll = op.op !== "patch", wasDead = !doc.live;
    const said = /* @__PURE__ */ new Map();
    if (op.op !== "delete") for (const { name, key, value } of members(op.body)) said.set(name, { key, value: !coversAll && value === "null" ? null : value });
    const wholeWon = coversAll && edit.isLater(doc.whole, arrival);
    const concerned = new Set(coversAll ? [...said.keys(), ...doc.fields.keys(), ...doc.stamps.keys()] : said.keys());
    const wins = new Map([...concerned].map((name) => [name, edit.isLater(doc.stampOf(name), arrival)]));
    const brings = [...said].some(([name, { value }]) => wins.get(name) && value !== null);
    if ([...said.keys()].some((name) => !wins.get(name)) || coversAll && !wholeWon) this.#lost = true;
    if (wasDead && !wholeWon && !brings) return;
    const outlived = coversAll && [...doc.fields.keys()].some((name) => !said.has(name) && !wins.get(name));
    for (const name of concerned) {
      if (!wins.get(name)) continue;
      const { key, value } = said.get(name) ?? { key: "", value: null };
      doc.set(name, key, value);
      doc.known.delete(name);
      if (wholeWon) doc.stamps.delete(name);
      else doc.stamps.set(name, edit.stamp);
    }
    if (wholeWon || [...wins.values()].some(Boolean)) this.#change(doc);
    if (wholeWon) doc.whole = edit.stamp;
    if (op.op === "delete") {
      if (wholeWon && doc.fields.size === 0) doc.delete();
      return;
    }
    if (wasDead && doc.changed) doc.revive();
    if (op.op === "put" && [...said.keys()].every((name) => wins.get(name)) && !outlived) doc.become(op.body);
  }
  #onField(doc, op, edit, merges) {
    if (merges && !edit.isLater(doc.whole, this.#isArrival(doc))) {
      this.#lost = true;
      return;
    }
    const name = op.field, becomes = ON_FIELD[op.op](doc.fields.get(name)?.value, op);
    if (becomes === null) return;
    this.#change(doc);
    doc.revive();
    doc.set(name, op.fieldKey ?? JSON.stringify(name).slice(1, -1), becomes);
    if (!merges) {
      doc.whole = edit.stamp;
      return;
    }
    const own = doc.stamps.get(name), now = own ?? doc.whole, isLater = compareStamps(edit.stamp, now) >= 0;
    if (isLater) doc.known.set(name, edit.stamp.rev);
    else if (!own || !doc.known.has(name)) doc.known.set(name, now.rev);
    doc.stamps.set(name, { ...isLater ? edit.stamp : now, rev: edit.stamp.rev });
  }
};
function resolve(push, before, rulesOf, window) {
  return new Resolver(push, before, rulesOf, window).run();
}
function likelyRules(ops) {
  const appends = new Set(ops.filter((op) => op.op === "append").map((op) => op.collection));
  return (collection) => ({ policy: appends.has(collection) ? "append" : "merge" });
}
function optimistic(ops, user, head, before, time) {
  const plain = ops.map(({ age: _, base: __, ...op }) => op);
  const push = { user, device: "self", role: "owner", rev: head + 1, head, time, last: null, clock: time, ops: plain };
  const { status, docs } = resolve(push, before, likelyRules(ops), Infinity);
  return status === "changed" ? docs.filter((doc) => doc.changed) : [];
}

// src/view.ts
var Doc = class {
  /** @internal */
  constructor(space, collection, id, raw2, rev, born, time, user, pending, push) {
    this.space = space;
    this.collection = collection;
    this.id = id;
    this.raw = raw2;
    this.rev = rev;
    this.born = born;
    this.time = time;
    this.user = user;
    this.pending = pending;
    this.push = push;
  }
  space;
  collection;
  id;
  raw;
  rev;
  born;
  time;
  user;
  pending;
  push;
  #value;
  /** The body's value; integers past 2^53 are BigInts. */
  get data() {
    return this.#value ??= parse(this.raw);
  }
  /** Has it changes that the server has not confirmed? */
  get hasPendingWrites() {
    return this.pending !== null;
  }
};
function order(a, b) {
  const x = a.born ?? 0, y = b.born ?? 0;
  return x !== y ? x - y : a.push !== b.push && x === Infinity ? a.push - b.push : a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
function place(docs, doc) {
  let low = 0, high = docs.length;
  while (low < high) {
    const middle = low + high >> 1;
    if (order(docs[middle], doc) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
var Shelf = class {
  byId = /* @__PURE__ */ new Map();
  #docs = [];
  #isShared = false;
  #pending = 0;
  #snapshot = null;
  fill(docs) {
    for (const doc of docs) this.byId.set(doc.id, doc);
    this.#docs = docs.sort(order);
    this.#pending = docs.filter((doc) => doc.pending !== null).length;
  }
  put(id, doc) {
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
  first() {
    return this.#docs[0]?.born === Infinity ? void 0 : this.#docs[0];
  }
  take(fromCache) {
    if (this.#snapshot?.metadata.fromCache !== fromCache) {
      this.#isShared = true;
      this.#snapshot = { docs: this.#docs, metadata: { fromCache, hasPendingWrites: this.#pending > 0 } };
    }
    return this.#snapshot;
  }
};
var nameOf = (collection, id) => `${collection}/${id}`;
var SpaceView = class {
  constructor(space, state, docs, outbox, me) {
    this.space = space;
    this.state = state;
    this.me = me;
    for (const doc of docs) this.#confirmed.set(nameOf(doc.collection, doc.id), doc);
    for (const push of outbox) this.#hold(push);
    const shown = /* @__PURE__ */ new Map();
    const overlaid = this.#overlay(new Set(this.#touching.keys()));
    for (const doc of this.#confirmed.values()) if (!overlaid.has(nameOf(doc.collection, doc.id))) this.#add(shown, this.#show(doc));
    for (const doc of overlaid.values()) this.#add(shown, doc);
    for (const [collection, list] of shown) this.#shelf(collection).fill(list);
  }
  space;
  state;
  me;
  /** Said by the leading tab: the copy is up to date, and kept so. */
  isLive = false;
  /** Documents changed since the packs were made. */
  fresh = 0;
  #confirmed = /* @__PURE__ */ new Map();
  #outbox = [];
  #shelves = /* @__PURE__ */ new Map();
  /* document -> the pushes that touch it */
  #touching = /* @__PURE__ */ new Map();
  #add(shown, doc) {
    if (!doc) return;
    const list = shown.get(doc.collection);
    if (list) list.push(doc);
    else shown.set(doc.collection, [doc]);
  }
  #hold(push) {
    const isLast = push.id > (this.#outbox.at(-1)?.id ?? 0), at = isLast ? -1 : this.#outbox.findIndex((one) => one.id >= push.id), held = at >= 0 && this.#outbox[at].id === push.id ? this.#outbox[at] : void 0;
    if (held) this.#release(held);
    this.#outbox.splice(at < 0 ? this.#outbox.length : at, 0, push);
    for (const { collection, id } of push.ops) {
      const name = nameOf(collection, id);
      this.#touching.set(name, (this.#touching.get(name) ?? /* @__PURE__ */ new Set()).add(push));
    }
  }
  #release(push) {
    this.#outbox.splice(this.#outbox.indexOf(push), 1);
    for (const { collection, id } of push.ops) this.#touching.get(nameOf(collection, id))?.delete(push);
  }
  #shelf(collection) {
    let shelf = this.#shelves.get(collection);
    if (!shelf) this.#shelves.set(collection, shelf = new Shelf());
    return shelf;
  }
  #show(doc) {
    return doc.body === void 0 ? null : new Doc(this.space, doc.collection, doc.id, doc.body, doc.rev, doc.born, doc.time, doc.user, null, 0);
  }
  /* What the outbox makes of these documents, and of those that share a push with them. */
  #overlay(names) {
    const pushes = /* @__PURE__ */ new Set();
    for (const name of names) {
      for (const push of this.#touching.get(name) ?? []) {
        pushes.add(push);
        for (const op of push.ops) names.add(nameOf(op.collection, op.id));
      }
    }
    const now = /* @__PURE__ */ new Map(), shown = /* @__PURE__ */ new Map();
    for (const name of names) {
      const doc = this.#confirmed.get(name);
      if (doc) now.set(name, doc);
    }
    for (const push of [...pushes].sort((a, b) => a.id - b.id)) {
      const before = [...new Set(push.ops.map((op) => nameOf(op.collection, op.id)))].flatMap((name) => now.get(name) ?? []);
      const time = push.at ?? push.wall;
      for (const doc of optimistic(push.ops, this.me(), Number.MAX_SAFE_INTEGER - 1, before, time)) {
        const name = nameOf(doc.collection, doc.id), held = this.#confirmed.get(name), isBirth = push.ops.some((op) => op.op === "append" && nameOf(op.collection, op.id) === name);
        const born = held?.born ?? (isBirth ? Infinity : now.get(name)?.born), body = doc.live ? doc.body : void 0;
        now.set(name, { collection: doc.collection, id: doc.id, rev: held?.rev ?? 0, time, user: this.me(), ...body === void 0 ? { deleted: true } : { body }, ...born !== void 0 && { born } });
        const pending = push.acked ? "sent" : "queued";
        shown.set(name, body === void 0 ? null : new Doc(this.space, doc.collection, doc.id, body, held?.rev ?? 0, born, time, this.me(), pending, shown.get(name)?.push || push.id));
      }
    }
    return shown;
  }
  #refresh(names) {
    const overlaid = this.#overlay(names), changed = /* @__PURE__ */ new Set();
    for (const name of names) {
      const slash = name.indexOf("/"), collection = name.slice(0, slash), id = name.slice(slash + 1), confirmed = this.#confirmed.get(name);
      this.#shelf(collection).put(id, overlaid.has(name) ? overlaid.get(name) : confirmed ? this.#show(confirmed) : null);
      changed.add(collection);
    }
    return changed;
  }
  /** Takes in the next delta; the collections that changed. */
  apply(delta) {
    const names = /* @__PURE__ */ new Set();
    this.fresh += delta.docs.length;
    for (const doc of delta.docs) {
      this.#confirmed.set(nameOf(doc.collection, doc.id), doc);
      names.add(nameOf(doc.collection, doc.id));
    }
    for (const [collection, id] of delta.dropped) {
      this.#confirmed.delete(nameOf(collection, id));
      names.add(nameOf(collection, id));
    }
    const touch = (push) => push.ops.forEach((op) => names.add(nameOf(op.collection, op.id)));
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
  acked(id) {
    const names = /* @__PURE__ */ new Set();
    for (const push of this.#outbox) {
      if (push.id > id) break;
      if (push.acked) continue;
      push.acked = true;
      for (const op of push.ops) names.add(nameOf(op.collection, op.id));
    }
    return this.#refresh(names);
  }
  snapshot(collection) {
    return this.#shelf(collection).take(!this.isLive);
  }
  get(collection, id) {
    return this.#shelf(collection).byId.get(id);
  }
  /** The confirmed rev that an edit is made on, 0 without one; null if the copy doesn't know the document. */
  revOf(collection, id) {
    return this.#confirmed.get(nameOf(collection, id))?.rev ?? 0;
  }
  get size() {
    return this.#confirmed.size;
  }
  /** The confirmed documents, tombstones too. */
  documents() {
    return this.#confirmed.values();
  }
  /** The rev that the oldest confirmed document of a collection was added at. */
  oldest(collection) {
    return this.#shelf(collection).first()?.born;
  }
};

// src/client.ts
var PACK_MS = 1500;
var Client = class {
  /** @internal */
  constructor(options) {
    this.options = options;
    const name = options.name ?? "tidegate", isShared = options.store === void 0;
    this.#store = options.store ?? indexedStore(`tidegate:${name}`);
    this.#times = new Times(options.clock ?? systemClock);
    this.#isPaused = options.autoConnect === false;
    this.#tabs = new Tabs(name, isShared, (message) => this.#hear(message), () => this.#lead());
    this.#session = new Session(this.#host());
    this.#store.onLost = () => {
      if (this.#isLoaded && !this.#isClosed) void this.#commit("strict", async () => {
      }).catch((error) => this.#fail(error));
    };
    this.ready = this.#load();
    this.ready.then(() => {
      if (!this.#isClosed) this.#tabs.elect();
    }, (error) => this.#fail(error));
    this.#listen();
  }
  options;
  /** Resolves when the store has been read. */
  ready;
  /** @internal */
  views = /* @__PURE__ */ new Map();
  #store;
  #times;
  #tabs;
  #session;
  #listeners = /* @__PURE__ */ new Map();
  #dirty = /* @__PURE__ */ new Set();
  #spaces = /* @__PURE__ */ new Map();
  #states = /* @__PURE__ */ new Map();
  #outboxes = /* @__PURE__ */ new Map();
  #reading = /* @__PURE__ */ new Map();
  #waiting = /* @__PURE__ */ new Map();
  #wants = /* @__PURE__ */ new Map();
  /* by life */
  #liveSpaces = /* @__PURE__ */ new Set();
  #people = /* @__PURE__ */ new Map();
  #calls = /* @__PURE__ */ new Map();
  #device = newDevice();
  #refusedRows = [];
  #state = "stopped";
  #error = null;
  #lastSyncedAt = null;
  #isLoaded = false;
  #isKept = false;
  #isLeading = false;
  #isPaused;
  #isClosed = false;
  #packing;
  #call = 0;
  #shown = null;
  #rescan;
  /* ---- what an app calls ---- */
  /** A space, opened and kept in step from now on; the same object for the same name. */
  space(name, options = {}) {
    let space = this.#spaces.get(name);
    if (!space) this.#spaces.set(name, space = new Space(this, name));
    const held = this.#wants.get(this.#times.life)?.get(name);
    if (!held || JSON.stringify(held) !== JSON.stringify({ ...held, ...options })) this.want(name, { ...held, ...options });
    return space;
  }
  /** Connects, in whichever tab leads; the opposite of `disconnect`. */
  connect() {
    this.#pause(false);
  }
  /** Stays offline until `connect`: writing goes on, into the outbox. */
  disconnect() {
    this.#pause(true);
  }
  /** How the device stands now. */
  get status() {
    return this.#shown ??= this.#makeStatus();
  }
  /** Called with the status now, and whenever it changes. */
  onStatus(listener) {
    listener(this.status);
    return this.on("status", listener);
  }
  /** Called with the outcome of every push of this device. */
  onOutcome(listener) {
    return this.on("outcome", listener);
  }
  /** The refused pushes that wait to be settled, oldest first. */
  refused() {
    return this.#refusedRows;
  }
  /** Called with them now, and whenever one comes or goes. */
  onRefused(listener) {
    listener(this.#refusedRows);
    return this.on("refused", listener);
  }
  /** As `onRefused`, for those that another's change got in the way of. */
  onConflict(listener) {
    const told = /* @__PURE__ */ new Set();
    return this.onRefused((all) => all.filter((one) => one.status === "conflict" && !told.has(one.key)).forEach((one) => {
      told.add(one.key);
      listener(one);
    }));
  }
  /** Settles a refused push by letting it go. */
  async dismiss(key) {
    await this.ready;
    await this.#commit("strict", async (change) => {
      await change.tx.delete("refused", key);
    });
    this.#forgetRefused(key);
  }
  /** Settles a refused push by pushing again, on what the device holds now: its own operations, or others in their place. */
  async retry(key, operations) {
    await this.ready;
    const row = this.#refusedRows.find((one) => one.key === key);
    if (!row) throw new TidegateError("invalid", `no refused push ${key}`);
    const ops = operations?.map(writeOperation) ?? row.ops.map(({ base: _, if: __, age: ___, ...op }) => op);
    const write = await this.#queue(row.space, ops, key);
    this.#forgetRefused(key);
    return write;
  }
  /** Pushes that have no outcome yet, by space. */
  pendingWrites() {
    return [...this.#outboxes.values()].flat().map(({ space, id, acked }) => ({ space, id, acked: acked ?? false }));
  }
  /** Resolves when the outbox is empty. */
  waitForPendingWrites(options = {}) {
    return this.#until((status) => status.uploading === 0, options.signal);
  }
  /** Resolves when every wanted space has been taken in whole at least once. */
  waitForFirstSync(options = {}) {
    return this.#until((status) => status.hasSynced, options.signal);
  }
  /** Whose device this is, once known. */
  get user() {
    return this.#device.user;
  }
  /** The device's id. */
  get deviceId() {
    return this.#device.device;
  }
  /** Ends this tab's part; another tab takes over. The store stays. */
  async destroy() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unlisten();
    clearInterval(this.#rescan);
    clearTimeout(this.#packing);
    this.#tabs.tell({ kind: "leave", life: this.#times.life });
    this.#session.stop();
    await this.ready.catch(() => null);
    this.#tabs.close();
    await this.#store.close();
  }
  /** Ends it and deletes the store, the outbox too. */
  async clear() {
    await this.destroy();
    await this.#store.destroy();
  }
  /* ---- for spaces and collections ---- */
  /** @internal */
  on(event, listener) {
    return this.listenTo(event, listener);
  }
  /** @internal */
  listenTo(topic, listener) {
    const listeners = this.#listeners.get(topic) ?? /* @__PURE__ */ new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return () => {
      listeners.delete(listener);
    };
  }
  /** @internal */
  stateOf(space) {
    return this.#states.get(space);
  }
  /** @internal */
  hereIn(space) {
    return this.#people.get(space) ?? { here: [], count: 0 };
  }
  /** @internal Reads a space's documents into memory; at once where they are there. */
  async view(space) {
    await this.ready;
    if (!this.views.has(space)) await (this.#reading.get(space) ?? this.#read(space));
    return this.views.get(space);
  }
  /** @internal */
  async write(space, inputs) {
    const ops = inputs.map(writeOperation), view = this.views.get(space);
    if (ops.length > LIMITS.ops || pushBytes(ops) > LIMITS.frame) throw new TidegateError("too_large", "a push has at most 512 operations and 1 MiB");
    if (view) {
      for (const op of ops) if (op.op !== "append") op.base ??= view.revOf(op.collection, op.id);
    }
    await this.ready;
    return this.#queue(space, ops);
  }
  /** @internal */
  want(space, options) {
    const mine = this.#wants.get(this.#times.life) ?? /* @__PURE__ */ new Map();
    this.#wants.set(this.#times.life, mine);
    if (options) mine.set(space, options);
    else {
      mine.delete(space);
      this.#spaces.delete(space);
      this.views.delete(space);
    }
    if (this.#isLeading) this.#reopen(space, options === null);
    else this.#hello();
    if (options) void this.view(space).catch((error) => this.#fail(error));
    this.#changedStatus();
  }
  /** @internal */
  signal(space, body) {
    if (this.#isLeading) this.#session.signal(space, body);
    else this.#tabs.tell({ kind: "say", space, body });
  }
  /** @internal */
  async history(space, collection, before, limit) {
    await this.ready;
    if (this.#isLeading) return this.#session.history(space, collection, before, limit);
    const call = ++this.#call, { life } = this.#times;
    return new Promise((resolve2, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(call);
        reject(new TidegateError("unreachable", "no answer"));
      }, 1e4);
      this.#calls.set(call, (answer) => {
        clearTimeout(timer);
        if (answer.code === null) resolve2(answer);
        else reject(new TidegateError(answer.code, answer.code));
      });
      this.#tabs.tell({ kind: "history", life, call, space, collection, before, limit });
    });
  }
  /* ---- the store and memory ---- */
  async #load() {
    await this.#store.transact("read", (tx) => this.#readAll(tx));
    if (!this.#isKept) await this.#commit("strict", async () => {
    });
    this.#isLoaded = true;
    this.#changedStatus();
    this.#tell("refused", this.#refusedRows);
  }
  async #readAll(tx) {
    const [device, states, outbox, refused] = await Promise.all([
      tx.get("device", "device"),
      tx.all("spaces"),
      tx.all("outbox"),
      tx.all("refused")
    ]);
    this.#isKept = device !== void 0;
    this.#device = device ?? this.#device;
    for (const state of states) this.#states.set(state.space, state);
    this.#outboxes.clear();
    for (const push of outbox) this.#outboxes.set(push.space, [...this.#outboxes.get(push.space) ?? [], push]);
    this.#refusedRows = refused;
  }
  /* Reads a space as it is in the store now, in place of what memory holds. */
  #read(space) {
    const reading = this.#store.transact("read", async (tx) => {
      const state = await tx.get("spaces", space) ?? newSpace(space);
      const [packs, fresh, outbox, refused] = await Promise.all([
        state.packed ? tx.all("packs", space) : [],
        state.packed ? tx.since(space, state.packed) : tx.all("docs", space),
        tx.all("outbox", space),
        tx.all("refused")
      ]);
      return { state, packs, fresh, outbox, refused };
    }).then(({ state, packs, fresh, outbox, refused }) => {
      this.#reading.delete(space);
      if (state.seq < (this.#states.get(space)?.seq ?? 0)) return this.#read(space);
      const acked = new Set((this.#outboxes.get(space) ?? []).filter((push) => push.acked).map((push) => push.id));
      for (const push of outbox) if (acked.has(push.id)) push.acked = true;
      const gone = (this.#outboxes.get(space) ?? []).filter((push) => !outbox.some((one) => one.id === push.id));
      this.#states.set(space, state);
      this.#outboxes.set(space, outbox);
      this.#refusedRows = refused;
      if (this.#wants.get(this.#times.life)?.has(space) || this.views.has(space)) {
        const docs = packs.flatMap((pack) => JSON.parse(pack.docs)), view = new SpaceView(space, state, [...docs, ...fresh], outbox, () => this.#device.user ?? "");
        view.isLive = this.#liveSpaces.has(space);
        view.fresh = fresh.length;
        this.#packSoon(view);
        this.views.set(space, view);
        this.#touch(space, "*");
      }
      for (const { id } of gone) {
        const row = refused.find((one) => one.space === space && one.id === id);
        this.#toldOutcome(row ? { space, id, status: row.status, code: row.code, message: row.message } : { space, id, status: "applied" });
      }
      this.#tell("refused", this.#refusedRows);
      this.#changedStatus();
      if (this.#isLeading) this.#session.flush(space);
      return void 0;
    });
    this.#reading.set(space, reading);
    reading.catch(() => this.#reading.delete(space));
    return reading;
  }
  /* Makes the packs anew once much has changed, when nothing changes just now. Tombstones past the window go. */
  #packSoon(view) {
    if (!this.#isLeading || view.fresh < LIMITS.fresh || view.fresh < view.size / 4) return;
    clearTimeout(this.#packing);
    this.#packing = setTimeout(() => void this.#store.transact("relaxed", async (tx) => {
      const { space } = view, state = await tx.get("spaces", space);
      if (state?.seq !== view.state.seq || state.resetting) return;
      await tx.deleteAll("packs", space);
      const now = this.#times.server(this.#device) ?? 0, isGone = (doc) => doc.deleted && state.window > 0 && doc.time < now - state.window * 1e3;
      const all = [...view.documents()], docs = all.filter((doc) => !isGone(doc));
      for (const doc of all) if (isGone(doc)) void tx.delete("docs", [space, doc.collection, doc.id]);
      for (let n = 0; n < docs.length; n += LIMITS.pack) void tx.put("packs", { space, n, docs: JSON.stringify(docs.slice(n, n + LIMITS.pack)) });
      await tx.put("spaces", { ...state, packed: state.seq });
      view.fresh = 0;
    }).catch(() => {
    }), PACK_MS);
  }
  async #commit(mode, work) {
    let deltas = [], device = this.#device;
    const result = await this.#store.transact(mode, async (tx) => {
      if (this.#isLoaded && !await tx.get("device", "device")) await this.#rewrite(tx);
      const change = await Change.begin(tx, this.#times.wall()), made = await work(change);
      deltas = await change.end();
      ({ device } = change);
      return made;
    }).catch((error) => {
      if (error instanceof DOMException && error.name === "QuotaExceededError") throw new TidegateError("storage_full", "no more room");
      throw error;
    });
    this.#device = device;
    if (deltas.length > 0) this.#tabs.tell({ kind: "deltas", deltas });
    for (const delta of deltas) this.#apply(delta);
    return result;
  }
  /* The store was deleted under us. Spaces whose documents are not in memory begin anew. */
  async #rewrite(tx) {
    await tx.put("device", this.#device);
    for (const state of this.#states.values()) {
      const view = this.views.get(state.space);
      await tx.put("spaces", view ? { ...state, packed: 0 } : { ...newSpace(state.space), seq: state.seq, last: state.last, window: state.window });
      for (const doc of view?.documents() ?? []) void tx.put("docs", doc);
    }
    for (const { acked: _, ...push } of [...this.#outboxes.values()].flat()) void tx.put("outbox", push);
    for (const row of this.#refusedRows) await tx.put("refused", row);
  }
  #apply(delta) {
    const { space, state } = delta, known = this.#states.get(space)?.seq ?? 0;
    if (state.seq <= known) return;
    if (state.seq > known + 1) return void (this.#reading.get(space) ?? this.#read(space)).catch((error) => this.#fail(error));
    this.#states.set(space, state);
    const outbox = new Map((this.#outboxes.get(space) ?? []).map((push) => [push.id, push]));
    for (const push of delta.queued) outbox.set(push.id, { ...push, ...outbox.get(push.id)?.acked && { acked: true } });
    for (const { id } of delta.outcomes) outbox.delete(id);
    this.#outboxes.set(space, [...outbox.values()].sort((a, b) => a.id - b.id));
    const view = this.views.get(space);
    for (const collection of view?.apply(delta) ?? []) this.#touch(space, collection);
    if (view) this.#packSoon(view);
    if (delta.refused.length > 0) {
      this.#refusedRows = [...this.#refusedRows, ...delta.refused].slice(-LIMITS.refused);
      this.#tell("refused", this.#refusedRows);
      if (this.#isLeading) for (const row of delta.refused) void this.#resolveConflict(row);
    }
    for (const outcome of delta.outcomes) this.#toldOutcome(outcome);
    this.#changedStatus();
    if (this.#isLeading && delta.queued.length > 0) this.#session.flush(space);
  }
  #toldOutcome(outcome) {
    const key = `${outcome.space}/${outcome.id}`;
    this.#waiting.get(key)?.(outcome);
    this.#waiting.delete(key);
    this.#tell("outcome", outcome);
  }
  async #queue(space, ops, settles) {
    if ([...this.#outboxes.values()].reduce((sum, pushes) => sum + pushes.length, 0) >= LIMITS.outbox) throw new TidegateError("outbox_full", "too many pushes wait");
    const sent = this.#state === "up" && !this.#isPaused ? this.#times.server(this.#device) : null, stamp = this.#times.stamp(this.#device);
    let outcome;
    const { id } = await this.#commit("strict", async (change) => {
      const push = await change.queue(space, ops, stamp, sent);
      if (settles !== void 0) await change.tx.delete("refused", settles);
      outcome = new Promise((resolve2) => this.#waiting.set(`${space}/${push.id}`, resolve2));
      return push;
    });
    if (this.options.backgroundSync && this.#state !== "up") void this.#askForSync();
    return { space, id, settled: () => outcome };
  }
  async #askForSync() {
    const registration = await globalThis.navigator?.serviceWorker?.ready;
    await registration?.sync?.register(`tidegate:${this.options.name ?? "tidegate"}`).catch(() => {
    });
  }
  #forgetRefused(key) {
    this.#refusedRows = this.#refusedRows.filter((one) => one.key !== key);
    this.#tabs.tell({ kind: "settled", key });
    this.#tell("refused", this.#refusedRows);
  }
  async #resolveConflict(row) {
    if (row.status !== "conflict" || !this.options.resolver) return;
    try {
      const operations = await this.options.resolver(row);
      if (operations) await this.retry(row.key, operations);
    } catch (error) {
      this.#fail(error);
    }
  }
  /* ---- tabs ---- */
  #lead() {
    if (this.#isClosed) return;
    this.#isLeading = true;
    this.#tabs.tell({ kind: "lead" });
    void this.#rescanOutbox();
    this.#rescan = setInterval(() => void this.#rescanOutbox(), 5e3);
    this.#rescan.unref?.();
    for (const row of this.#refusedRows) void this.#resolveConflict(row);
    if (!this.#isPaused) this.#session.start();
    this.#changedStatus();
  }
  async #rescanOutbox() {
    const states = await this.#store.transact("read", (tx) => tx.all("spaces")).catch(() => []);
    for (const { space, seq } of states) if (seq > (this.#states.get(space)?.seq ?? 0) && !this.#reading.has(space)) await this.#read(space).catch((error) => this.#fail(error));
  }
  #hello() {
    if (this.#isLeading) return;
    this.#tabs.tell({ kind: "hello", life: this.#times.life, mono: this.#times.mono(), wants: [...this.#wants.get(this.#times.life) ?? []] });
  }
  #hear(message) {
    if (this.#isClosed) return;
    if (!this.#isLoaded) return void this.ready.then(() => this.#hear(message), () => null);
    switch (message.kind) {
      case "deltas":
        return message.deltas.forEach((delta) => this.#apply(delta));
      case "settled":
        this.#refusedRows = this.#refusedRows.filter((one) => one.key !== message.key);
        return this.#tell("refused", this.#refusedRows);
      case "lead":
        return this.#hello();
      case "pause":
        this.#isPaused = message.isPaused;
        return this.#obeyPause();
      case "signal":
        return this.#tell("signal", message);
      default:
        return this.#isLeading ? this.#serve(message) : this.#follow(message);
    }
  }
  /* What the leader hears. */
  #serve(message) {
    if (message.kind === "hello") {
      this.#times.meet(message.life, message.mono);
      const before = this.#wants.get(message.life);
      this.#wants.set(message.life, new Map(message.wants));
      for (const space of /* @__PURE__ */ new Set([...before?.keys() ?? [], ...this.#wants.get(message.life).keys()])) this.#reopen(space, false);
      this.#tellStatus();
      for (const [space, { here, count }] of this.#people) this.#tabs.tell({ kind: "presence", space, here, count });
    } else if (message.kind === "leave") {
      const before = this.#wants.get(message.life);
      this.#wants.delete(message.life);
      for (const space of before?.keys() ?? []) this.#reopen(space, true);
    } else if (message.kind === "say") this.#session.signal(message.space, message.body);
    else if (message.kind === "history") {
      const { life, call, space, collection, before, limit } = message, answer = { kind: "answer", life, call };
      this.#session.history(space, collection, before, limit).then(
        (found) => this.#tabs.tell({ ...answer, code: null, ...found }),
        (error) => this.#tabs.tell({ ...answer, code: error instanceof TidegateError ? error.code : "internal", more: false, isKept: false, count: 0 })
      );
    }
  }
  /* What the others hear. */
  #follow(message) {
    if (message.kind === "status") {
      this.#state = message.state;
      this.#error = message.code === null ? null : new TidegateError(message.code, message.message);
      const live = new Set(message.live);
      for (const space of /* @__PURE__ */ new Set([...this.#liveSpaces, ...live])) this.#turnLive(space, live.has(space));
      this.#changedStatus();
    } else if (message.kind === "acked") this.#ackedUpTo(message.space, message.id);
    else if (message.kind === "presence") this.#setPresence(message.space, message.here, message.count);
    else if (message.kind === "answer" && message.life === this.#times.life) {
      this.#calls.get(message.call)?.(message);
      this.#calls.delete(message.call);
    }
  }
  #wanted() {
    const all = /* @__PURE__ */ new Map();
    for (const mine of this.#wants.values()) for (const [space, options] of mine) {
      const held = all.get(space);
      all.set(space, held ? { ...held, ...options, presence: held.presence || options.presence, meta: options.meta ?? held.meta, tail: held.tail ?? options.tail } : options);
    }
    return all;
  }
  #opened = /* @__PURE__ */ new Map();
  /* Opens or closes a space as all the tabs together want it now. */
  #reopen(space, mayClose) {
    const options = this.#wanted().get(space);
    if (!options) {
      if (mayClose && this.#opened.delete(space)) this.#session.close(space);
      return;
    }
    if (this.#opened.get(space) === JSON.stringify(options)) return;
    this.#opened.set(space, JSON.stringify(options));
    this.#session.open([space]);
  }
  #pause(isPaused) {
    this.#isPaused = isPaused;
    this.#tabs.tell({ kind: "pause", isPaused });
    this.#obeyPause();
  }
  #obeyPause() {
    if (this.#isLeading && this.#isPaused) this.#session.stop();
    else if (this.#isLeading) this.#session.start();
    this.#changedStatus();
  }
  /* ---- the session's wishes ---- */
  #host() {
    const given = new URL(this.options.url ?? globalThis.location?.href ?? "http://127.0.0.1:8080");
    if (given.protocol === "http:" || given.protocol === "https:") given.pathname = "/v1/ws";
    given.protocol = given.protocol.replace("http", "ws");
    given.hash = given.search = "";
    return {
      connect: () => new (this.options.WebSocket ?? WebSocket)(given.href, "tidegate.v1"),
      name: "@tidegate/client",
      times: this.#times,
      token: async (isExpired) => this.options.getToken({ isExpired }),
      device: () => this.#device,
      space: (space) => this.#states.get(space),
      outbox: (space) => this.#outboxes.get(space) ?? [],
      outboxSpaces: () => [...this.#outboxes].filter(([, pushes]) => pushes.length > 0).map(([space]) => space),
      wanted: () => this.#wanted(),
      commit: (mode, work) => this.#commit(mode, work),
      state: (state, error) => {
        this.#state = state;
        this.#error = error ?? (state === "up" ? null : this.#error);
        this.#tellStatus();
        this.#changedStatus();
      },
      live: (space, isLive) => {
        this.#turnLive(space, isLive);
        this.#tellStatus();
        this.#changedStatus();
      },
      acked: (space, id) => {
        this.#tabs.tell({ kind: "acked", space, id });
        this.#ackedUpTo(space, id);
      },
      presence: (space, here, count) => {
        this.#tabs.tell({ kind: "presence", space, here, count });
        this.#setPresence(space, here, count);
      },
      signal: (space, user, device, body) => {
        this.#tabs.tell({ kind: "signal", space, user, device, body });
        this.#tell("signal", { space, user, device, body });
      },
      frame: (isOut, text, frame) => this.options.onFrame?.({ isOut, text, ...frame && { frame } })
    };
  }
  #tellStatus() {
    this.#tabs.tell({ kind: "status", state: this.#state, code: this.#error?.code ?? null, message: this.#error?.message ?? "", live: [...this.#liveSpaces] });
  }
  #turnLive(space, isLive) {
    if (isLive) this.#lastSyncedAt = new Date(this.#times.wall());
    if (this.#liveSpaces.has(space) === isLive) return;
    if (isLive) this.#liveSpaces.add(space);
    else this.#liveSpaces.delete(space);
    const view = this.views.get(space);
    if (!view) return;
    view.isLive = isLive;
    this.#touch(space, "*");
  }
  #ackedUpTo(space, id) {
    for (const push of this.#outboxes.get(space) ?? []) if (push.id <= id) push.acked = true;
    for (const collection of this.views.get(space)?.acked(id) ?? []) this.#touch(space, collection);
  }
  #setPresence(space, here, count) {
    this.#people.set(space, { here, count });
    this.#tell("presence", space);
  }
  /* ---- telling the app ---- */
  #tell(event, value) {
    for (const listener of this.#listeners.get(event) ?? []) listener(value);
  }
  /* Once a turn, however many deltas it took in. */
  #touch(space, collection) {
    if (this.#dirty.size === 0) queueMicrotask(() => {
      const topics = [...this.#dirty];
      this.#dirty.clear();
      for (const [topic, listeners] of this.#listeners) {
        if (topics.includes(topic) || topic.includes("\n") && topics.includes(`${topic.split("\n")[0]}
*`)) for (const listener of listeners) listener();
      }
    });
    this.#dirty.add(`${space}
${collection}`);
  }
  #makeStatus() {
    const wanted = [...this.#wants.get(this.#times.life)?.keys() ?? []];
    return {
      connected: this.#state === "up",
      connecting: this.#state === "connecting",
      paused: this.#isPaused,
      leading: this.#isLeading,
      uploading: [...this.#outboxes.values()].reduce((sum, pushes) => sum + pushes.length, 0),
      downloading: this.#state === "up" ? wanted.filter((space) => !this.#liveSpaces.has(space)).length : 0,
      hasSynced: this.#isLoaded && wanted.every((space) => this.#states.get(space)?.synced),
      lastSyncedAt: this.#lastSyncedAt,
      error: this.#error
    };
  }
  #changedStatus() {
    const before = this.#shown, now = this.#makeStatus();
    if (before && Object.keys(now).every((key) => now[key] === before[key])) return;
    this.#shown = now;
    this.#tell("status", now);
  }
  #fail(error) {
    this.#error = error instanceof TidegateError ? error : new TidegateError("storage", String(error));
    this.#changedStatus();
  }
  #until(holds, signal) {
    return new Promise((resolve2, reject) => {
      const stop = this.on("status", check), abort = () => {
        stop();
        reject(signal.reason);
      };
      function check(status) {
        if (!holds(status)) return;
        stop();
        signal?.removeEventListener("abort", abort);
        resolve2();
      }
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort);
      void this.ready.then(() => check(this.status), reject);
    });
  }
  /* ---- the page ---- */
  #onWake = () => {
    if (globalThis.document?.visibilityState !== "hidden") this.#session.wake();
  };
  #onLeave = () => this.#tabs.tell({ kind: "leave", life: this.#times.life });
  #onShow = () => this.#hello();
  #listen() {
    globalThis.addEventListener?.("online", this.#onWake);
    globalThis.addEventListener?.("offline", this.#onWake);
    globalThis.addEventListener?.("pagehide", this.#onLeave);
    globalThis.addEventListener?.("pageshow", this.#onShow);
    globalThis.document?.addEventListener("visibilitychange", this.#onWake);
  }
  #unlisten() {
    globalThis.removeEventListener?.("online", this.#onWake);
    globalThis.removeEventListener?.("offline", this.#onWake);
    globalThis.removeEventListener?.("pagehide", this.#onLeave);
    globalThis.removeEventListener?.("pageshow", this.#onShow);
    globalThis.document?.removeEventListener("visibilitychange", this.#onWake);
  }
};
function createClient(options) {
  return new Client(options);
}
export {
  Batch,
  Client,
  Collection,
  DocRef,
  Query,
  RawJson,
  Receipts,
  Space,
  TidegateError,
  createClient,
  newId,
  parse,
  raw,
  stringify
};

"use strict";
(() => {
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
    a.hi = hi << by | lo >>> 32 - by;
    a.lo = lo << by | hi >>> 32 - by;
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

  // src/json.ts
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

  // src/store.ts
  var KEYS = { device: "key", spaces: "space", docs: ["space", "collection", "id"], packs: ["space", "n"], outbox: ["space", "id"], refused: "key" };
  var TABLES = Object.keys(KEYS);
  var VERSION = 1;
  var AGAIN_MS = 20;
  var AGAIN_MS_MAX = 1280;
  var CLOSED = ["AbortError", "InvalidStateError", "UnknownError"];
  var aborted = () => new DOMException("aborted", "AbortError");
  var rangeOf = (prefix) => prefix.length > 0 ? IDBKeyRange.bound(prefix, [...prefix, []]) : void 0;
  function promise(request) {
    return new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
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
        const ends = /* @__PURE__ */ new Set();
        db.onclose = () => {
          lose(made);
          for (const end of ends) end(aborted());
        };
        db.onversionchange = () => lose(made);
        return { db, ends };
      });
      made.catch(() => {
        opening = null;
      });
      return opening = made;
    };
    const lose = (made) => {
      void made.then(({ db }) => db.close(), () => {
      });
      if (opening !== made) return;
      opening = null;
      store.onLost();
    };
    const attempt = async ({ db, ends }, mode, work) => {
      const tx = db.transaction(TABLES, mode === "read" ? "readonly" : "readwrite", { durability: mode === "read" ? "default" : mode });
      let end;
      const ended = new Promise((resolve) => {
        end = resolve;
      });
      tx.oncomplete = () => end(null);
      tx.onabort = () => end(tx.error ?? aborted());
      ends.add(end);
      const table = (one) => tx.objectStore(one);
      const write = (request) => {
        const written = promise(request);
        written.catch(() => {
        });
        return written;
      };
      try {
        const made = work({
          get: (one, key) => promise(table(one).get(key)),
          all: (one, ...prefix) => promise(table(one).getAll(rangeOf(prefix))),
          since: (space, seq) => promise(table("docs").index("seq").getAll(IDBKeyRange.bound([space, seq], [space, []], true))),
          put: (one, row) => write(table(one).put(row)),
          delete: (one, key) => write(table(one).delete(key)),
          deleteAll: (one, ...prefix) => write(table(one).delete(rangeOf(prefix)))
        });
        const result = await Promise.race([made, ended.then((failed2) => failed2 ? Promise.reject(failed2) : made)]), failed = await ended;
        if (failed) throw failed;
        return result;
      } catch (error) {
        try {
          tx.abort();
        } catch {
        }
        const cause = await ended;
        throw cause && cause.name !== "AbortError" ? cause : error;
      } finally {
        ends.delete(end);
      }
    };
    const store = {
      onLost: () => {
      },
      async transact(mode, work) {
        for (let wait = AGAIN_MS; ; wait *= 2) {
          const made = open();
          try {
            return await attempt(await made, mode, work);
          } catch (error) {
            if (!(error instanceof DOMException && CLOSED.includes(error.name)) || wait > AGAIN_MS_MAX) throw error;
          }
          lose(made);
          await new Promise((resolve) => setTimeout(resolve, wait));
        }
      },
      async close() {
        const made = await opening?.catch(() => null);
        opening = null;
        made?.db.close();
      },
      async destroy() {
        await this.close();
        await promise(indexedDB.deleteDatabase(name));
      }
    };
    return store;
  }

  // src/tabs.ts
  function lockName(name) {
    return `tidegate:${name}`;
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
  var utf8 = new TextEncoder();
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

  // src/service-worker.ts
  var ROUNDS_MAX = 20;
  async function flush(options) {
    const name = options.name ?? "tidegate";
    return navigator.locks.request(lockName(name), { ifAvailable: true }, async (lock) => {
      if (!lock) return { settled: 0, isDone: true };
      const store = indexedStore(`tidegate:${name}`), channel = new BroadcastChannel(`tidegate:${name}`);
      const tell = (deltas) => {
        if (deltas.length > 0) channel.postMessage({ kind: "deltas", deltas });
      };
      try {
        let settled = 0;
        for (let round2 = 0; round2 < ROUNDS_MAX; round2++) {
          const done = await syncOnce(store, options, tell);
          settled += done.settled;
          if (done.isDone) return { settled, isDone: true };
        }
        return { settled, isDone: false };
      } finally {
        channel.close();
        await store.close();
      }
    });
  }
  function readAnswer(text) {
    const answer = { results: [], pages: [], current: [], closed: [], errors: [], pending: [] };
    for (const { name, value } of members(text)) answer[name] = name === "results" || name === "pages" ? items(value).map(readFrame) : JSON.parse(value);
    return answer;
  }
  async function syncOnce(store, options, tell) {
    const times = new Times(systemClock), commit = (work) => store.transact("strict", async (tx) => {
      const change = await Change.begin(tx, times.wall());
      await work(change);
      return change.end();
    }).then(tell);
    const { device, spaces, outbox } = await store.transact("read", async (tx) => ({
      device: await tx.get("device", "device"),
      spaces: await tx.all("spaces"),
      outbox: await tx.all("outbox")
    }));
    if (!device) return { settled: 0, isDone: true };
    const sendable = spaces.flatMap(({ space }) => outbox.filter((push) => push.space === space).slice(0, LIMITS.inflight));
    const now = times.server(device) ?? times.wall(), ids = new Set(sendable.map((push) => push.id));
    for (const { space } of spaces) await commit((change) => change.markSent(space, ids, now));
    const known = (space) => (outbox.find((push) => push.space === space)?.id ?? spaces.find((one) => one.space === space).last + 1) - 1;
    const pushes = sendable.map((push) => encodePush(push, push.after, known(push.space), times.age(push, device)));
    const opens = spaces.filter((state) => state.synced).map(({ space, cursor }) => JSON.stringify({ space, since: cursor, known: known(space) }));
    const head = JSON.stringify({ device: device.device, ...device.log !== null && { log: device.log } }).slice(0, -1);
    const text = await post(options, `${head},"pushes":[${pushes.join(",")}],"opens":[${opens.join(",")}]}`);
    const answer = readAnswer(text);
    let left = 0, settled = 0;
    await commit(async (change) => {
      left = settled = 0;
      const open = /* @__PURE__ */ new Set();
      for (const entry of answer.current) await change.current(entry);
      for (const page of answer.pages) {
        const taken = await change.page(page);
        if (page.more || taken !== "taken") open.add(page.space);
      }
      for (const { space, purge } of answer.closed) if (purge) await change.purge(space);
      for (const result of answer.results) if (result.status !== "applied" || !open.has(result.space)) await change.result(result);
      for (const { space } of spaces) {
        const waiting = await change.outbox(space);
        left += waiting.filter((push) => !answer.pending.includes(push.id) && !answer.errors.some((error) => error.space === space)).length;
        settled += outbox.filter((push) => push.space === space).length - waiting.length;
      }
      left += open.size;
    });
    return { settled, isDone: left === 0 };
  }
  async function post(options, body) {
    const url = new URL(options.url ?? globalThis.location.href);
    url.protocol = url.protocol.replace("ws", "http");
    url.pathname = "/v1/sync";
    url.hash = url.search = "";
    for (const isExpired of [false, true]) {
      const token = await options.getToken({ isExpired });
      const response = await fetch(url, { method: "POST", body, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" } });
      if (response.status === 401 && !isExpired) continue;
      if (!response.ok) throw new TidegateError(response.status === 409 ? "log" : `http_${response.status}`, await response.text());
      return response.text();
    }
    throw new TidegateError("unauthenticated", "no token that works");
  }
  function listen(options) {
    const find = typeof options === "function" ? options : (name) => name === (options.name ?? "tidegate") ? options : null;
    const hear = (event) => {
      const { tag } = event, found = tag.startsWith("tidegate:") ? find(tag.slice("tidegate:".length)) : null;
      if (found) event.waitUntil(flush(found));
    };
    globalThis.addEventListener("sync", hear);
    globalThis.addEventListener("periodicsync", hear);
  }

  // ../app/sw.ts
  var CACHE = "tidegate-demo";
  var SHELL = ["/", "/index.html", "/phone.html", "/demo.css", "/phone.css", "/demo.js", "/phone.js", "/tidegate.js", "/favicon.svg"];
  var worker = globalThis;
  worker.addEventListener("install", (event) => event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => worker.skipWaiting())));
  worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
  worker.addEventListener("fetch", (event) => {
    const { request } = event, { pathname, origin } = new URL(request.url);
    if (request.method !== "GET" || origin !== location.origin || !SHELL.includes(pathname)) return;
    event.respondWith(fetch(request).then(async (response) => {
      if (response.ok) await (await caches.open(CACHE)).put(pathname, response.clone());
      return response;
    }).catch(async () => await caches.match(pathname) ?? Response.error()));
  });
  listen((name) => ({ name, getToken: async () => (await (await fetch(`/dev/token?user=${name}`)).json()).token }));
})();

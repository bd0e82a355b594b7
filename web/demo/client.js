// A device of Tidegate in one small module: a local copy, an outbox, and the rules that keep both honest.
//
//   const device = new Device({ name: 'ana', device: 'phone-…', url, token: async () => '…', store: localStorage })
//   device.open('cart:ana', { presence: true }); device.start(); device.on('change', () => render())
//   device.push('cart:ana', [{ op: 'incr', collection: 'items', id: 'tea', field: 'qty', by: 1 }])
//
// INVARIANTS
// 1. A push leaves the outbox only with its outcome, never with its ack; both go to the store in one write.
// 2. What the app sees is the confirmed copy with the outbox on top of it.
// 3. A cursor only moves along `prev`; anything else opens the space again from where it stands.

const now = () => performance.timeOrigin + performance.now(); // does not jump while the page lives

export class Device {
  constructor({ name, device, url, token, store, key = `tidegate:${device}` }) {
    Object.assign(this, { name, url, token, store, key });
    const kept = JSON.parse(store.getItem(key) ?? 'null');
    this.state = kept ?? { device, log: null, next: 1, spaces: {}, outbox: [], refused: [] };
    this.device = this.state.device;
    this.wanted = new Map();   // space -> how it is to be opened
    this.live = new Map();     // space -> { base, ready }: what this connection knows of it
    this.presence = new Map(); // space -> Map(user -> entry)
    this.counters = { pushes: 0, acks: 0, updates: 0, pages: 0, resent: 0 };
    this.listeners = {};
    this.offline = false;
    this.connected = false;
    this.attempt = 0;
    this.ref = 0;
    this.skew = 0;             // the server's clock less ours
  }

  on(event, listener) { (this.listeners[event] ??= []).push(listener); return this; }
  tell(event, value) { for (const listener of this.listeners[event] ?? []) listener(value, this); }
  save() { this.store.setItem(this.key, JSON.stringify(this.state)); this.tell('change'); }

  // ---- what an app calls ----
  open(space, options = {}) {
    this.wanted.set(space, options);
    this.state.spaces[space] ??= { cursor: null, docs: {}, known: 0 };
    if (this.connected) this.sendOpen(space);
  }
  start() { this.stopped = false; this.connect(); }
  setOffline(offline) {
    this.offline = offline;
    clearTimeout(this.timer);
    if (offline) { this.socket?.close(); this.down(); } else { this.attempt = 0; this.connect(); }
    this.tell('change');
  }
  push(space, ops) {
    const id = this.state.next++;
    this.state.outbox.push({ id, space, ops, made: now(), acked: false });
    this.save();
    if (this.live.get(space)?.ready) this.sendPush(this.state.outbox.at(-1));
    return id;
  }
  signal(space, body) { this.send({ type: 'signal', space, body }); }
  settle(id) { this.state.refused = this.state.refused.filter((r) => r.id !== id); this.save(); }

  // The copy as the user sees it: confirmed documents, and on top of them what is still on its way.
  docs(space, collection) {
    const docs = new Map();
    for (const doc of Object.values(this.state.spaces[space]?.docs ?? {})) if (doc.collection === collection) docs.set(doc.id, { ...doc });
    for (const push of this.state.outbox) {
      if (push.space !== space) continue;
      for (const op of push.ops) if (op.collection === collection) apply(docs, op, push);
    }
    return [...docs.values()].filter((doc) => !doc.deleted).sort((a, b) => (a.born ?? 1e15) - (b.born ?? 1e15) || (a.pending ?? 0) - (b.pending ?? 0));
  }
  doc(space, collection, id) { return this.docs(space, collection).find((doc) => doc.id === id); }
  here(space) { return [...(this.presence.get(space)?.values() ?? [])]; }

  // ---- the connection ----
  async connect() {
    if (this.offline || this.stopped || this.socket) return;
    let token;
    try { token = await this.token(); } catch { return this.retry(); }
    if (this.offline || this.socket) return;
    const socket = (this.socket = new WebSocket(this.url, 'tidegate.v1'));
    socket.onopen = () => this.send({ type: 'hello', protocol: 1, token, device: this.device, client: 'demo' });
    socket.onmessage = (event) => { for (const line of event.data.split('\n')) if (line) this.hear(JSON.parse(line)); };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.down();
      if (event.code !== 4409 && !this.offline) this.retry();
    };
  }
  down() {
    this.socket = null;
    this.connected = false;
    this.live.clear();
    this.presence.clear();
    this.tell('change');
  }
  retry(least = 0) {
    const most = Math.min(10000, 300 * 2 ** this.attempt++);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), Math.max(least, Math.random() * most));
  }
  send(frame) { if (this.socket?.readyState === WebSocket.OPEN) { this.socket.send(JSON.stringify(frame)); this.tell('frame', { out: true, frame }); } }
  sendOpen(space) {
    const kept = this.state.spaces[space], ref = ++this.ref;
    this.live.set(space, { ref, ready: false, base: 0 });
    this.send({ type: 'open', ref, presence: !!this.wanted.get(space)?.presence, spaces: [{ space, since: kept.cursor, known: kept.known }] });
  }
  sendPush(push) {
    const live = this.live.get(push.space);
    const after = live.base;
    live.base = push.id;
    const ops = push.ops.map((op) => ({ ...op, age: Math.max(0, Math.round(now() - push.made)) }));
    if (push.sent) this.counters.resent++;
    push.sent = true;
    this.counters.pushes++;
    this.send({ type: 'push', id: push.id, after, space: push.space, known: this.state.spaces[push.space].known, ops });
  }
  sendOutbox(space) { for (const push of this.state.outbox) if (push.space === space && push.id > this.live.get(space).base) this.sendPush(push); }

  // ---- what the server says ----
  hear(frame) {
    this.tell('frame', { out: false, frame });
    const live = this.live.get(frame.space), kept = this.state.spaces[frame.space];
    switch (frame.type) {
      case 'welcome': return this.welcome(frame);
      case 'current':
        for (const entry of frame.spaces) {
          const at = this.live.get(entry.space);
          if (at?.ref !== frame.ref) continue;
          this.state.spaces[entry.space].cursor = entry.cursor;
          this.complete(entry.space, at, entry.pushed, []);
        }
        return this.save();
      case 'page': return live && frame.from !== undefined && this.page(frame, live, kept);
      case 'update': return live && this.update(frame, live, kept);
      case 'ack':
        for (const push of this.state.outbox) if (push.space === frame.space && push.id <= frame.id) push.acked = true;
        this.counters.acks++;
        return this.save();
      case 'result':
        if (frame.status !== 'applied') this.refuse(frame);
        this.outcome(frame.space, (id) => id === frame.id);
        return this.save();
      case 'presence': return this.seePresence(frame);
      case 'signal': return this.tell('signal', frame);
      case 'closed':
        this.live.delete(frame.space);
        if (frame.purge) { kept.docs = {}; kept.cursor = null; }
        if (this.wanted.has(frame.space)) setTimeout(() => this.connected && !this.live.has(frame.space) && this.sendOpen(frame.space), 700);
        return this.save();
      case 'error': return this.error(frame, live);
      case 'bye': this.farewell = frame.retry; return;
    }
  }
  welcome(frame) {
    this.connected = true;
    this.attempt = 0;
    this.user = frame.user;
    this.skew = frame.time - now();
    if (this.state.log !== frame.log) for (const space of Object.values(this.state.spaces)) space.cursor = null;
    this.state.log = frame.log;
    for (const space of this.wanted.keys()) this.sendOpen(space);
    this.save();
  }
  page(frame, live, kept) {
    this.counters.pages++;
    if (frame.reset && frame.from === null) live.named = new Set();
    for (const doc of frame.docs) { kept.docs[`${doc.collection}/${doc.id}`] = doc; live.named?.add(`${doc.collection}/${doc.id}`); }
    kept.cursor = frame.to;
    if (!frame.more) {
      if (frame.reset && live.named) for (const key of Object.keys(kept.docs)) if (!live.named.has(key)) delete kept.docs[key];
      live.named = null;
      this.complete(frame.space, live, frame.pushed, frame.refused);
    }
    this.save();
  }
  update(frame, live, kept) {
    if (frame.prev !== kept.cursor) return this.sendOpen(frame.space);
    this.counters.updates++;
    kept.cursor = frame.cursor;
    const mine = frame.user === this.user && frame.device === this.device;
    for (const doc of frame.docs ?? []) kept.docs[`${doc.collection}/${doc.id}`] = doc;
    if (mine) this.outcome(frame.space, (id) => id === frame.push);
    this.save();
  }
  complete(space, live, pushed, refused) {
    for (const outcome of refused ?? []) if (this.state.outbox.some((push) => push.id === outcome.id && push.space === space)) this.refuse({ ...outcome, space });
    this.outcome(space, (id) => id <= pushed);
    live.base = Math.max(live.base, pushed);
    if (!live.ready) { live.ready = true; this.sendOutbox(space); }
  }
  outcome(space, covers) {
    this.state.outbox = this.state.outbox.filter((push) => push.space !== space || !covers(push.id));
    const first = this.state.outbox.find((push) => push.space === space);
    this.state.spaces[space].known = first ? first.id - 1 : this.state.next - 1;
  }
  refuse(frame) {
    const push = this.state.outbox.find((p) => p.id === frame.id && p.space === frame.space);
    if (!push || this.state.refused.some((r) => r.id === frame.id)) return;
    this.state.refused.push({ id: frame.id, space: frame.space, status: frame.status, code: frame.code, message: frame.message, ops: push.ops, docs: frame.docs ?? [] });
  }
  error(frame, live) {
    if (frame.code === 'gap' && live) { live.base = frame.after; this.sendOutbox(frame.space); }
    else if (frame.retry && live) setTimeout(() => { if (this.live.get(frame.space) === live) { live.base = Math.min(live.base, frame.id - 1); this.sendOutbox(frame.space); } }, frame.retry);
    else if (frame.code === 'forked') this.tell('forked', frame);
  }
  seePresence(frame) {
    if (frame.here) this.presence.set(frame.space, new Map(frame.here.map((entry) => [entry.user, entry])));
    const here = this.presence.get(frame.space) ?? new Map();
    for (const entry of frame.join ?? []) here.set(entry.user, entry);
    for (const entry of frame.leave ?? []) here.delete(entry.user);
    this.presence.set(frame.space, here);
    this.tell('change');
  }
}

// What one of our own operations will do, as far as one can tell before the server has said.
function apply(docs, op, push) {
  const doc = docs.get(op.id) ?? { collection: op.collection, id: op.id, rev: 0, body: {} };
  const body = { ...(doc.deleted ? {} : doc.body) };
  if (op.op === 'put' || op.op === 'append') Object.assign(doc, { body: op.body, deleted: false });
  else if (op.op === 'delete') doc.deleted = true;
  else if (op.op === 'patch') { for (const [key, value] of Object.entries(op.body)) if (value === null) delete body[key]; else body[key] = value; Object.assign(doc, { body, deleted: false }); }
  else if (op.op === 'incr') { const sum = (body[op.field] ?? 0) + op.by; body[op.field] = Math.min(op.max ?? Infinity, Math.max(op.min ?? -Infinity, sum)); Object.assign(doc, { body, deleted: false }); }
  docs.set(op.id, { ...doc, pending: push.id, acked: push.acked });
}

/* The device's side of the protocol, sentence by sentence, against a gateway made of paper. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { memoryStore } from '../src/memory.js';
import { Device, doc, page, PaperSocket, SERVER_TIME, sumOf, TestClock, until, update } from './gateway.js';

const SPACE = 'cart:ana';
const devices: Device[] = [];
const make = (...args: ConstructorParameters<typeof Device>) => {
  const device = new Device(...args);
  devices.push(device);
  return device;
};
afterEach(async () => {
  await Promise.all(devices.map((device) => device.client.destroy()));
  devices.length = 0;
  PaperSocket.all = [];
});
const tea = (device: Device) => device.client.space(SPACE).doc<{ qty: number; name?: string }>('items/tea');

test('the first frame is hello, and a space is opened from nothing', async () => {
  const device = make();
  await device.up(SPACE);
  assert.equal(device.socket.url, 'ws://gate.test/v1/ws');
  assert.equal(device.socket.protocol, 'tidegate.v1');
  assert.equal(device.socket.sent[0]!.type, 'hello');
  assert.match(device.client.deviceId, /^[A-Za-z0-9_-]{8,64}$/);
  assert.deepEqual(device.socket.of('open')[0]!.spaces, [{ space: SPACE, since: null, known: 0 }]);
});

test('a push stays in the outbox and on top of the copy until its outcome, whatever was acked', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  const write = await tea(device).increment('qty', 2);
  const [push] = await device.pushes(1);
  assert.deepEqual({ id: push!.id, after: push!.after, known: push!.known }, { id: 1, after: 0, known: 0 });
  assert.equal((push!.ops as { base: number }[])[0]!.base, 5);
  assert.equal(tea(device).current()!.data.qty, 3);
  assert.equal(tea(device).current()!.pending, 'queued');
  device.socket.say({ type: 'ack', space: SPACE, id: 1 });
  await until('sent', () => tea(device).current()!.pending === 'sent');
  assert.equal(device.client.status.uploading, 1);
  device.socket.say(update(SPACE, 'c0', 'c6', 6, [doc('tea', 6, '{"qty":3}', { user: 'ana' })], { user: 'ana', device: device.client.deviceId, push: 1 }));
  assert.deepEqual(await write.settled(), { space: SPACE, id: 1, status: 'applied' });
  assert.equal(tea(device).current()!.pending, null);
  assert.equal(device.client.status.uploading, 0);
});

test('an update to its maker without documents is filled in from the outbox, byte for byte', async () => {
  const device = make();
  await device.up(SPACE);
  const body = { n: 9007199254740993n, text: 'é"\\' };
  const write = await device.client.space(SPACE).collection<typeof body>('notes').append(body, 'm1');
  await device.pushes(1);
  device.socket.say(update(SPACE, 'c0', 'c7', 7, undefined, { user: 'ana', device: device.client.deviceId, push: 1 }));
  await write.settled();
  const kept = device.client.space(SPACE).doc<typeof body>('notes/m1').current()!;
  assert.equal(kept.raw, '{"n":9007199254740993,"text":"é\\"\\\\"}');
  assert.deepEqual({ rev: kept.rev, born: kept.born, n: kept.data.n }, { rev: 7, born: 7, n: 9007199254740993n });
});

test('a hole makes the device open again from its own cursor, and ignore what belongs to the old open', async () => {
  const device = make();
  await device.up(SPACE);
  device.socket.say(update(SPACE, 'c8', 'c9', 9, [doc('tea', 9, '{"qty":9}')]));
  const again = await device.opened(SPACE, 2);
  assert.equal(again.since, 'c0');
  device.socket.say(update(SPACE, 'c0', 'c9', 9, [doc('tea', 9, '{"qty":1}')]), page(SPACE, 1, { from: 'c0', reset: undefined, to: 'c9' }),
    page(SPACE, again.ref, { from: 'c0', to: 'c9', reset: undefined, docs: [doc('tea', 9, '{"qty":9}')] }));
  await until('the page', () => tea(device).current()?.data.qty === 9);
});

test('what is resent after a reconnect goes behind what the log has, in order and unchanged', async () => {
  const device = make();
  await device.up(SPACE);
  for (let i = 0; i < 3; i++) await tea(device).increment('qty', 1);
  const before = await device.pushes(3);
  device.socket.hangUp(1006);
  await device.welcome({ count: 1 });
  const { ref, known } = await device.opened(SPACE);
  assert.equal(known, 0);
  device.socket.say({ type: 'current', ref, spaces: [{ space: SPACE, cursor: 'c0', pushed: 1, window: 3600 }] });
  const after = await device.pushes(2);
  assert.deepEqual(after.map(({ id, after: a, known: k }) => [id, a, k]), [[2, 1, 1], [3, 2, 1]]);
  const plain = (pushes: unknown[]) => JSON.stringify(pushes, (key, value) => (key === 'age' ? undefined : value) as unknown);
  assert.equal(plain(after.map((push) => push.ops)), plain(before.slice(1).map((push) => push.ops)));
});

test('a gap is mended once, from behind what the log has', async () => {
  const device = make();
  await device.up(SPACE, { pushed: 0 });
  for (let i = 0; i < 3; i++) await tea(device).increment('qty', 1);
  await device.pushes(3);
  for (const id of [1, 2, 3]) device.socket.say({ type: 'error', code: 'gap', message: '', space: SPACE, id, after: 0 });
  const all = await device.pushes(6);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(device.socket.of('push').length, 6);
  assert.deepEqual(all.slice(3).map(({ id, after }) => [id, after]), [[1, 0], [2, 1], [3, 2]]);
});

test('a gap that is heard after the outcome of what it missed sends nothing below that outcome', async () => {
  const device = make();
  await device.up(SPACE, { pushed: 0 });
  for (let i = 0; i < 4; i++) await tea(device).increment('qty', 1);
  await device.pushes(4);
  const own = (push: number) => update(SPACE, `c${push - 1}`, `c${push}`, push, [doc('tea', push, `{"qty":${push}}`, { user: 'ana' })], { user: 'ana', device: device.client.deviceId, push });
  device.socket.say(own(1), own(2), ...[2, 3, 4].map((id) => ({ type: 'error', code: 'gap', space: SPACE, id, after: id === 2 ? 0 : 1 })));
  const all = await device.pushes(6);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(device.socket.of('push').length, 6);
  assert.deepEqual(all.slice(4).map(({ id, after }) => [id, after]), [[3, 2], [4, 3]]);
});

test('nor does one in a space that is not open, nor a run that was made before', async () => {
  const device = make();
  await device.up(SPACE, { pushed: 0 });
  for (let i = 0; i < 4; i++) await device.client.write('cart:other', [{ op: 'incr', collection: 'items', id: 'tea', field: 'qty' }]);
  const mine = () => device.socket.of('push').filter((push) => push.space === 'cart:other'), result = (id: number) => ({ type: 'result', space: 'cart:other', id, status: 'applied', cursor: `c${id}`, at: id });
  await until('four pushes', () => mine().length >= 4);
  device.socket.say(result(1), result(2), { type: 'error', code: 'gap', space: 'cart:other', id: 3, after: 1 });
  await until('two more', () => mine().length >= 6);
  assert.deepEqual(mine().slice(4).map(({ id, after }) => [id, after]), [[3, 2], [4, 3]]);
  device.socket.say(result(3));
  await until('one left', () => device.client.pendingWrites().length === 1);
  const opens = device.socket.of('open').length;
  device.client.space('cart:other');
  await until('open', () => device.socket.of('open').length > opens);
  device.socket.say(page('cart:other', device.socket.of('open').at(-1)!.ref as number, { pushed: 2 }));
  await until('one more', () => mine().length >= 7);
  assert.deepEqual(mine().slice(6).map(({ id, after }) => [id, after]), [[4, 3]]);
});

test('a store closed amid a commit and opened again: what the first try changed of the connection goes with it, and nothing is missed', async () => {
  const store = memoryStore(), device = make(store), { transact } = store;
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  let isClosed = true;
  store.transact = async (mode, work) => {
    if (isClosed && mode !== 'read') {
      isClosed = false;
      await transact.call(store, mode, async (tx) => {
        await work(tx);
        throw new DOMException('closed', 'AbortError');
      }).catch(() => { /* nothing of it is kept */ });
    }
    return transact.call(store, mode, work) as never;
  };
  device.socket.say(update(SPACE, 'c8', 'c9', 9, [doc('tea', 9, '{"qty":9}')]));
  await device.welcome({ count: 1 });
  const { ref, since } = await device.opened(SPACE);
  assert.equal(since, 'c0');
  device.socket.say(page(SPACE, ref, { from: 'c0', to: 'c9', reset: undefined, docs: [doc('tea', 9, '{"qty":9}')] }));
  await until('taken in', () => tea(device).current()!.data.qty === 9);
  isClosed = true;
  const write = await tea(device).increment('qty', 1);
  assert.equal(tea(device).current()!.data.qty, 10);
  assert.equal(device.client.pendingWrites().length, 1);
  assert.equal(write.id, 1);
});

test('busy sends the push and those behind it again, in order', async () => {
  const device = make();
  await device.up(SPACE);
  for (let i = 0; i < 3; i++) await tea(device).increment('qty', 1);
  await device.pushes(3);
  for (const id of [2, 3]) device.socket.say({ type: 'error', code: 'busy', space: SPACE, id, retry: 30 });
  const all = await device.pushes(5);
  assert.deepEqual(all.slice(3).map(({ id, after }) => [id, after]), [[2, 1], [3, 2]]);
});

test('a refusal is kept over a restart, and its effect leaves the view with it', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  await tea(device).update({ qty: 5 });
  await device.pushes(1);
  device.socket.say({ type: 'result', id: 1, space: SPACE, status: 'rejected', code: 'invalid', message: 'qty', cursor: 'c0', at: 5, docs: [] });
  await until('refused', () => device.client.refused().length);
  assert.equal(tea(device).current()!.data.qty, 1);
  await device.client.destroy();
  const second = make(device.store);
  await second.client.ready;
  assert.deepEqual(second.client.refused().map(({ id, status, code, ops }) => ({ id, status, code, body: ops[0]!.body })), [{ id: 1, status: 'rejected', code: 'invalid', body: '{"qty":5}' }]);
  await second.client.dismiss(second.client.refused()[0]!.key);
  assert.deepEqual(second.client.refused(), []);
});

test('outcomes of what was sent come with the last page of a run too', async () => {
  const device = make();
  await device.up(SPACE);
  await tea(device).increment('qty', 1);
  await tea(device).set({ qty: -1 });
  await device.pushes(2);
  device.socket.hangUp(1006);
  await device.welcome({ count: 1 });
  const { ref } = await device.opened(SPACE);
  device.socket.say(page(SPACE, ref, { from: 'c0', to: 'c6', reset: undefined, pushed: 2, docs: [doc('tea', 6, '{"qty":1}')], refused: [{ id: 2, space: SPACE, status: 'rejected', code: 'invalid' }] }));
  await device.client.waitForPendingWrites();
  assert.deepEqual(device.client.refused().map(({ id, code }) => [id, code]), [[2, 'invalid']]);
  assert.equal(tea(device).current()!.data.qty, 1);
});

test('a conflict keeps both sides, and retry pushes on the server\'s', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  await tea(device).set({ qty: 7 });
  await device.pushes(1);
  device.socket.say(update(SPACE, 'c0', 'c6', 6, [doc('tea', 6, '{"qty":2}')]),
    { type: 'result', id: 1, space: SPACE, status: 'conflict', code: 'conflict', cursor: 'c6', at: 6, docs: [doc('tea', 6, '{"qty":2}')] });
  const refused = await until('conflict', () => device.client.refused()[0]);
  assert.equal(refused.docs[0]!.body, '{"qty":2}');
  await device.client.retry(refused.key);
  const push = (await device.pushes(2))[1]!;
  assert.equal((push.ops as { base: number }[])[0]!.base, 6);
  assert.deepEqual(device.client.refused(), []);
});

test('a resolver settles a conflict by itself', async () => {
  const device = make(undefined, undefined, { resolver: ({ docs }) => [{ op: 'put', collection: 'items', id: 'tea', body: { qty: (JSON.parse(docs[0]!.body!) as { qty: number }).qty + 40 } }] });
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  await tea(device).set({ qty: 7 });
  await device.pushes(1);
  device.socket.say({ type: 'result', id: 1, space: SPACE, status: 'conflict', code: 'conflict', cursor: 'c0', at: 5, docs: [doc('tea', 5, '{"qty":2}')] });
  const push = (await device.pushes(2))[1]!;
  assert.deepEqual((push.ops as { body: unknown }[])[0]!.body, { qty: 42 });
});

test('a reset replaces the copy at its last page, never the outbox, and its bases mean nothing any more', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}'), doc('old', 4, '{"qty":1}')] });
  device.client.disconnect();
  await tea(device).update({ qty: 3 });
  await device.client.space(SPACE).write([{ op: 'patch', collection: 'items', id: 'old', body: { qty: 2 }, if: 4 }]);
  device.client.connect();
  await device.welcome({ count: 1 });
  const { ref } = await device.opened(SPACE);
  device.socket.say(page(SPACE, ref, { to: 'd1', more: true, docs: [doc('new', 7, '{"qty":1}')] }));
  await until('first page', () => device.docs(SPACE, 'items').new);
  assert.equal(device.docs(SPACE, 'items').old, '{"qty":1}', 'it stays until the run is whole');
  device.socket.say(page(SPACE, ref, { from: 'd1', to: 'd2', docs: [doc('tea', 8, '{"qty":1}')], sum: { items: sumOf(doc('new', 7, '{"qty":1}'), doc('tea', 8, '{"qty":1}')) } }));
  const [push] = await device.pushes(1);
  assert.deepEqual(device.docs(SPACE, 'items'), { new: '{"qty":1}', tea: '{"qty":3}' });
  assert.equal((push!.ops as { base: number }[])[0]!.base, 0);
  assert.deepEqual(device.client.refused().map(({ code, ops }) => [code, ops[0]!.id]), [['precondition', 'old']]);
});

test('a reset that was cut goes on where it stood, over a restart', async () => {
  const device = make();
  device.client.space(SPACE);
  await device.welcome();
  const { ref } = await device.opened(SPACE);
  device.socket.say(page(SPACE, ref, { to: 'd1', more: true, docs: [doc('a', 1, '{}')] }));
  await until('page', () => device.docs(SPACE, 'items').a);
  await device.client.destroy();
  const second = make(device.store);
  second.client.space(SPACE);
  await second.welcome({ count: 1 });
  const again = await second.opened(SPACE);
  assert.equal(again.since, 'd1');
  second.socket.say(page(SPACE, again.ref, { from: 'd1', to: 'd2', docs: [doc('b', 2, '{}')], sum: { items: sumOf(doc('a', 1, '{}'), doc('b', 2, '{}')) } }));
  await second.client.waitForFirstSync();
  assert.deepEqual(Object.keys(second.docs(SPACE, 'items')), ['a', 'b']);
});

test('sums that differ make the device ask from nothing', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  device.socket.hangUp(1012);
  await device.welcome({ count: 1 });
  const { ref, since } = await device.opened(SPACE);
  assert.equal(since, 'c0');
  device.socket.say(page(SPACE, ref, { from: 'c0', to: 'c9', reset: undefined, docs: [], sum: { items: '0123456789abcdef' } }));
  assert.equal((await device.opened(SPACE, 2)).since, null);
});

test('another log: what was sent is unknown, the rest goes on from nothing', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  await tea(device).update({ qty: 2 });
  await device.pushes(1);
  device.client.disconnect();
  await tea(device).update({ qty: 3 });
  device.client.connect();
  await device.welcome({ count: 1, log: 'log-2' });
  const { ref, since } = await device.opened(SPACE);
  assert.equal(since, null);
  device.socket.say(page(SPACE, ref, { to: 'x', docs: [doc('tea', 1, '{"qty":0}')] }));
  const [push] = await device.pushes(1);
  assert.deepEqual([push!.id, push!.after, (push!.ops as { base: number }[])[0]!.base], [2, 0, 0]);
  assert.deepEqual(device.client.refused().map(({ id, status }) => [id, status]), [[1, 'unknown']]);
});

test('forked: a new device id, what may have been applied is unknown, the rest goes on', async () => {
  const device = make();
  await device.up(SPACE);
  await tea(device).increment('qty', 1);
  await tea(device).increment('qty', 1);
  await device.pushes(2);
  const before = device.client.deviceId;
  device.socket.say({ type: 'error', code: 'forked', message: '', space: SPACE, id: 1, after: 1 });
  await until('again', () => PaperSocket.all.length === 2 && device.socket.of('hello').length);
  assert.notEqual(device.client.deviceId, before);
  assert.equal(device.socket.of('hello')[0]!.device, device.client.deviceId);
  await device.welcome({ count: 1 });
  const { ref } = await device.opened(SPACE);
  device.socket.say({ type: 'current', ref, spaces: [{ space: SPACE, cursor: 'c0', pushed: 0, window: 3600 }] });
  const [push] = await device.pushes(1);
  assert.equal(push!.after, 0);
  assert.deepEqual(device.client.refused().map(({ id, status }) => [id, status]), [[1, 'unknown']]);
});

test('a pushed past all that was ever sent says forked too', async () => {
  const device = make();
  device.client.space(SPACE);
  await device.welcome();
  const before = device.client.deviceId, { ref } = await device.opened(SPACE);
  device.socket.say({ type: 'current', ref, spaces: [{ space: SPACE, cursor: 'c0', pushed: 9, window: 3600 }] });
  await until('another id', () => device.client.deviceId !== before);
});

test('what was first sent before twice the window is not sent again', async () => {
  const clock = new TestClock(), device = make(undefined, clock);
  await device.up(SPACE);
  await tea(device).increment('qty', 1);
  await device.pushes(1);
  device.socket.hangUp(1006);
  clock.pass(2 * 3600 * 1000 + 1);
  await device.welcome({ count: 1, time: SERVER_TIME + 2 * 3600 * 1000 + 1 });
  const { ref } = await device.opened(SPACE);
  device.socket.say({ type: 'current', ref, spaces: [{ space: SPACE, cursor: 'c0', pushed: 0, window: 3600 }] });
  await until('unknown', () => device.client.refused().some(({ status }) => status === 'unknown'));
  assert.deepEqual(device.socket.of('push'), []);
});

test('access taken away drops the copy and keeps the outbox', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  await tea(device).increment('qty', 1);
  await device.pushes(1);
  device.socket.say({ type: 'closed', space: SPACE, code: 'forbidden', purge: true, ref: 1 });
  await until('purged', () => device.client.stateOf(SPACE)!.cursor === null);
  assert.equal(device.client.status.uploading, 1);
  const again = (await device.pushes(2))[1]!;
  assert.equal(again.id, 1);
  device.socket.say({ type: 'result', id: 1, space: SPACE, status: 'rejected', code: 'forbidden', message: '' });
  await until('refused', () => device.client.refused().length);
  assert.deepEqual(device.docs(SPACE, 'items'), {});
});

test('access taken away while a close is under way drops the copy; that of an open that was replaced does not', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  const closed = { type: 'closed', space: SPACE, code: 'forbidden', purge: true, ref: 1 };
  device.client.space(SPACE).close();
  await until('close', () => device.socket.of('close').length);
  device.socket.say(closed);
  await until('purged', () => device.client.stateOf(SPACE)!.cursor === null);
  device.client.space(SPACE);
  const { ref, since } = await device.opened(SPACE, 2);
  assert.equal(since, null);
  device.socket.say(closed);
  device.socket.say(page(SPACE, ref, { docs: [doc('tea', 5, '{"qty":1}')] }));
  await until('live', () => device.client.stateOf(SPACE)!.cursor !== null);
  assert.deepEqual(Object.keys(device.docs(SPACE, 'items')), ['tea']);
});

test('a document from a result is kept only if nothing newer was seen', async () => {
  const device = make();
  await device.up(SPACE, { docs: [doc('tea', 8, '{"qty":8}')] });
  await tea(device).set({ qty: 1 });
  await device.pushes(1);
  device.socket.say({ type: 'result', id: 1, space: SPACE, status: 'applied', code: 'lost', cursor: 'c0', at: 7, docs: [doc('tea', 7, '{"qty":7}')] });
  await device.client.waitForPendingWrites();
  assert.equal(tea(device).current()!.data.qty, 8);
});

test('the wall clock set by ten years changes no age; nor does a restart', async () => {
  const clock = new TestClock(), device = make(undefined, clock);
  await device.up(SPACE);
  device.client.disconnect();
  await tea(device).increment('qty', 1);
  clock.pass(5000);
  clock.wallNow += 10 * 365 * 86400_000;
  device.client.connect();
  await device.welcome({ count: 1, time: SERVER_TIME + 5000 });
  device.socket.say({ type: 'current', ref: (await device.opened(SPACE)).ref, spaces: [{ space: SPACE, cursor: 'c0', pushed: 0, window: 3600 }] });
  assert.equal(((await device.pushes(1))[0]!.ops as { age: number }[])[0]!.age, 5000);
  device.client.disconnect();
  await tea(device).increment('qty', 1);
  await device.client.destroy();
  const reloaded = new TestClock();
  reloaded.monoNow = 3;
  reloaded.wallNow = clock.wallNow + 7000;
  const second = make(device.store, reloaded);
  second.client.space(SPACE);
  await second.welcome({ count: 2, time: SERVER_TIME + 12000 });
  second.socket.say({ type: 'current', ref: (await second.opened(SPACE)).ref, spaces: [{ space: SPACE, cursor: 'c0', pushed: 1, window: 3600 }] });
  assert.equal(((await second.pushes(1))[0]!.ops as { age: number }[])[0]!.age, 7000);
});

test('4401 fetches a fresh token, 4409 does not come back', async () => {
  const device = make();
  device.client.space(SPACE);
  await until('hello', () => PaperSocket.all.length === 1 && device.socket.of('hello').length);
  device.socket.hangUp(4401);
  await device.welcome({ count: 1 });
  assert.deepEqual(device.tokens, [false, true]);
  device.socket.hangUp(4409);
  await until('replaced', () => device.client.status.error?.code === 'replaced');
  assert.equal(device.client.status.connecting, false);
  assert.equal(PaperSocket.all.length, 2);
});

test('an expired token is renewed on the connection that stands', async () => {
  const device = make();
  await device.up(SPACE);
  device.socket.say({ type: 'error', code: 'unauthenticated', message: '' });
  assert.equal((await until('auth', () => device.socket.of('auth')[0])).token, 'secret');
  assert.deepEqual(device.tokens, [false, true]);
});

test('a bye keeps the device away for as long as it says', async () => {
  const clock = new TestClock(), device = make(undefined, clock);
  await device.up(SPACE);
  device.socket.say({ type: 'bye', reason: 'drain', retry: 60 });
  device.socket.hangUp(1012);
  const began = Date.now();
  await until('waiting', () => !device.client.status.connected);
  clock.pass(60);
  await device.welcome({ count: 1 });
  assert.ok(Date.now() - began >= 55);
});

test('another user\'s token is refused: one store, one user', async () => {
  const device = make();
  await device.up(SPACE);
  await device.client.destroy();
  const second = make(device.store);
  await until('hello', () => PaperSocket.all.length === 2 && second.socket.of('hello').length);
  second.socket.say({ type: 'welcome', session: 's', user: 'eve', device: second.client.deviceId, log: 'log-1', time: SERVER_TIME, heartbeat: 60000, limits: {} });
  await until('told', () => second.client.status.error?.code === 'other_user');
});

test('at most 32 pushes are on their way, and the rest follow', async () => {
  const device = make();
  await device.up(SPACE);
  for (let i = 0; i < 40; i++) await tea(device).increment('qty', 1);
  await device.pushes(32);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(device.socket.of('push').length, 32);
  let qty = 0;
  for (let i = 1; i <= 8; i++) device.socket.say(update(SPACE, i === 1 ? 'c0' : `c${i}`, `c${i + 1}`, i + 1, [doc('tea', i + 1, `{"qty":${++qty}}`)], { user: 'ana', device: device.client.deviceId, push: i }));
  assert.deepEqual((await device.pushes(40)).slice(32).map(({ id, after }) => [id, after]), Array.from({ length: 8 }, (_, i) => [33 + i, 32 + i]));
  assert.equal(tea(device).current()!.data.qty, 40);
});

test('unconfirmed messages stand last in the order they were written, and take their place by birth', async () => {
  const device = make();
  const message = (id: string, rev: number) => ({ ...doc(id, rev, '{"text":"x"}'), collection: 'messages', born: rev });
  await device.up('chat:house', { docs: [message('z', 3)], sum: { messages: sumOf(message('z', 3)) } });
  const messages = device.client.space('chat:house').collection<{ text: string }>('messages'), order = () => messages.current()!.docs.map((one) => one.id);
  await messages.append({ text: 'x' }, 'b');
  await messages.append({ text: 'x' }, 'a');
  await messages.doc('b').update({ text: 'y' });
  assert.deepEqual(order(), ['z', 'b', 'a']);
  device.socket.say(update('chat:house', 'c0', 'c4', 4, [message('q', 4)]));
  await until('q', () => order().includes('q'));
  assert.deepEqual(order(), ['z', 'q', 'b', 'a']);
});

test('a document that did not change is the same object in the next snapshot', async () => {
  const device = make(), snapshots: readonly unknown[][] = [];
  await device.up(SPACE, { docs: [doc('milk', 4, '{"qty":1}'), doc('tea', 5, '{"qty":1}')] });
  const stop = device.client.space(SPACE).collection('items').onSnapshot(({ docs }) => { (snapshots as unknown[][]).push([...docs]); });
  await until('first', () => snapshots.length);
  await tea(device).increment('qty' as never, 1);
  await until('second', () => snapshots.length > 1);
  assert.equal(snapshots.at(-1)![0], snapshots[0]![0]);
  assert.notEqual(snapshots.at(-1)![1], snapshots[0]![1]);
  stop();
});

test('an iterator gives the newest snapshot each time round', async () => {
  const device = make();
  await device.up(SPACE);
  const seen: number[] = [];
  for await (const { docs } of device.client.space(SPACE).collection('items')) {
    seen.push(docs.length);
    if (docs.length === 2) break;
    await device.client.space(SPACE).batch().put('items', 'a', {}).put('items', 'b', {}).commit();
  }
  assert.deepEqual([seen[0], seen.at(-1)], [0, 2]);
});

test('history fills the copy with what a tail left out', async () => {
  const device = make();
  const message = (id: string, rev: number) => ({ ...doc(id, rev, '{"text":"x"}'), collection: 'messages', born: rev });
  device.client.space('chat:house', { tail: 1 });
  await device.welcome();
  const { ref } = await device.opened('chat:house');
  device.socket.say(page('chat:house', ref, { docs: [message('c', 3)], tail: { messages: 3 }, sum: { messages: '1111111111111111' } }));
  await device.client.waitForFirstSync();
  const messages = device.client.space('chat:house').collection('messages'), older = messages.loadOlder(2);
  const asked = await until('history', () => device.socket.of('history')[0]);
  assert.deepEqual([asked.before, asked.limit, asked.collection], [3, 2, 'messages']);
  device.socket.say({ type: 'page', ref: asked.ref, space: 'chat:house', docs: [message('b', 2), message('a', 1)], more: false, at: 3 });
  assert.equal(await older, false);
  assert.deepEqual(messages.current()!.docs.map((one) => one.id), ['a', 'b', 'c']);
});

test('what a tail left out between two visits is asked for first, and then what is older', async () => {
  const device = make(), space = 'chat:house', message = (rev: number) => ({ ...doc(`m${rev}`, rev, '{"text":"x"}'), collection: 'messages', born: rev });
  device.client.space(space, { tail: 1 });
  await device.welcome();
  device.socket.say(page(space, (await device.opened(space)).ref, { docs: [message(3)], tail: { messages: 3 }, sum: { messages: '1111111111111111' } }));
  await device.client.waitForFirstSync();
  device.socket.hangUp(1006);
  await device.welcome({ count: 1 });
  device.socket.say(page(space, (await device.opened(space)).ref, { from: 'c0', to: 'c9', reset: undefined, docs: [message(9)], tail: { messages: 9 }, sum: { messages: '2222222222222222' } }));
  const messages = device.client.space(space).collection('messages');
  await until('m9', () => messages.current()!.docs.length === 2);
  const asks: unknown[] = [];
  for (const [docs, more] of [[[message(7)], true], [[message(5), message(3)], true], [[message(2)], false]] as const) {
    const older = messages.loadOlder(2), asked = await until('history', () => device.socket.of('history')[asks.length]);
    asks.push(asked.before);
    device.socket.say({ type: 'page', ref: asked.ref, space, docs, more, at: 9 });
    assert.equal(await older, more);
  }
  assert.deepEqual(asks, [9, 7, 3]);
  assert.deepEqual(messages.current()!.docs.map((one) => one.id), ['m2', 'm3', 'm5', 'm7', 'm9']);
  device.socket.hangUp(1006);
  await device.welcome({ count: 2 });
  const { ref } = await device.opened(space), all = [2, 3, 5, 7, 9].map(message);
  device.socket.say(page(space, ref, { from: 'c9', to: 'ca', reset: undefined, docs: [], sum: { messages: '3333333333333333' } }));
  assert.equal((await device.opened(space, 2)).since, null, 'the copy is whole again, so its sum counts');
  assert.notEqual(sumOf(...all), '3333333333333333');
});

test('a store that fails takes nothing in: the cursor stands, and the connection comes back slower each time', async () => {
  const store = memoryStore(), device = make(store), waits: number[] = [], later = globalThis.setTimeout;
  globalThis.setTimeout = ((work: () => void, ms: number) => {
    if (!Number.isInteger(ms)) waits.push(ms); /* only the wait before a connection is drawn by lot */
    return later(work, ms);
  }) as typeof setTimeout;
  await device.up(SPACE, { docs: [doc('tea', 5, '{"qty":1}')] });
  let isFull = true;
  const { transact } = store;
  store.transact = (mode, work) => transact.call(store, mode, async (tx) => {
    const made = await work(tx) as never;
    const state = await tx.get<{ cursor: string }>('spaces', SPACE);
    if (isFull && state?.cursor === 'c6') throw new DOMException('full', 'QuotaExceededError');
    return made;
  }) as never;
  for (let tries = 0; tries < 3; tries++) {
    device.socket.say(update(SPACE, 'c0', 'c6', 6, [doc('tea', 6, '{"qty":2}')]));
    await until('storage_full', () => device.client.status.error?.code === 'storage_full' && !device.client.status.connected);
    await device.welcome({ count: tries + 1 });
    const { ref, since } = await device.opened(SPACE);
    assert.equal(since, 'c0');
    device.socket.say({ type: 'current', ref, spaces: [{ space: SPACE, cursor: 'c0', pushed: 0, window: 3600 }] });
    await until('live', () => device.client.status.downloading === 0);
  }
  globalThis.setTimeout = later;
  assert.ok(waits.length === 3 && waits[2]! > waits[0]!, waits.join());
  isFull = false;
  device.socket.say(update(SPACE, 'c0', 'c6', 6, [doc('tea', 6, '{"qty":2}')]));
  await until('taken in', () => tea(device).current()!.data.qty === 2);
});

test('a space of many documents is read from its packs, and what changed since', async () => {
  const device = make(), docs = Array.from({ length: 700 }, (_, i) => doc(`d${i}`, i + 1, `{"n":${i}}`));
  await device.up(SPACE, { docs });
  await until('packed', () => device.client.views.get(SPACE)!.fresh === 0);
  device.socket.say(update(SPACE, 'c0', 'c9', 900, [doc('d3', 900, '{"n":-3}'), { collection: 'items', id: 'd4', rev: 900, time: SERVER_TIME, user: 'bob', deleted: true }]));
  await until('changed', () => device.docs(SPACE, 'items').d3 === '{"n":-3}');
  await device.client.destroy();
  let rows = 0;
  const { transact } = device.store;
  device.store.transact = (mode, work) => transact.call(device.store, mode, (tx) => work({ ...tx, all: async (table, ...prefix) => {
    const found = await tx.all(table, ...prefix);
    if (table === 'docs') rows += found.length;
    return found as never;
  } })) as never;
  const second = make(device.store, undefined, { autoConnect: false });
  const { docs: shown } = await second.client.space(SPACE).collection('items').get();
  assert.equal(shown.length, 699);
  assert.equal(second.docs(SPACE, 'items').d3, '{"n":-3}');
  assert.equal(rows, 0);
});

test('what can\'t be right is refused before it is in the outbox', async () => {
  const device = make(memoryStore());
  await device.up(SPACE);
  const space = device.client.space(SPACE);
  for (const bad of [{ op: 'put', collection: 'Items', id: 'a', body: {} }, { op: 'put', collection: 'items', id: '', body: {} }, { op: 'put', collection: 'items', id: 'a' },
    { op: 'put', collection: 'items', id: 'a', body: [1] }, { op: 'incr', collection: 'items', id: 'a' }] as const) await assert.rejects(space.write([bad as never]), { code: 'invalid' });
  await assert.rejects(space.doc('items/a').set({ text: 'x'.repeat(300_000) }), { code: 'too_large' });
  assert.equal(device.client.status.uploading, 0);
});

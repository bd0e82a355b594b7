// The client in real browsers against the real server, with everything done to it that a browser can do.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { aWhile, launch, listenForNoise, RECORDER, root, Server, TIMEOUT, until, Wire } from './support.js';

let server, browser, wire;
const noise = [], contexts = [];
let rooms = 0;
const newRoom = () => `chat:ana:room-${++rooms}`; // in a space of her own Ana needs nobody's leave

before(async () => {
  server = await Server.make();
  wire = await Wire.make(server.port);
  browser = await launch();
});
afterEach(async () => {
  wire.mend();
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  assert.deepEqual(noise.splice(0), []);
});
after(async () => {
  await browser?.close();
  wire?.end();
  await server?.end();
});

/** A browser of its own: what its pages share is one device. */
async function newBrowser({ skew = 0 } = {}) {
  const context = await browser.newContext();
  contexts.push(context);
  if (skew) await context.addInitScript(`{ const real = Date.now.bind(Date); Date.now = () => real() + ${skew}; }`);
  return context;
}
/** A tab: the messages and counters of a room, drawn as they change, and a recorder on what was drawn. */
async function newTab(context, room, { url = server.url, name = 'ana', ...more } = {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  listenForNoise(page, noise);
  await page.goto(`${server.url}/healthz`);
  await page.evaluate(async ([space, options, recorder]) => {
    const { createClient } = await import('/tidegate.js');
    const client = createClient({ ...options, getToken: async () => (await (await fetch('/dev/token?user=ana')).json()).token });
    const held = client.space(space), draw = (collection, line) => {
      const list = document.body.appendChild(document.createElement('ul'));
      held.collection(collection).onSnapshot(({ docs }) => {
        const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
        for (const doc of docs) {
          const row = rows.get(doc.id) ?? document.createElement('li');
          rows.delete(doc.id);
          row.dataset.id = doc.id;
          row.innerHTML = `<output>${line(doc)}</output>`;
          list.append(row);
        }
        for (const row of rows.values()) row.remove();
      });
      return list;
    };
    window.messages = draw('messages', () => 0);
    window.counters = draw('reactions', (doc) => doc.data.n);
    window.client = client;
    window.held = held;
    window.recorded = eval(`(${recorder})`)('li[data-id]', 'output');
    window.say = async (id, text = id) => { await held.collection('messages').append({ text }, id); };
    window.press = (by = 1) => held.doc('reactions/tea').increment('n', by);
    await client.ready;
  }, [room, { url, name, ...more }, RECORDER]);
  return page;
}
const ids = (page) => page.evaluate(() => [...window.messages.children].map((row) => row.dataset.id));
const count = (page) => page.evaluate(() => Number(window.counters.querySelector('output')?.textContent ?? 0));
const shows = (page, number) => until(`${number} messages`, async () => (await ids(page)).length >= number);
const settled = (page) => until('an empty outbox', () => page.evaluate(() => window.client.ready.then(() => window.client.status.uploading === 0)),
  { describe: () => page.evaluate(() => JSON.stringify([window.client.status, window.client.pendingWrites().slice(0, 9)])) });
const connected = (page) => page.waitForFunction(() => window.client.status.connected && window.client.status.downloading === 0);
const offline = (page) => page.waitForFunction(() => !window.client.status.connected);
const write = (page, from, number) => page.evaluate(async ([first, many]) => { for (let i = 0; i < many; i++) { await window.say(`${first}-${i}`); await window.press(); } }, [from, number]);
/** All show the same, in one order, and no tab ever showed otherwise than more and more. */
async function agree(pages, number, pressed) {
  for (const page of pages) {
    await settled(page);
    await shows(page, number);
    await until(`${pressed} presses`, async () => (await count(page)) === pressed);
  }
  const [first, ...others] = await Promise.all(pages.map(ids));
  assert.equal(new Set(first).size, number);
  for (const other of others) assert.deepEqual(other, first);
  for (const page of pages) assert.deepEqual(await page.evaluate(() => window.recorded.faults), []);
}

test('two browsers, five tabs, all writing at once: everybody shows everything once, in one order, over two connections', async () => {
  const room = newRoom(), [one, two] = [await newBrowser(), await newBrowser()];
  const pages = [await newTab(one, room), await newTab(one, room), await newTab(one, room), await newTab(two, room), await newTab(two, room)];
  await Promise.all(pages.map((page, i) => write(page, `tab${i}`, 8)));
  await agree(pages, 40, 40);
  const leading = await Promise.all(pages.map((page) => page.evaluate(() => window.client.status.leading)));
  assert.deepEqual([leading.slice(0, 3).filter(Boolean).length, leading.slice(3).filter(Boolean).length], [1, 1]);
  const states = await Promise.all(pages.map((page) => page.evaluate(() => window.client.deviceId)));
  assert.equal(new Set(states).size, 2);
});

test('the leading tab dies, another leads, and what followers write goes out', async () => {
  const room = newRoom(), context = await newBrowser(), [first, second] = [await newTab(context, room), await newTab(context, room)], far = await newTab(await newBrowser(), room);
  await connected(first);
  await connected(second);
  assert.equal(await second.evaluate(() => window.client.status.leading), false);
  await write(second, 'before', 2);
  await first.close();
  await second.waitForFunction(() => window.client.status.leading && window.client.status.connected);
  await write(second, 'after', 2);
  await agree([second, far], 4, 4);
});

test('a tab killed while it writes: every write that it was told is safe arrives, once', async () => {
  const room = newRoom(), context = await newBrowser(), far = await newTab(await newBrowser(), room), page = await newTab(context, room, { url: wire.url });
  const told = [];
  await page.exposeFunction('told', (id) => { told.push(id); });
  await connected(page);
  await page.evaluate(() => { void (async () => { for (let i = 0; ; i++) { await window.say(`w${i}`); await window.told(`w${i}`); } })(); });
  await until('some writes', () => told.length >= 20);
  wire.cut(); /* so that some have an outcome, and some have none */
  await until('more writes', () => told.length >= 40);
  const session = await context.newCDPSession(page);
  session.send('Page.crash').catch(() => {});
  await new Promise((resolve) => page.once('crash', resolve));
  wire.mend();
  const again = await newTab(context, room, { url: wire.url });
  await settled(again);
  await until('all of them', async () => { const have = new Set(await ids(far)); return told.every((id) => have.has(id)); });
  const all = await ids(far);
  assert.equal(new Set(all).size, all.length);
  assert.ok(all.length <= told.length + 2, `${all.length} of ${told.length} told`);
  assert.deepEqual(await far.evaluate(() => window.recorded.faults), []);
});

test('the wire is cut three times while both write, and nothing is lost, doubled or flickers', async () => {
  const room = newRoom(), near = await newTab(await newBrowser(), room, { url: wire.url }), far = await newTab(await newBrowser(), room);
  await connected(near);
  for (let i = 0; i < 3; i++) {
    const writing = Promise.all([write(near, `near${i}`, 6), write(far, `far${i}`, 6)]);
    wire.cut();
    await writing;
    wire.mend();
    await near.evaluate(() => dispatchEvent(new Event('online')));
    await connected(near);
  }
  await agree([near, far], 36, 36);
});

test('the server is killed and started again while both write', async () => {
  const room = newRoom(), [one, two] = [await newTab(await newBrowser(), room), await newTab(await newBrowser(), room)];
  await connected(one);
  await connected(two);
  const writing = Promise.all([write(one, 'one', 10), write(two, 'two', 10)]);
  await server.kill();
  await writing;
  await offline(one);
  await server.start();
  await agree([one, two], 20, 20);
});

test('storage deleted under a living page: what it holds is written anew, and its outbox goes out once', async () => {
  const room = newRoom(), context = await newBrowser(), page = await newTab(context, room), far = await newTab(await newBrowser(), room);
  await write(page, 'early', 3);
  await settled(page);
  await page.evaluate(() => window.client.disconnect());
  await write(page, 'waiting', 3);
  const device = await page.evaluate(() => window.client.deviceId), session = await context.newCDPSession(page);
  await session.send('Storage.clearDataForOrigin', { origin: server.url, storageTypes: 'indexeddb' });
  await write(page, 'afterwards', 1);
  await page.evaluate(() => window.client.connect());
  await agree([page, far], 7, 7);
  assert.equal(await page.evaluate(() => window.client.deviceId), device);
  await page.close();
  await agree([await newTab(context, room), far], 7, 7);
});

test('storage deleted in the middle of writing, three times: no write is refused, none is lost, and none goes out twice', async () => {
  const room = newRoom(), context = await newBrowser(), page = await newTab(context, room), far = await newTab(await newBrowser(), room), session = await context.newCDPSession(page);
  await connected(page);
  for (let i = 0; i < 3; i++) {
    const clearing = session.send('Storage.clearDataForOrigin', { origin: server.url, storageTypes: 'indexeddb' });
    await write(page, `round${i}`, 6);
    await clearing;
  }
  await agree([page, far], 18, 18);
});

test('storage deleted while no page is open: a new device, and everything comes back', async () => {
  const room = newRoom(), context = await newBrowser(), page = await newTab(context, room);
  await write(page, 'kept', 3);
  await settled(page);
  const device = await page.evaluate(() => window.client.deviceId);
  await page.close();
  const other = await context.newPage(), session = await context.newCDPSession(other);
  await session.send('Storage.clearDataForOrigin', { origin: server.url, storageTypes: 'all' });
  const again = await newTab(context, room);
  await agree([again], 3, 3);
  assert.notEqual(await again.evaluate(() => window.client.deviceId), device);
});

test('no room in the store: a write that can\'t be kept is refused at once, one that was kept arrives, and with room all goes on', async () => {
  const room = newRoom(), context = await newBrowser(), bare = await context.newPage();
  await bare.goto(`${server.url}/healthz`);
  const session = await context.newCDPSession(bare), quota = (quotaSize) => session.send('Storage.overrideQuotaForOrigin', { origin: server.url, ...(quotaSize && { quotaSize }) });
  await quota(500_000); /* before the store is there: the browser looks again only now and then */
  const page = await newTab(context, room), far = await newTab(await newBrowser(), room);
  await connected(page);
  await page.evaluate(() => window.client.disconnect());
  const { kept, code } = await page.evaluate(async () => {
    let n = 0;
    for (; n < 100; n++) {
      try {
        await window.held.doc(`reactions/big-${n}`).set({ n: 1, text: Array.from(crypto.getRandomValues(new Uint8Array(30000)), (byte) => byte.toString(36)).join('') });
      } catch (error) {
        return { kept: n, code: error.code };
      }
    }
    return { kept: n, code: null };
  });
  assert.equal(code, 'storage_full');
  await until('all that was kept, here', () => page.evaluate((n) => document.querySelectorAll('[data-id^=big-]').length === n, kept));
  assert.equal(await page.evaluate(() => window.client.status.uploading), kept);
  await quota();
  await page.evaluate(() => window.client.connect());
  await until('room', () => page.evaluate(() => window.say('small').then(() => true, () => false)));
  await settled(page);
  await until('all that was kept', () => far.evaluate((n) => document.querySelectorAll('[data-id^=big-]').length === n, kept));
  assert.deepEqual(await far.evaluate(() => window.recorded.faults), []);
});

test('a clock ten years ahead wins nothing, over a reload and without a network', async () => {
  const years = 10 * 365 * 86400_000, room = newRoom(), ahead = await newBrowser({ skew: years }), wrong = await newTab(ahead, room, { url: wire.url }), right = await newTab(await newBrowser(), room);
  const edit = (page, text) => page.evaluate((said) => window.held.doc('reactions/title').set({ n: 0, said }), text);
  await edit(right, 'first');
  await settled(right);
  await until('first', () => wrong.evaluate(() => window.held.doc('reactions/title').current()?.data.said === 'first'));
  wire.cut();
  await offline(wrong);
  await right.evaluate(() => window.client.disconnect());
  await edit(wrong, 'by the wrong clock');
  await wrong.close();
  await aWhile();
  await edit(right, 'a moment later');
  wire.mend();
  const reloaded = await newTab(ahead, room, { url: wire.url });
  await settled(reloaded);
  await right.evaluate(() => window.client.connect());
  await settled(right);
  for (const page of [reloaded, right]) await until('the later', () => page.evaluate(() => window.held.doc('reactions/title').current()?.data.said === 'a moment later'));
});

test('the service worker sends the outbox while no page is open, and takes in what came of it', async () => {
  const room = newRoom(), context = await newBrowser(), page = await newTab(context, room), far = await newTab(await newBrowser(), room);
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('/sw.js');
    await navigator.serviceWorker.ready;
  });
  await write(page, 'online', 1);
  await settled(page);
  await page.evaluate(() => window.client.disconnect());
  await write(page, 'asleep', 3);
  await page.close();
  const bare = await context.newPage();
  await bare.goto(`${server.url}/healthz`);
  const session = await context.newCDPSession(bare), found = [];
  session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => found.push(...registrations));
  await session.send('ServiceWorker.enable');
  const { registrationId } = await until('registration', () => found[0]);
  await until('nobody who leads', () => bare.evaluate(async () => (await navigator.locks.query()).held.length === 0)); /* a page that leads sends by itself */
  await session.send('ServiceWorker.dispatchSyncEvent', { origin: server.url, registrationId, tag: 'tidegate:ana', lastChance: false });
  await agree([far], 4, 4);
  const again = await newTab(context, room, { autoConnect: false });
  await settled(again);
  await agree([again], 4, 4);
});

test('a number of nineteen digits and 1.10 come out as they went in, on a device that never parses them', async () => {
  const room = newRoom(), one = await newTab(await newBrowser(), room), two = await newTab(await newBrowser(), room);
  await one.evaluate(async () => {
    const { raw } = await import('/tidegate.js');
    await window.held.doc('reactions/exact').set({ n: 0, big: 9007199254740993n, price: raw('1.10') });
    await window.held.doc('reactions/exact').increment('big', 9007199254740993n);
  });
  for (const page of [one, two]) await until('it', () => page.evaluate(() => window.held.doc('reactions/exact').current()?.raw === '{"n":0,"big":18014398509481986,"price":1.10}'));
});

test('the React hooks render what the device has, and again when it changes', async () => {
  const room = newRoom(), page = await newTab(await newBrowser(), room), far = await newTab(await newBrowser(), room);
  await page.evaluate(readFileSync(join(root, 'build/web-pages/react-page.js'), 'utf8'));
  await page.evaluate(() => window.renderWith(window.client, window.held));
  await write(far, 'far', 2);
  await page.waitForFunction(() => document.querySelector('#react')?.textContent === '2 messages, tea 2, connected, 0 refused');
  await page.evaluate(() => window.client.disconnect());
  await page.waitForFunction(() => document.querySelector('#react').textContent === '2 messages, tea 2, offline, 0 refused');
});

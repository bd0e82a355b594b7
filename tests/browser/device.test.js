// The client in real browsers against the real server, with everything done to it that a browser can do.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { play } from './plays.js';
import { aWhile, launch, root, Server, until, Wire } from './support.js';
import { agree, connected, offline, settled, Tabs, write } from './tabs.js';

let server, browser, tabs, wire;
const newRoom = () => tabs.newRoom(), newBrowser = (options) => tabs.newBrowser(options), newTab = (context, room, options) => tabs.newTab(context, room, options);

before(async () => {
  server = await Server.make();
  wire = await Wire.make(server.port);
  browser = await launch();
  tabs = Object.assign(new Tabs(browser, server.url), { wire, far: server.url });
});
afterEach(async () => {
  wire.mend();
  await tabs.end();
});
after(async () => {
  await browser?.close();
  wire?.end();
  await server?.end();
});

play(() => tabs);

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
  const room = newRoom(), context = await newBrowser(), bare = await tabs.newPage(context);
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

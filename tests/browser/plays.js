// What browsers do to a device whatever stands behind it: played against `serve`, and against a cluster's two gateways.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './support.js';
import { agree, connected, ids, settled, write } from './tabs.js';

/** `tabs()`: what `before` made. Its `far` is the gateway of the second browser, its `wire` leads to the first's. */
export function play(tabsOf) {
  let tabs;
  const newFar = (context, room) => tabs.newTab(context, room, { url: tabs.far });
  const played = (name, run) => test(name, () => {
    tabs = tabsOf();
    return run();
  });

  played('two browsers, five tabs, all writing at once: everybody shows everything once, in one order, over two connections', async () => {
    const room = tabs.newRoom(), [one, two] = [await tabs.newBrowser(), await tabs.newBrowser()];
    const pages = [await tabs.newTab(one, room), await tabs.newTab(one, room), await tabs.newTab(one, room), await newFar(two, room), await newFar(two, room)];
    await Promise.all(pages.map((page, i) => write(page, `tab${i}`, 8)));
    await agree(pages, 40, 40);
    const leading = await Promise.all(pages.map((page) => page.evaluate(() => window.client.status.leading)));
    assert.deepEqual([leading.slice(0, 3).filter(Boolean).length, leading.slice(3).filter(Boolean).length], [1, 1]);
    const states = await Promise.all(pages.map((page) => page.evaluate(() => window.client.deviceId)));
    assert.equal(new Set(states).size, 2);
  });

  played('the leading tab dies, another leads, and what followers write goes out', async () => {
    const room = tabs.newRoom(), context = await tabs.newBrowser(), [first, second] = [await tabs.newTab(context, room), await tabs.newTab(context, room)], far = await newFar(await tabs.newBrowser(), room);
    await connected(first);
    await connected(second);
    assert.equal(await second.evaluate(() => window.client.status.leading), false);
    await write(second, 'before', 2);
    await first.close();
    await second.waitForFunction(() => window.client.status.leading && window.client.status.connected);
    await write(second, 'after', 2);
    await agree([second, far], 4, 4);
  });

  played('a tab that follows crashes: the spaces that it alone wanted are closed, the others stay open', async () => {
    const room = tabs.newRoom(), lone = tabs.newRoom(), context = await tabs.newBrowser(), [first, second] = [await tabs.newTab(context, room), await tabs.newTab(context, room)];
    await second.evaluate((space) => { window.client.space(space); }, lone);
    await connected(second);
    const sent = (type) => first.evaluate(([kind, space]) => window.sent.some((text) => text.includes(`"type":"${kind}"`) && text.includes(`"${space}"`)), [type, lone]);
    await until('its open', () => sent('open'));
    assert.equal(await sent('close'), false);
    await second.evaluate(() => { BroadcastChannel.prototype.postMessage = () => {}; }); /* who crashes takes no leave */
    await second.close();
    await until('its close', () => sent('close'));
    await write(first, 'on', 1);
    await agree([first], 1, 1);
    assert.equal(await first.evaluate((space) => window.sent.some((text) => text.includes('"type":"close"') && text.includes(`"${space}"`)), room), false);
  });

  played('a tab that follows closes a space that nobody else wants: it is closed', async () => {
    const room = tabs.newRoom(), lone = tabs.newRoom(), context = await tabs.newBrowser(), [first, second] = [await tabs.newTab(context, room), await tabs.newTab(context, room)];
    const sent = (type, space) => first.evaluate(([kind, name]) => window.sent.some((text) => text.includes(`"type":"${kind}"`) && text.includes(`"${name}"`)), [type, space]);
    await second.evaluate((space) => { window.client.space(space); }, lone);
    await until('its open', () => sent('open', lone));
    await second.evaluate(([alone, both]) => { for (const space of [alone, both]) window.client.space(space).close(); }, [lone, room]);
    await until('its close', () => sent('close', lone));
    await write(first, 'on', 1);
    await agree([first], 1, 1);
    assert.equal(await sent('close', room), false);
  });

  played('a tab killed while it writes: every write that it was told is safe arrives, once', async () => {
    const room = tabs.newRoom(), context = await tabs.newBrowser(), far = await newFar(await tabs.newBrowser(), room), page = await tabs.newTab(context, room, { url: tabs.wire.url });
    const told = [];
    await page.exposeFunction('told', (id) => { told.push(id); });
    await connected(page);
    await page.evaluate(() => { void (async () => { for (let i = 0; ; i++) { await window.say(`w${i}`); await window.told(`w${i}`); } })(); });
    await until('some writes', () => told.length >= 20);
    tabs.wire.cut(); /* so that some have an outcome, and some have none */
    await until('more writes', () => told.length >= 40);
    const session = await context.newCDPSession(page);
    session.send('Page.crash').catch(() => {});
    await new Promise((resolve) => page.once('crash', resolve));
    tabs.wire.mend();
    const again = await tabs.newTab(context, room, { url: tabs.wire.url });
    await settled(again);
    await until('all of them', async () => { const have = new Set(await ids(far)); return told.every((id) => have.has(id)); });
    const all = await ids(far);
    assert.equal(new Set(all).size, all.length);
    assert.ok(all.length <= told.length + 2, `${all.length} of ${told.length} told`);
    assert.deepEqual(await far.evaluate(() => window.recorded.faults), []);
  });

  played('the service worker sends the outbox while no page is open, and takes in what came of it', async () => {
    const room = tabs.newRoom(), context = await tabs.newBrowser(), page = await tabs.newTab(context, room), far = await newFar(await tabs.newBrowser(), room);
    await page.evaluate(async () => {
      await navigator.serviceWorker.register('/sw.js');
      await navigator.serviceWorker.ready;
    });
    await write(page, 'online', 1);
    await settled(page);
    await page.evaluate(() => window.client.disconnect());
    await write(page, 'asleep', 3);
    await page.close();
    const bare = await tabs.newPage(context), session = await context.newCDPSession(bare), found = [];
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => found.push(...registrations));
    await session.send('ServiceWorker.enable');
    const { registrationId } = await until('registration', () => found[0]);
    await until('nobody who leads', () => bare.evaluate(async () => (await navigator.locks.query()).held.length === 0)); /* a page that leads sends by itself */
    await session.send('ServiceWorker.dispatchSyncEvent', { origin: tabs.pages, registrationId, tag: 'tidegate:ana', lastChance: false });
    await agree([far], 4, 4);
    const again = await tabs.newTab(context, room, { autoConnect: false });
    await settled(again);
    await agree([again], 4, 4);
  });
}

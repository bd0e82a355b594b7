// The demo in a real Chromium against the real server: what a newcomer would try, and what he would not.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const root = new URL('../..', import.meta.url).pathname;
const shots = join(root, 'build/browser');
const data = mkdtempSync(join(tmpdir(), 'tidegate-browser-'));
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
let server, browser, port, page;
const noise = [];

const freePort = () => new Promise((resolve) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port: p } = s.address(); s.close(() => resolve(p)); }); });

async function start() {
  server = spawn(join(root, 'tidegate'), ['serve', '--dev', '--listen', `127.0.0.1:${port}`, '--data', data, '--log-level', 'warn'], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let i = 0; i < 400; i++) {
    try { if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) return; } catch { /* not listening yet */ }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('the server is not ready after 10 s');
}
async function open(query = `?room=r${Math.random().toString(36).slice(2, 8)}`) {
  await page?.close();
  page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  page.on('console', (message) => { if (message.type() === 'error') noise.push(message.text()); });
  page.on('pageerror', (error) => noise.push(String(error.stack)));
  await page.goto(`http://127.0.0.1:${port}/${query}`);
  await page.waitForSelector('#ana.live');
  await page.waitForSelector('#ben .items li:nth-child(3)');
  await inStep();
}
const say = async (who, text) => { await page.fill(`#${who} input[name=text]`, text); await page.press(`#${who} input[name=text]`, 'Enter'); };
const airplane = (who) => page.click(`#${who} .airplane`);
const inStep = () => page.waitForFunction(() => phones.every((phone) => phone.device.connected && !phone.device.state.outbox.length));
const shows = (who, text) => page.waitForFunction(([id, wanted]) => [...document.querySelectorAll(`#${id} .messages li`)].filter((li) => li.textContent.startsWith(wanted)).length === 1, [who, text]);
const quantity = (who) => page.textContent(`#${who} .items li[data-id=tea] output`);
const showsQuantity = (who, wanted) => page.waitForFunction(([id, number]) => document.querySelector(`#${id} .items li[data-id=tea] output`).textContent === String(number), [who, wanted]);
const press = (who) => page.click(`#${who} .items li[data-id=tea] button:last-of-type`);
const note = (who) => page.inputValue(`#${who} .note > textarea`);
const same = () => page.waitForFunction(() => { const [a, b] = phones; return Object.keys(a.device.state.spaces).every((s) => a.device.state.spaces[s].cursor === b.device.state.spaces[s].cursor && JSON.stringify(Object.entries(a.device.state.spaces[s].docs).sort()) === JSON.stringify(Object.entries(b.device.state.spaces[s].docs).sort())); });

before(async () => {
  mkdirSync(shots, { recursive: true });
  port = await freePort();
  await start();
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags });
});
after(async () => {
  await browser?.close();
  server?.kill('SIGKILL');
  rmSync(data, { recursive: true, force: true });
});

test('a message typed on one device is on the other, once', async () => {
  await open();
  await say('ana', 'hello there');
  await shows('ben', 'hello there');
  await shows('ana', 'hello there');
  assert.equal(await page.textContent('#ana .messages li small'), '✓✓');
});

test('who is here, and who is typing, is seen', async () => {
  await page.waitForFunction(() => document.querySelector('#ana .other').textContent.includes('Ben'));
  await page.type('#ben input[name=text]', 'I am wri');
  await page.waitForFunction(() => document.querySelector('#ana .typing').textContent.includes('Ben is typing'));
});

test('a cart pressed twenty times on both sides at once gains forty', async () => {
  const start = Number(await quantity('ana'));
  for (let i = 0; i < 20; i++) await page.evaluate(() => { for (const id of ['ana', 'ben']) document.querySelector(`#${id} .items li[data-id=tea] button:last-of-type`).click(); });
  await inStep();
  await same();
  await showsQuantity('ana', start + 40);
  await showsQuantity('ben', start + 40);
});

test('what two devices did offline comes together', async () => {
  await airplane('ana');
  await airplane('ben');
  await say('ana', 'from the tunnel');
  await say('ben', 'from the plane');
  const start = Number(await quantity('ana'));
  await press('ana');
  await press('ben');
  await page.screenshot({ path: join(shots, 'offline.png') });
  await airplane('ana');
  await airplane('ben');
  for (const who of ['ana', 'ben']) for (const text of ['from the tunnel', 'from the plane']) await shows(who, text);
  await inStep();
  await same();
  await showsQuantity('ana', start + 2);
});

for (const choice of ['mine', 'theirs', 'both'])
  test(`a note that both changed asks, and ${choice} settles it`, async () => {
    await airplane('ben');
    await page.fill('#ana .note > textarea', `Ana's for ${choice}`);
    await page.click('#ana .keep');
    await page.fill('#ben .note > textarea', `Ben's for ${choice}`);
    await page.click('#ben .keep');
    await airplane('ben');
    await page.waitForSelector('#ben dialog[open]');
    if (choice === 'mine') await page.screenshot({ path: join(shots, 'conflict.png') });
    if (choice === 'both') await page.fill('#ben .both', 'what both say');
    await page.click(`#ben dialog button[value=${choice}]`);
    const wanted = { mine: "Ben's for mine", theirs: "Ana's for theirs", both: 'what both say' }[choice];
    await page.waitForFunction((text) => ['ana', 'ben'].every((id) => document.querySelector(`#${id} .note > textarea`).value === text), wanted);
    await inStep();
    assert.equal(await note('ana'), wanted);
  });

test('an outbox made offline outlives a reload, and goes out once', async () => {
  await airplane('ana');
  await say('ana', 'written before the reload');
  await page.reload();
  await shows('ben', 'written before the reload');
  await shows('ana', 'written before the reload');
  await inStep();
});

test('a server killed under the page comes back, and nothing is lost or doubled', async () => {
  await say('ana', 'before the kill');
  await shows('ben', 'before the kill');
  server.kill('SIGKILL');
  await page.waitForFunction(() => phones.every((phone) => !phone.device.connected));
  await say('ben', 'while it was dead');
  const start = Number(await quantity('ben'));
  await press('ben');
  await start_again();
  await shows('ana', 'while it was dead');
  await inStep();
  await same();
  await showsQuantity('ana', start + 1);
});
const start_again = () => { noise.length = 0; return start(); };

test('it reads well, and a screen reader can use it', async () => {
  noise.length = 0; /* the dead server's refused connections */
  await open();
  await say('ana', 'Shall I bring tea?');
  await say('ben', 'Yes, two boxes.');
  await shows('ana', 'Yes, two boxes.');
  for (const [scheme, size, name] of [['light', [1440, 900], 'laptop'], ['dark', [1440, 900], 'laptop-dark'], ['light', [390, 844], 'phone'], ['dark', [390, 844], 'phone-dark']]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width: size[0], height: size[1] });
    await page.screenshot({ path: join(shots, `${name}.png`), fullPage: size[0] < 600 });
    const axe = await page.context().newCDPSession(page);
    await axe.send('Page.setBypassCSP', { enabled: true });
    await page.evaluate(readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8'));
    const found = await page.evaluate(async () => (await window.axe.run()).violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes[0].html}`));
    assert.deepEqual(found, [], name);
  }
  assert.deepEqual(noise, []);
});

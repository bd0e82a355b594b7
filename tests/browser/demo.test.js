// The demo in a real Chromium against the real server: what a newcomer would try, and what he would not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { aWhile, launch, listenForNoise, RECORDER, Server, shots, TIMEOUT, until } from './support.js';

let server, browser, page;
const noise = [];
const phone = (who) => page.frames().find((frame) => frame.url().includes(`who=${who}`));
const at = (who, selector) => page.frameLocator(`#${who}`).locator(selector);

async function open() {
  await page?.context().close();
  page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  page.setDefaultTimeout(TIMEOUT);
  listenForNoise(page, noise);
  await page.goto(`${server.url}/?room=r${Math.random().toString(36).slice(2, 8)}`);
  for (const who of ['ana', 'ben']) await at(who, '.state.online').waitFor();
  await at('ben', '.items li:nth-child(4)').waitFor({ state: 'attached' });
  await inStep();
}
const tab = async (name, ...people) => { for (const who of people.length ? people : ['ana', 'ben']) await at(who, `#tab-${name}`).click(); };
const flip = (who, name) => at(who, `.toggle.${name}`).click();
const say = async (who, text) => { await at(who, '.chat input').fill(text); await at(who, '.chat input').press('Enter'); };
const shows = (who, text) => at(who, '.message').filter({ hasText: text }).waitFor();
const quantity = (who) => at(who, '.items li[data-id=tea] output').textContent().then(Number);
const press = (who) => phone(who).evaluate(() => document.querySelector('.items li[data-id=tea] button:last-of-type').click());
const showsQuantity = (who, wanted) => until(`${wanted} at ${who}`, async () => (await quantity(who)) === wanted);
/* What is shown follows what is held by a frame or more: it is waited for. */
const showsThat = (what, wanted, read) => { let last; return until(`${what}: ${wanted}`, async () => (last = await read()) === wanted, { describe: () => JSON.stringify(last) }); };
/* No write is on its way into a store or out of an outbox, both are connected, and both copies are one: cursors and sums agree. */
const inStep = () => until('step', async () => {
  const [a, b] = await Promise.all(['ana', 'ben'].map((who) => phone(who)?.evaluate(() => {
    const { client, space, writing } = window.phone, { connected, downloading, uploading } = client.status;
    return { waits: writing + uploading + downloading + (connected ? 0 : 1), at: ['chat:house', 'chat:trip', 'cart', 'todos', 'notes', 'workouts'].map((kind) => space(kind).position) };
  }).catch(() => null)));
  return a && b && !a.waits && !b.waits && JSON.stringify(a.at.map(sorted)) === JSON.stringify(b.at.map(sorted));
});
const sorted = ({ cursor, sums }) => [cursor, Object.entries(sums).filter(([, sum]) => !/^0*$/.test(sum)).sort()];
const record = (who, items, number) => phone(who).evaluate(`window.recorded = (${RECORDER})(${JSON.stringify(items)}, ${JSON.stringify(number)}); null`);
const faults = (who) => phone(who).evaluate(() => window.recorded.faults);
const counter = (name) => page.locator(`.numbers dt:text-is("${name}") + dd`).textContent();

before(async () => {
  server = await Server.make();
  browser = await launch();
  await open();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

test('a message shows on both phones once, and its ticks say how far it got', async () => {
  for (const who of ['ana', 'ben']) await record(who, '.message[data-id]');
  await tab('cart', 'ben');
  await say('ana', 'hello there');
  await at('ana', '.message.delivered').waitFor();
  await tab('chat', 'ben');
  await at('ana', '.message.read').waitFor();
  await shows('ben', 'hello there');
  await flip('ana', 'airplane');
  await say('ana', 'from the tunnel');
  await at('ana', '.message.waits').waitFor();
  await flip('ana', 'airplane');
  await shows('ben', 'from the tunnel');
  await inStep();
  for (const who of ['ana', 'ben']) {
    assert.deepEqual(await faults(who), []);
    await showsThat(`messages at ${who}`, 2, () => at(who, '.message').count());
  }
});

test('who is here, and who is typing, is seen', async () => {
  await at('ana', '.there.on').waitFor();
  await at('ben', '.chat input').pressSequentially('I am wri');
  await at('ana', '.typing').filter({ hasText: 'Ben is typing' }).waitFor();
  await page.screenshot({ path: join(shots, 'chat.png') });
  await at('ben', '.chat input').fill('');
});

test('a cart pressed twenty times on both phones at once gains forty, and no number ever goes back', async () => {
  await tab('cart');
  for (const who of ['ana', 'ben']) await record(who, '.items li[data-id]', 'output');
  const start = await quantity('ana');
  for (let i = 0; i < 20; i++) await Promise.all([press('ana'), press('ben')]);
  for (const who of ['ana', 'ben']) await showsQuantity(who, start + 40);
  await inStep();
  for (const who of ['ana', 'ben']) assert.deepEqual(await faults(who), []);
});

test('a to-do renamed on one phone and ticked off on the other is both', async () => {
  await tab('todos');
  await flip('ben', 'airplane');
  await at('ben', '.todos li[data-id="1-tent"] [type=checkbox]').click();
  await at('ana', '.todos li[data-id="1-tent"] .title').fill('Borrow the big tent');
  await at('ana', '.todos li[data-id="1-tent"] .title').press('Enter');
  await page.screenshot({ path: join(shots, 'todos-offline.png') });
  await flip('ben', 'airplane');
  await inStep();
  for (const who of ['ana', 'ben']) {
    await showsThat(`title at ${who}`, 'Borrow the big tent', () => at(who, '.todos li[data-id="1-tent"] .title').inputValue());
    await showsThat(`tick at ${who}`, true, () => at(who, '.todos li[data-id="1-tent"] [type=checkbox]').isChecked());
  }
});

for (const choice of ['mine', 'theirs', 'both'])
  test(`a note that both changed asks, and ${choice} settles it`, async () => {
    await tab('note');
    await flip('ben', 'airplane');
    for (const [who, text] of [['ana', `Ana's for ${choice}`], ['ben', `Ben's for ${choice}`]]) {
      await at(who, '.note > textarea').fill(text);
      await at(who, '.note .actions button').click();
      await at(who, '.saved').filter({ hasText: who === 'ana' ? 'In step' : 'Saved on this phone' }).waitFor(); /* hers is the first in the log */
    }
    await flip('ben', 'airplane');
    await at('ben', '.conflict').waitFor();
    if (choice === 'mine') await page.screenshot({ path: join(shots, 'conflict.png') });
    if (choice === 'both') await at('ben', '.conflict textarea').fill('what both say');
    await at('ben', `.conflict button[value=${choice}]`).click();
    const wanted = { mine: "Ben's for mine", theirs: "Ana's for theirs", both: 'what both say' }[choice];
    for (const who of ['ana', 'ben']) await showsThat(`note at ${who}`, wanted, () => at(who, '.note > textarea').inputValue());
    await inStep();
  });

test('a clock ten years wrong wins nothing: of two notes of the same to-do the truly later stands', async () => {
  await tab('todos');
  await flip('ben', 'clock');
  for (const who of ['ana', 'ben']) await flip(who, 'airplane');
  for (const [who, text] of [['ben', 'Ben, in ten years'], ['ana', 'Ana, a moment later']]) {
    await at(who, '.todos li[data-id="2-map"] .title').fill(text);
    await at(who, '.todos li[data-id="2-map"] .title').press('Enter');
    await until('written', () => phone(who).evaluate(() => window.phone.client.status.uploading > 0));
    if (who === 'ben') await aWhile();
  }
  await at('ben', 'time.wrong').waitFor();
  for (const who of ['ana', 'ben']) await flip(who, 'airplane');
  await inStep();
  for (const who of ['ana', 'ben']) await showsThat(`title at ${who}`, 'Ana, a moment later', () => at(who, '.todos li[data-id="2-map"] .title').inputValue());
  await flip('ben', 'clock');
});

test('a workout logged in airplane mode arrives whole', async () => {
  await tab('workout');
  await flip('ben', 'airplane');
  await at('ben', '.actions .wide').click();
  await at('ben', '.workout').filter({ hasText: '3 wait here' }).waitFor();
  await page.screenshot({ path: join(shots, 'workout-offline.png') });
  await at('ben', '.actions .wide').click();
  await flip('ben', 'airplane');
  await inStep();
  const { logged } = await phone('ben').evaluate(() => ({ logged: window.phone.space('workouts').collection('samples').current().docs.length }));
  assert.ok(logged >= 3, `${logged} samples`);
  for (const who of ['ana', 'ben']) await showsThat(`workout at ${who}`, `${logged} samples`, () => at(who, '.workout p').textContent());
});

test('a phone killed in the middle of writing holds what it had written, and sends it once', async () => {
  await tab('cart');
  await flip('ben', 'airplane');
  const start = await quantity('ana');
  for (let i = 0; i < 5; i++) await press('ben');
  await until('written', () => phone('ben').evaluate(() => window.phone.client.status.uploading === 5));
  await at('ben', '.kill').click();
  await page.locator('.dead').waitFor();
  await page.screenshot({ path: join(shots, 'killed.png') });
  await page.locator('.dead button').click();
  await at('ben', '.outbox').filter({ hasText: '5 changes wait' }).waitFor();
  await flip('ben', 'airplane');
  await showsQuantity('ana', start + 5);
  await inStep();
});

test('a server killed under the page comes back, and nothing is lost, doubled or flickers', async () => {
  await tab('chat');
  for (const who of ['ana', 'ben']) await record(who, '.message[data-id]');
  await server.kill();
  for (const who of ['ana', 'ben']) await at(who, 'body.offline .case').or(at(who, '.state.searching')).first().waitFor();
  await say('ben', 'while it was dead');
  await page.screenshot({ path: join(shots, 'server-dead.png') });
  await server.start();
  await shows('ana', 'while it was dead');
  await inStep();
  for (const who of ['ana', 'ben']) assert.deepEqual(await faults(who), []);
  await until('counted', async () => (await counter('Copies that agree')) === '6 of 6');
  for (const name of ['Lost', 'Applied twice']) await showsThat(name, '0', () => counter(name));
});

test('tabs and switches go by keyboard', async () => {
  await at('ana', '#tab-chat').focus();
  await page.keyboard.press('ArrowRight');
  await at('ana', '#tab-cart[aria-selected=true]').waitFor();
  await at('ana', '.toggle.slow').focus();
  await page.keyboard.press('Space');
  await at('ana', '.toggle.slow[aria-checked=true]').waitFor();
  await page.keyboard.press('Space');
  await at('ana', '.toggle.slow[aria-checked=false]').waitFor();
});

test('it reads well at both sizes, light and dark, axe finds nothing serious, and no page has logged an error', async () => {
  await open();
  await say('ana', 'Shall I bring tea?');
  await say('ben', 'Yes, two boxes, and the good honey from the market.');
  await shows('ana', 'Yes, two boxes');
  const axe = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
  for (const [scheme, width, height, size] of [['light', 1280, 800, 'laptop'], ['dark', 1280, 800, 'laptop-dark'], ['light', 390, 844, 'phone'], ['dark', 390, 844, 'phone-dark']]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height });
    for (const name of ['cart', 'todos', 'note', 'workout', 'chat']) {
      await tab(name);
      if (size === 'laptop' || name === 'chat') await page.screenshot({ path: join(shots, `${size}-${name}.png`), fullPage: width < 600 });
      if (size === 'phone-dark' && name !== 'chat') continue; /* the colours are the laptop's */
      for (const frame of name === 'chat' ? page.frames() : [phone('ana')]) {
        if (!(await frame.evaluate(() => 'axe' in window))) await frame.evaluate(axe);
        const found = await frame.evaluate(`axe.run({ runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }, iframes: false })
          .then((run) => run.violations.filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => one.id + ': ' + one.nodes[0].html))`);
        assert.deepEqual(found, [], `${size} ${name}`);
      }
    }
  }
  assert.deepEqual(noise, []);
});

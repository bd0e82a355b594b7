// Takes a picture of the demo in every state, at laptop and phone size, light and dark, to be looked at: build/shots/STATE-SIZE-SCHEME.png
// usage: node shots.js     (make browser-shots)
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { launch, root, Server, TIMEOUT, until } from './support.js';

const folder = join(root, 'build/shots'), SIZES = { laptop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const server = await Server.make(), browser = await launch();
const page = await (await browser.newContext({ viewport: SIZES.laptop, reducedMotion: 'reduce' })).newPage();
page.setDefaultTimeout(TIMEOUT);
const both = ['ana', 'ben'], at = (who, selector) => page.frameLocator(`#${who}`).locator(selector);
const phone = (who) => page.frames().find((frame) => frame.url().includes(`who=${who}`));
const tab = async (name) => { for (const who of both) await at(who, `#tab-${name}`).click(); };
const flip = (who, name) => at(who, `.toggle.${name}`).click();
const say = async (who, text) => {
  await at(who, '.chat input').fill(text);
  await at(who, '.chat input').press('Enter');
};
let number = 0;
/* At phone size `who` is the one in sight; laptops show both. */
async function shot(name, who = 'ana') {
  for (const [size, viewport] of Object.entries(SIZES)) for (const colorScheme of ['light', 'dark']) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    await page.evaluate((isPhone) => {
      document.querySelector('.guide').open = !isPhone; /* as the page has it when it is opened at that size */
      return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }, size === 'phone');
    const isWhole = size === 'laptop' || who === 'ana'; /* a picture of the whole page scrolls Ben out of sight on a phone */
    await page.evaluate(([id, fromTop]) => {
      scrollTo(0, 0);
      document.querySelector('.phones').scrollLeft = id === 'ben' ? 10000 : 0;
      if (!fromTop) document.querySelector('.phones').scrollIntoView();
      return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }, [who, isWhole]);
    await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`), fullPage: isWhole });
    number++;
  }
  await page.setViewportSize(SIZES.laptop);
}

try {
  await page.goto(`${server.url}/?room=shots`);
  for (const who of both) await at(who, '.state.online').waitFor();
  await at('ben', '.items li:nth-child(4)').waitFor({ state: 'attached' });
  await shot('fresh');
  await say('ana', 'Shall I bring tea?');
  await at('ana', '.message.read').waitFor();
  await say('ben', 'Yes, two boxes, and the good honey from the market if they still have some. The bakery closes at noon on Saturdays, so bread has to come first.');
  await at('ana', '.message.theirs').waitFor();
  await say('ana', 'https://example.org/a/very/long/address/that/does/not/break/by/itself/anywhere?and=more');
  await at('ben', '.chip').nth(1).click();
  await say('ben', 'The train leaves at 8:10.');
  await at('ana', '.badge:not([hidden])').first().waitFor();
  await at('ben', '.chip').nth(0).click();
  await at('ben', '.chat input').pressSequentially('And then');
  await at('ana', '.typing').filter({ hasText: 'typing' }).waitFor();
  await shot('chat');
  await at('ben', '.chat input').fill('');
  await tab('cart');
  for (let i = 0; i < 3; i++) await at('ana', '.items li[data-id=tea] button').last().click();
  await at('ana', '.compose input[name=item]').fill('A very long name of a thing to buy, 40');
  await at('ana', '.compose input[name=item]').press('Enter');
  await at('ben', '.items li:nth-child(5)').waitFor();
  await shot('cart');
  await flip('ben', 'airplane');
  await at('ben', '.items li[data-id=pears] button').last().click();
  await at('ben', '.outbox').filter({ hasText: 'waits' }).waitFor();
  await shot('cart-offline', 'ben');
  await flip('ben', 'airplane');
  await tab('todos');
  await at('ana', '.todos + form input').fill('Ask the neighbours whether they could feed the cat and water the plants');
  await at('ana', '.todos + form input').press('Enter');
  await at('ben', '.todos li:nth-child(3)').waitFor();
  await shot('todos');
  await tab('note');
  await at('ana', '.note > textarea').fill('Ask whether the bakery is open on Sunday.\n\nKeys are with Mrs. Brown.');
  await shot('note');
  await flip('ben', 'airplane');
  await at('ana', '.note .actions button').click();
  await at('ana', '.saved').filter({ hasText: 'In step' }).waitFor();
  await at('ben', '.note > textarea').fill('Ask whether the bakery is open on Sunday, and who has the keys. If nobody has them, the caretaker in number 12 keeps a spare set.');
  await at('ben', '.note .actions button').click();
  await at('ben', '.saved').filter({ hasText: 'Saved' }).waitFor();
  await flip('ben', 'airplane');
  await at('ben', '.conflict').waitFor();
  await shot('conflict', 'ben');
  await at('ben', '.conflict button[value=mine]').click();
  await tab('workout');
  await shot('workout-none');
  await flip('ben', 'airplane');
  await at('ben', '.actions .wide').click();
  await at('ben', '.workout').filter({ hasText: '5 wait here' }).waitFor();
  await shot('workout-offline', 'ben');
  await at('ben', '.actions .wide').click();
  await flip('ben', 'airplane');
  await at('ana', '.workout').waitFor();
  await flip('ana', 'slow');
  await flip('ben', 'clock');
  await tab('chat');
  await at('ben', 'time.wrong').waitFor();
  await shot('slow-and-wrong-clock', 'ben');
  await flip('ana', 'slow');
  await flip('ben', 'clock');
  /* A message that the server takes for nobody's: refused, and said so. */
  await phone('ben').evaluate(() => window.phone.space('cart').write([{ op: 'put', collection: 'items', id: 'wrong', body: { name: 'Too many', qty: 5000 } }]));
  await at('ben', '.toast:not([hidden])').waitFor();
  await shot('refused', 'ben');
  await at('ben', '.kill').click();
  await page.locator('.dead').waitFor();
  await shot('killed', 'ben');
  await page.locator('.dead button').click();
  await at('ben', '.state.online').waitFor();
  await server.kill();
  for (const who of both) await at(who, '.state.searching').waitFor();
  await say('ana', 'Written while the server was dead');
  await at('ana', '.outbox').filter({ hasText: 'waits' }).waitFor();
  await shot('server-dead');
  await server.start();
  for (const who of both) await at(who, '.state.online').waitFor();
  await until('agreement', async () => (await page.locator('.numbers dt:text-is("Copies that agree") + dd').textContent()) === '6 of 6');
  await shot('server-back');
  console.log(`${number} pictures in build/shots`);
} finally {
  await browser.close();
  await server.end();
}

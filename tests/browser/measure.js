// Prints what a key press costs until it is pixels, here and on another device, and how ten thousand messages open and scroll.
// usage: node measure.js     (make web-measure; the machine should have nothing else to do)
import { cpus } from 'node:os';
import { launch, Server, TIMEOUT, until } from './support.js';

const PRESSES = 60, MESSAGES = 10000, A_PUSH = 125;
const at = (values, part) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];
const ms = (values) => `p50 ${at(values, 0.5).toFixed(1)} ms, p95 ${at(values, 0.95).toFixed(1)} ms`;
const room = 'measured', server = await Server.make(), browser = await launch();
const open = async (who, context) => {
  const page = await (context ?? await browser.newContext({ viewport: { width: 420, height: 800 } })).newPage();
  page.setDefaultTimeout(TIMEOUT);
  await page.goto(`${server.url}/phone.html?who=${who}&room=${room}`);
  return page;
};
/* When a message is on the screen: drawn, and the frame after that begun. */
const watch = (page) => page.evaluate(() => {
  window.drawn = {};
  window.clock = () => performance.timeOrigin + performance.now();
  new MutationObserver(() => {
    const fresh = [...document.querySelectorAll('.message .text')].map((one) => one.textContent).filter((text) => !(text in window.drawn));
    for (const text of fresh) window.drawn[text] = null;
    if (fresh.length > 0) requestAnimationFrame(() => setTimeout(() => { for (const text of fresh) window.drawn[text] ??= window.clock(); }));
  }).observe(document.body, { childList: true, subtree: true });
  document.querySelector('.chat input').addEventListener('keydown', ({ key, target }) => { if (key === 'Enter') (window.pressed ??= {})[target.value] = window.clock(); }, true);
});

try {
  const ana = await open('ana'), context = await browser.newContext({ viewport: { width: 420, height: 800 } }), ben = await open('ben', context);
  for (const page of [ana, ben]) {
    await page.locator('.there.on').waitFor();
    await watch(page);
  }
  for (let i = 0; i < PRESSES; i++) {
    await ana.fill('.chat input', `press ${i}`);
    await ana.press('.chat input', 'Enter');
    await until('it', () => ben.evaluate((text) => window.drawn[text], `press ${i}`));
  }
  const pressed = await ana.evaluate(() => window.pressed), own = await ana.evaluate(() => window.drawn), other = await ben.evaluate(() => window.drawn);
  const texts = Object.keys(pressed);
  console.log(`on ${cpus().length} cores (${cpus()[0].model.trim()}), server, browser and both devices on them; every write on the disk (IndexedDB strict, the log's fsync)`);
  console.log(`key press to own pixels:            ${ms(texts.map((text) => own[text] - pressed[text]))}`);
  console.log(`key press to the other's pixels:    ${ms(texts.map((text) => other[text] - pressed[text]))}`);

  const { token } = await (await fetch(`${server.url}/dev/token?user=ana-${room}`)).json();
  for (let i = 0; i < MESSAGES; i += A_PUSH) {
    const ops = Array.from({ length: A_PUSH }, (_, n) => ({ op: 'append', collection: 'messages', id: `seed-${i + n}`, body: { text: `Message ${i + n}, ${'about as long as people write '.repeat(1 + ((i + n) % 3))}` } }));
    const response = await fetch(`${server.url}/v1/spaces/chat:house-${room}/push`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ ops }) });
    if (!response.ok) throw new Error(await response.text());
  }
  const last = (page) => page.locator('.message .text').filter({ hasText: `Message ${MESSAGES - 1},` });
  await last(ben).waitFor();
  await ben.waitForTimeout(4000); /* the store packs what came, once it is quiet */
  await ben.locator('.toggle.airplane').click();
  const opened = [];
  for (let i = 0; i < 7; i++) {
    await ben.reload({ waitUntil: 'commit' });
    await last(ben).waitFor();
    opened.push(await ben.evaluate(() => performance.getEntriesByName('messages:shown')[0].startTime));
  }
  console.log(`${MESSAGES} messages, offline:            ${ms(opened)} from navigation to the newest on the screen`);
  const frames = await ben.evaluate(() => new Promise((resolve) => {
    const list = document.querySelector('.messages'), times = [];
    let before = performance.now(), left = 180;
    const step = (now) => {
      times.push(now - before);
      before = now;
      list.scrollTop -= 140;
      if (--left > 0) requestAnimationFrame(step);
      else resolve({ times: times.slice(2), rows: document.querySelectorAll('.message').length });
    };
    requestAnimationFrame(step);
  }));
  console.log(`scrolling through them:             a frame ${ms(frames.times)}, ${frames.rows} rows in the page`);
} finally {
  await browser.close();
  await server.end();
}

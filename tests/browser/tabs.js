// Browsers and tabs of the client on its own: each draws a room's messages and counters, and records what was drawn.
import assert from 'node:assert/strict';
import { listenForNoise, RECORDER, TIMEOUT, until } from './support.js';

/** The browsers of a suite. `pages`: where its pages come from; `gateway`: where their clients connect unless told otherwise. */
export class Tabs {
  #browser;
  #contexts = [];
  #noise = [];
  #rooms = 0;

  constructor(browser, pages, gateway = pages) {
    this.#browser = browser;
    this.pages = pages;
    this.gateway = gateway;
  }
  /** In a space of her own Ana needs nobody's leave. */
  newRoom() { return `chat:ana:room-${++this.#rooms}`; }
  /** A browser of its own: what its pages share is one device. */
  async newBrowser({ skew = 0 } = {}) {
    const context = await this.#browser.newContext();
    this.#contexts.push(context);
    if (skew) await context.addInitScript(`{ const real = Date.now.bind(Date); Date.now = () => real() + ${skew}; }`);
    return context;
  }
  /** A page of the origin, and nothing on it. */
  async newPage(context) {
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT);
    listenForNoise(page, this.#noise);
    await page.goto(`${this.pages}/healthz`);
    return page;
  }
  /** A tab: the messages and counters of a room, drawn as they change, and a recorder on what was drawn. */
  async newTab(context, room, { url = this.gateway, name = 'ana', ...more } = {}) {
    const page = await this.newPage(context);
    await page.evaluate(async ([space, options, recorder]) => {
      window.sent = [];
    const { createClient } = await import('/tidegate.js');
      const client = createClient({ ...options, onFrame: ({ isOut, text }) => { if (isOut) window.sent.push(text); }, getToken: async () => (await (await fetch('/dev/token?user=ana')).json()).token });
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
  /** Closes what a test opened. No page may have logged an error. */
  async end() {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
    assert.deepEqual(this.#noise.splice(0), []);
  }
}

export const ids = (page) => page.evaluate(() => [...window.messages.children].map((row) => row.dataset.id));
export const count = (page) => page.evaluate(() => Number(window.counters.querySelector('output')?.textContent ?? 0));
export const shows = (page, number) => until(`${number} messages`, async () => (await ids(page)).length >= number);
export const settled = (page) => until('an empty outbox', () => page.evaluate(() => window.client.ready.then(() => window.client.status.uploading === 0)),
  { describe: () => page.evaluate(() => JSON.stringify([window.client.status, window.client.pendingWrites().slice(0, 9)])) });
export const connected = (page) => page.waitForFunction(() => window.client.status.connected && window.client.status.downloading === 0);
export const offline = (page) => page.waitForFunction(() => !window.client.status.connected);
export const write = (page, from, number) => page.evaluate(async ([first, many]) => { for (let i = 0; i < many; i++) { await window.say(`${first}-${i}`); await window.press(); } }, [from, number]);
/** All show the same, in one order, and no tab ever showed otherwise than more and more. */
export async function agree(pages, number, pressed) {
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

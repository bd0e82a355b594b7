// What the browser tests share: a server of their own, Chromium, a wire that can be cut, and a recorder of what was rendered.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const root = new URL('../..', import.meta.url).pathname;
export const shots = join(root, 'build/browser');
mkdirSync(shots, { recursive: true });
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows'];
export const TIMEOUT = 30000;

export const launch = () => chromium.launch({ executablePath: '/usr/bin/chromium', args: flags });

/** A free port, as the system names one. */
export const freePort = () => new Promise((resolve) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => resolve(port)); }); });

/** Waits until it holds; what it gave. `describe` tells what was there instead. */
export async function until(what, holds, { timeout = TIMEOUT, describe } = {}) {
  for (const end = Date.now() + timeout; ;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > end) assert.fail(`${what} did not come within ${timeout} ms${describe ? `: ${await describe()}` : ''}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** Until the clock is two seconds further: for tests of which edit was the later. How late frames come bounds how well two clocks can be compared. */
export const aWhile = () => { const begun = Date.now(); return until('two seconds', () => Date.now() - begun >= 2000); };

/** `tidegate serve --dev` on a data directory that outlives its kills. */
export class Server {
  static async make() {
    const server = new Server();
    server.port = await freePort();
    server.data = mkdtempSync(join(tmpdir(), 'tidegate-browser-'));
    server.url = `http://127.0.0.1:${server.port}`;
    await server.start();
    return server;
  }
  async start() {
    this.process = spawn(join(root, 'tidegate'), ['serve', '--dev', '--listen', `127.0.0.1:${this.port}`, '--data', this.data, '--log-level', 'warn'], { stdio: ['ignore', 'ignore', 'inherit'] });
    await until('readiness', async () => { try { return (await fetch(`${this.url}/readyz`)).ok; } catch { return false; } });
  }
  async kill() {
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await gone;
  }
  async end() {
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }
}

/** A TCP proxy before a port, `to`: `cut` ends what is open and refuses what comes; `mend` lets it through again. */
export class Wire {
  static async make(port) {
    const wire = new Wire(), open = new Set();
    wire.isCut = false;
    wire.to = port;
    wire.server = createServer((socket) => {
      if (wire.isCut) return socket.destroy();
      const other = connect(wire.to, '127.0.0.1');
      for (const [one, two] of [[socket, other], [other, socket]]) {
        open.add(one);
        one.pipe(two);
        one.on('error', () => two.destroy());
        one.on('close', () => { open.delete(one); two.destroy(); });
      }
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => wire.server.once('listening', resolve));
    wire.url = `http://127.0.0.1:${wire.server.address().port}`;
    wire.cut = () => { wire.isCut = true; for (const socket of open) socket.destroy(); };
    wire.mend = () => { wire.isCut = false; };
    wire.end = () => { wire.cut(); wire.server.close(); };
    return wire;
  }
}

/** Errors of a page and refused requests, but what a dead server or a cut wire causes in the network's own words. */
export function listenForNoise(page, noise) {
  page.on('console', (message) => { if (message.type() === 'error' && !/net::ERR_|WebSocket connection|Failed to fetch|Failed to load resource/.test(message.text())) noise.push(message.text()); });
  page.on('response', (response) => { if (response.status() >= 400 && !response.url().endsWith('/favicon.ico')) noise.push(`${response.status()} ${response.url()}`); });
  page.on('pageerror', (error) => noise.push(String(error.stack)));
}

/** Watches all that is drawn: `items` finds elements with `data-id`; what was there must stay, be there once, and its number may only grow. */
export const RECORDER = `(items, number) => {
  const faults = [], seen = new Map();
  const look = () => {
    const now = new Map();
    for (const element of document.querySelectorAll(items)) {
      const { id } = element.dataset;
      if (now.has(id)) faults.push('doubled: ' + id);
      now.set(id, number ? Number(element.querySelector(number).textContent) : 0);
    }
    for (const [id, value] of seen) {
      if (!now.has(id)) faults.push('vanished: ' + id);
      else if (now.get(id) < value) faults.push('went back: ' + id + ' from ' + value + ' to ' + now.get(id));
    }
    for (const [id, value] of now) seen.set(id, value);
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  look();
  return { faults, seen };
}`;

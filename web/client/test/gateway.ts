/* A gateway made of paper: tests say every frame themselves, and see every frame that a client sends. */
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { Client, createClient, type ClientOptions } from '../src/client.js';
import { memoryStore, type Store } from '../src/memory.js';
import { documentHash } from '../src/sum.js';

export type Json = Record<string, unknown>;

/** Stands in for WebSocket; the newest is the connection. */
export class PaperSocket {
  static readonly OPEN = 1;
  static all: PaperSocket[] = [];
  static get last(): PaperSocket { return PaperSocket.all.at(-1)!; }
  readyState = 0;
  readonly sent: Json[] = [];
  readonly texts: string[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  constructor(readonly url: string, readonly protocol: string) {
    PaperSocket.all.push(this);
    queueMicrotask(() => {
      this.readyState = 1;
      this.onopen?.();
    });
  }
  send(text: string): void {
    this.texts.push(text);
    this.sent.push(JSON.parse(text) as Json);
  }
  close(): void { this.readyState = 3; }
  say(...frames: (Json | string)[]): void { this.onmessage?.({ data: frames.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n') }); }
  hangUp(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code, reason: '' });
  }
  of(type: string): Json[] { return this.sent.filter((frame) => frame.type === type); }
}
(globalThis as unknown as Json).WebSocket = PaperSocket;
(globalThis as unknown as Json).crypto ??= webcrypto; // Node 18, which is Debian 12's, has it in the module alone

/** Waits until it holds, for half a minute and more. */
export async function until<T>(what: string, holds: () => T): Promise<NonNullable<T>> {
  for (let tries = 0; tries < 15000; tries++) {
    const found = holds();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.fail(`${what} did not come; sent: ${JSON.stringify(PaperSocket.last?.sent)}`);
}

export class TestClock {
  monoNow = 1000;
  wallNow = 1_800_000_000_000;
  mono(): number { return this.monoNow; }
  wall(): number { return this.wallNow; }
  pass(ms: number): void {
    this.monoNow += ms;
    this.wallNow += ms;
  }
}

export const SERVER_TIME = 1_900_000_000_000;

/** A client on a store that outlives it, and the gateway's side of its talk. */
export class Device {
  readonly client: Client;
  tokens: boolean[] = [];
  constructor(readonly store: Store = memoryStore(), readonly clock = new TestClock(), more: Partial<ClientOptions> = {}) {
    this.client = createClient({ url: 'http://gate.test/somewhere', store, clock, getToken: ({ isExpired }) => {
      this.tokens.push(isExpired);
      return 'secret';
    }, ...more });
  }
  get socket(): PaperSocket { return PaperSocket.last; }
  /* `count`: how many sockets there were before. */
  async welcome({ user = 'ana', log = 'log-1', time = SERVER_TIME, count = 0 } = {}): Promise<void> {
    await until('hello', () => PaperSocket.all.length > count && this.socket.of('hello').length > 0);
    this.socket.say({ type: 'welcome', session: 's', user, device: this.client.deviceId, log, time, heartbeat: 60000, limits: { inflight: 64 } });
    await until('up', () => this.client.status.connected);
  }
  async opened(space: string, nth = 1): Promise<{ ref: number; since: string | null; known: number }> {
    const found = await until(`open ${nth} of ${space}`, () => this.socket.of('open').flatMap((frame) => (frame.spaces as Json[]).filter((one) => one.space === space).map((one) => ({ ...one, ref: frame.ref })))[nth - 1]);
    return found as never;
  }
  /** Welcomed, and the space open: empty, or with these pages. */
  async up(space: string, more: Json = {}, count = 0): Promise<void> {
    this.client.space(space);
    await this.welcome({ count });
    const { ref } = await this.opened(space);
    this.socket.say(page(space, ref, more));
    await until('live', () => this.client.status.downloading === 0);
  }
  async pushes(count: number): Promise<Json[]> {
    await until(`${count} pushes`, () => this.socket.of('push').length >= count);
    return this.socket.of('push');
  }
  docs(space: string, collection: string): Json { return Object.fromEntries((this.client.views.get(space)?.snapshot(collection).docs ?? []).map((doc) => [doc.id, doc.raw])); }
}

export const doc = (id: string, rev: number, body: string, more: Json = {}) => ({ collection: 'items', id, rev, time: SERVER_TIME, user: 'bob', body: JSON.parse(body) as Json, ...more });
export const sumOf = (...docs: { id: string; rev: number; body?: unknown }[]) => {
  let sum = 0n;
  for (const { id, rev, body } of docs) if (body !== undefined) sum ^= BigInt(`0x${documentHash(id, rev, JSON.stringify(body))}`);
  return sum.toString(16).padStart(16, '0');
};
export function page(space: string, ref: number, more: Json = {}): Json {
  const docs = (more.docs ?? []) as { id: string; rev: number; body?: unknown }[];
  return { type: 'page', ref, space, from: null, to: 'c0', reset: true, docs, more: false, pushed: 0, refused: [], sum: { items: sumOf(...docs) }, window: 3600, ...more };
}
export const update = (space: string, prev: string, cursor: string, rev: number, docs: Json[] | undefined, more: Json = {}) =>
  ({ type: 'update', space, prev, cursor, rev, time: SERVER_TIME, user: 'bob', device: 'bobs-phone', push: 1, ...(docs && { docs }), ...more });

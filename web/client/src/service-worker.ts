/* The service worker's part: sends the outbox by POST /v1/sync while no page is open, and takes in what it gives.
 *
 *     import { listen } from '@tidegate/client/service-worker'
 *     listen({ getToken: async () => (await fetch('/my/token')).text() })
 *
 * It changes the store through the very transitions of the live session, and only while it holds the tabs' lock: where
 * a page leads, the page sends. Background Sync and Periodic Sync are a bonus that not every browser has; nothing
 * depends on them.
 */
import { Change, type Taken } from './copy.js';
import { systemClock, Times } from './clock.js';
import { items, members } from './json.js';
import { indexedStore, type Store } from './store.js';
import { lockName, type Message } from './tabs.js';
import { LIMITS, TidegateError, type Current, type Delta, type DeviceRecord, type OutboxRecord, type Page, type Result, type SpaceRecord } from './types.js';
import { encodePush, readFrame } from './wire.js';

/** As for `createClient`: the same name is the same device. */
export interface FlushOptions {
  url?: string | URL;
  getToken: (context: { isExpired: boolean }) => string | Promise<string>;
  name?: string;
}

/** What a background sync did: pushes that got their outcome, and whether something is left for another time. */
export interface Flushed { settled: number; isDone: boolean }

const ROUNDS_MAX = 20;

/** One background sync. Does nothing, and says so, where a page of this device is open. */
export async function flush(options: FlushOptions): Promise<Flushed> {
  const name = options.name ?? 'tidegate';
  return navigator.locks.request(lockName(name), { ifAvailable: true }, async (lock) => {
    if (!lock) return { settled: 0, isDone: true };
    const store = indexedStore(`tidegate:${name}`), channel = new BroadcastChannel(`tidegate:${name}`);
    const tell = (deltas: Delta[]) => { if (deltas.length > 0) channel.postMessage({ kind: 'deltas', deltas } satisfies Message); };
    try {
      let settled = 0;
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const done = await syncOnce(store, options, tell);
        settled += done.settled;
        if (done.isDone) return { settled, isDone: true };
      }
      return { settled, isDone: false };
    } finally {
      channel.close();
      await store.close();
    }
  });
}

interface Answer { log: string; results: Result[]; pages: Page[]; current: Current[]; closed: { space: string; purge?: boolean }[]; errors: { code: string; space?: string; id?: number; after?: number }[]; pending: number[] }

function readAnswer(text: string): Answer {
  const answer: Record<string, unknown> = { results: [], pages: [], current: [], closed: [], errors: [], pending: [] };
  for (const { name, value } of members(text)) answer[name] = name === 'results' || name === 'pages' ? items(value).map(readFrame) : JSON.parse(value);
  return answer as unknown as Answer;
}

async function syncOnce(store: Store, options: FlushOptions, tell: (deltas: Delta[]) => void): Promise<Flushed> {
  const times = new Times(systemClock), commit = (work: (change: Change) => Promise<unknown>) => store.transact('strict', async (tx) => {
    const change = await Change.begin(tx, times.wall());
    await work(change);
    return change.end();
  }).then(tell);
  const { device, spaces, outbox } = await store.transact('read', async (tx) => ({
    device: await tx.get<DeviceRecord>('device', 'device'), spaces: await tx.all<SpaceRecord>('spaces'), outbox: await tx.all<OutboxRecord>('outbox') }));
  if (!device) return { settled: 0, isDone: true };
  const sendable = spaces.flatMap(({ space }) => outbox.filter((push) => push.space === space).slice(0, LIMITS.inflight));
  const now = times.server(device) ?? times.wall(), ids = new Set(sendable.map((push) => push.id));
  for (const { space } of spaces) await commit((change) => change.markSent(space, ids, now));
  const known = (space: string) => (outbox.find((push) => push.space === space)?.id ?? (spaces.find((one) => one.space === space)!.last + 1)) - 1;
  const pushes = sendable.map((push) => encodePush(push, push.after, known(push.space), times.age(push, device)));
  const opens = spaces.filter((state) => state.synced).map(({ space, cursor }) => JSON.stringify({ space, since: cursor, known: known(space) }));
  const head = JSON.stringify({ device: device.device, ...(device.log !== null && { log: device.log }) }).slice(0, -1);
  const text = await post(options, `${head},"pushes":[${pushes.join(',')}],"opens":[${opens.join(',')}]}`);
  const answer = readAnswer(text);
  let left = 0, settled = 0;
  await commit(async (change) => {
    left = settled = 0;
    const open = new Set<string>();
    for (const entry of answer.current) await change.current(entry);
    for (const page of answer.pages) {
      const taken: Taken = await change.page(page);
      if (page.more || taken !== 'taken') open.add(page.space);
    }
    for (const { space, purge } of answer.closed) if (purge) await change.purge(space);
    /* An outcome whose cursor is still to come waits for its pages. */
    for (const result of answer.results) if (result.status !== 'applied' || !open.has(result.space)) await change.result(result);
    for (const { space } of spaces) {
      const waiting = await change.outbox(space);
      left += waiting.filter((push) => !answer.pending.includes(push.id) && !answer.errors.some((error) => error.space === space)).length;
      settled += outbox.filter((push) => push.space === space).length - waiting.length;
    }
    left += open.size;
  });
  return { settled, isDone: left === 0 };
}

async function post(options: FlushOptions, body: string): Promise<string> {
  const url = new URL(options.url ?? globalThis.location.href);
  url.protocol = url.protocol.replace('ws', 'http');
  url.pathname = '/v1/sync';
  url.hash = url.search = '';
  for (const isExpired of [false, true]) {
    const token = await options.getToken({ isExpired });
    const response = await fetch(url, { method: 'POST', body, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } });
    if (response.status === 401 && !isExpired) continue;
    if (!response.ok) throw new TidegateError(response.status === 409 ? 'log' : `http_${response.status}`, await response.text());
    return response.text();
  }
  throw new TidegateError('unauthenticated', 'no token that works');
}

type SyncEvent = Event & { tag: string; waitUntil(work: Promise<unknown>): void };

/** Listens for `sync` and `periodicsync` events and flushes the device whose tag they bear; with a function, any that it knows by name. */
export function listen(options: FlushOptions | ((name: string) => FlushOptions | null)): void {
  const find = typeof options === 'function' ? options : (name: string) => (name === (options.name ?? 'tidegate') ? options : null);
  const hear = (event: Event) => {
    const { tag } = event as SyncEvent, found = tag.startsWith('tidegate:') ? find(tag.slice('tidegate:'.length)) : null;
    if (found) (event as SyncEvent).waitUntil(flush(found));
  };
  globalThis.addEventListener('sync', hear);
  globalThis.addEventListener('periodicsync', hear);
}

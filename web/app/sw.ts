/* The demo's service worker: sends outboxes while no page is open, and keeps the pages for when the server is away. */
import { listen } from '@tidegate/client/service-worker';

interface Fetch extends Event { request: Request; respondWith(response: Promise<Response>): void }
interface Extendable extends Event { waitUntil(work: Promise<unknown>): void }
const CACHE = 'tidegate-demo', SHELL = ['/', '/index.html', '/phone.html', '/demo.css', '/phone.css', '/demo.js', '/phone.js', '/tidegate.js', '/favicon.svg'];
const worker = globalThis as unknown as { skipWaiting(): Promise<void>; clients: { claim(): Promise<void> } } & EventTarget;

worker.addEventListener('install', (event) => (event as Extendable).waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => worker.skipWaiting())));
worker.addEventListener('activate', (event) => (event as Extendable).waitUntil(worker.clients.claim()));
/* The server's own while it answers; else as it was. */
worker.addEventListener('fetch', (event) => {
  const { request } = event as Fetch, { pathname, origin } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin || !SHELL.includes(pathname)) return;
  (event as Fetch).respondWith(fetch(request).then(async (response) => {
    if (response.ok) await (await caches.open(CACHE)).put(pathname, response.clone());
    return response;
  }).catch(async () => (await caches.match(pathname)) ?? Response.error()));
});
/* A device of the demo is named by its user. */
listen((name) => ({ name, getToken: async () => ((await (await fetch(`/dev/token?user=${name}`)).json()) as { token: string }).token }));

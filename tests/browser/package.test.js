// The package as a stranger meets it: packed, installed, type-checked, and the quick start of the docs, word for word.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, launch, listenForNoise, root, TIMEOUT, until } from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'tidegate-app-')), noise = [];
const run = (command, args, cwd = folder) => execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
let server, files, browser;

before(() => {
  run('npm', ['pack', '--pack-destination', folder, '--loglevel=error'], join(root, 'web/client'));
  const packed = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'app', version: '1.0.0', private: true, type: 'module' }));
  run('npm', ['install', '--no-audit', '--no-fund', '--offline', '--loglevel=error', `./${packed}`]);
});
after(async () => {
  await browser?.close();
  files?.close();
  server?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

test('npm pack holds what a page needs, and nothing but that', () => {
  const installed = join(folder, 'node_modules/@tidegate/client'), { dependencies = {} } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  assert.deepEqual(dependencies, {});
  assert.deepEqual(readdirSync(installed).sort(), ['README.md', 'dist', 'package.json']);
  for (const name of ['index', 'memory', 'react', 'service-worker']) for (const end of ['.js', '.d.ts']) assert.ok(readdirSync(join(installed, 'dist')).includes(name + end), name + end);
});

for (const [module, resolution] of [['NodeNext', 'NodeNext'], ['ESNext', 'Bundler']])
  test(`a fresh project type-checks against it, by ${resolution}`, () => {
    writeFileSync(join(folder, 'app.ts'), `
      import { createClient, raw, TidegateError, type Doc, type Snapshot } from '@tidegate/client';
      import { memoryStore } from '@tidegate/client/memory';
      import { listen } from '@tidegate/client/service-worker';
      interface Item { name: string; qty: number }
      const client = createClient({ url: 'http://127.0.0.1:8080', getToken: async ({ isExpired }) => (isExpired ? 'b' : 'a'), store: memoryStore() });
      const items = client.space('cart:ana', { presence: true }).collection<Item>('items');
      const stop: () => void = items.onSnapshot((snapshot: Snapshot<Item>) => snapshot.docs.map((doc: Doc<Item>) => doc.data.qty.toFixed()));
      await items.doc('tea').increment('qty', 1n, { max: 9 });
      const outcome = await (await items.doc('tea').update({ name: 'Tea' })).settled();
      const isGood: boolean = outcome.status === 'applied';
      for await (const { docs } of items.query({ where: (doc) => doc.data.qty > 0, limit: 3 })) if (docs.length > 2) break;
      // @ts-expect-error a field that is not there
      await items.doc('tea').increment('weight');
      // @ts-expect-error what is internal is not told
      client.views;
      listen({ getToken: () => 'a' });
      export { isGood, raw, stop, TidegateError };`);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { strict: true, exactOptionalPropertyTypes: true, noEmit: true, target: 'ES2022', module, moduleResolution: resolution, lib: ['ES2022', 'DOM', 'ESNext.AsyncIterable'], types: [], skipLibCheck: false }, files: ['app.ts'] }));
    run(process.execPath, [join(root, 'web/client/node_modules/typescript/bin/tsc'), '-p', folder]);
  });

test('the quick start of docs/web.md, copied into a page, keeps a list on two devices, offline too', async () => {
  const text = readFileSync(join(root, 'docs/web.md'), 'utf8'), [, page] = /```html\n([\s\S]*?)```/.exec(text), port = await freePort();
  assert.ok(page.trimEnd().split('\n').length <= 20, 'twenty lines');
  writeFileSync(join(folder, 'secret'), `${'k'.repeat(44)}\n`);
  const start = () => { server = spawn(join(root, 'tidegate'), ['serve', '--listen', `127.0.0.1:${port}`, '--data', join(folder, 'data'), '--jwt-key', join(folder, 'secret'), '--log-level', 'warn'], { stdio: ['ignore', 'ignore', 'inherit'] }); };
  start();
  const token = run(join(root, 'tidegate'), ['token', '--user', 'ana', '--ttl', '86400', '--jwt-key', 'secret']).trim();
  cpSync(join(root, 'web/app/favicon.svg'), join(folder, 'favicon.svg'));
  writeFileSync(join(folder, 'index.html'), page.replace('TOKEN', token).replace('127.0.0.1:8080', `127.0.0.1:${port}`));
  const types = { '.html': 'text/html', '.js': 'text/javascript' };
  files = createServer(({ url }, response) => {
    const path = join(folder, url === '/' ? 'index.html' : new URL(url, 'http://x').pathname);
    try { response.setHeader('content-type', types[extname(path)] ?? 'text/plain').end(readFileSync(path)); } catch { response.writeHead(204).end(); }
  }).listen(0, '127.0.0.1');
  browser = await launch();
  const open = async () => {
    const tab = await (await browser.newContext()).newPage();
    tab.setDefaultTimeout(TIMEOUT);
    listenForNoise(tab, noise);
    await tab.goto(`http://127.0.0.1:${files.address().port}/`);
    return tab;
  };
  const [one, two] = [await open(), await open()], add = async (tab, title) => { await tab.fill('input', title); await tab.press('input', 'Enter'); };
  const shows = (tab, ...rows) => until(rows.join(), async () => rows.every((row) => (tab.rows ?? []).includes(row)) || (tab.rows = await tab.locator('li').allTextContents(), false));
  for (const tab of [one, two]) await until('online', async () => (await tab.textContent('output')) === 'online, 0 waiting');
  await add(one, 'Bread');
  await shows(two, 'Bread ✓');
  const gone = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await gone;
  await until('offline', async () => (await two.textContent('output')).startsWith('offline'));
  await add(two, 'Tea');
  await shows(two, 'Bread ✓', 'Tea …');
  start();
  for (const tab of [one, two]) await shows(tab, 'Bread ✓', 'Tea ✓');
  assert.deepEqual(noise, []);
});

// The client in real browsers against a cluster: two browsers on two gateways, two workers, Kafka and Redis.
// usage: node --test cluster.js     (make browser-cluster)
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { openSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { play } from './plays.js';
import { freePort, launch, root, until, Wire } from './support.js';
import { agree, connected, Tabs, write } from './tabs.js';

const binary = join(root, 'tidegate'), SERVICES = join(root, 'tools/cluster-services');

/** A process of ours that may die and be started again. */
class Child {
  constructor(folder, name, port, args) { Object.assign(this, { folder, name, port, args }); }
  async start() {
    const log = openSync(join(this.folder, `${this.name}.log`), 'a');
    this.process = spawn(binary, this.args, { stdio: ['ignore', log, log] });
    await until(`${this.name}, ready`, async () => { try { return (await fetch(`http://127.0.0.1:${this.port}/readyz`)).ok; } catch { return false; } },
      { timeout: 120000, describe: () => readFileSync(join(this.folder, `${this.name}.log`), 'utf8').slice(-1500) });
  }
  async kill() {
    if (!this.process || this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await gone;
  }
}

/** Kafka, Redis, two workers, two gateways each on a port of its own. */
class Cluster {
  static async make() {
    const folder = mkdtempSync(join(tmpdir(), 'tidegate-browser-cluster-')), key = join(folder, 'jwt-key'), cluster = Object.assign(new Cluster(), { folder, key });
    try {
      const env = Object.fromEntries(execFileSync(SERVICES, ['up', join(folder, 'services')], { encoding: 'utf8' }).trim().split('\n').map((line) => line.split('=')));
      writeFileSync(key, 'k'.repeat(44), { mode: 0o600 });
      execFileSync(binary, ['topics', '--kafka', env.KAFKA, '--partitions', '4'], { stdio: ['ignore', 'ignore', 'inherit'] });
      const common = ['--kafka', env.KAFKA, '--redis', env.REDIS], make = async (name, port, more) => new Child(folder, name, port, [...more, ...common, '--listen', `127.0.0.1:${port}`]);
      cluster.workers = await Promise.all([1, 2].map(async (i) => make(`worker-${i}`, await freePort(), ['worker', '--data', join(folder, `worker-${i}`), '--instance', `worker-${i}`, '--session', '6'])));
      cluster.gateways = await Promise.all([1, 2].map(async (i) => make(`gateway-${i}`, await freePort(), ['gateway', '--jwt-key', key, '--name', `gateway-${i}`])));
      await Promise.all([...cluster.workers, ...cluster.gateways].map((child) => child.start()));
    } catch (error) {
      await cluster.end();
      throw error;
    }
    return cluster;
  }
  token(user) { return execFileSync(binary, ['token', '--user', user, '--ttl', '3600', '--jwt-key', this.key], { encoding: 'utf8' }).trim(); }
  async end() {
    await Promise.all([...(this.gateways ?? []), ...(this.workers ?? [])].map((child) => child.kill()));
    execFileSync(SERVICES, ['down', join(this.folder, 'services')]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/* What a web app's own server does: its pages, its tokens, and its gateway's HTTP calls led on. */
function appServer(cluster) {
  const files = { '/tidegate.js': 'web/demo/tidegate.js', '/sw.js': 'web/demo/sw.js' };
  return createServer((incoming, outgoing) => {
    const { pathname, searchParams } = new URL(incoming.url, 'http://app');
    if (pathname === '/healthz') outgoing.end('ok');
    else if (pathname === '/dev/token') outgoing.end(JSON.stringify({ token: cluster.token(searchParams.get('user')) }));
    else if (pathname in files) outgoing.setHeader('content-type', 'text/javascript').end(readFileSync(join(root, files[pathname])));
    else if (pathname.startsWith('/v1/')) {
      const { method, headers, url: path } = incoming;
      incoming.pipe(request({ host: '127.0.0.1', port: cluster.gateways[0].port, method, headers, path }, (answer) => {
        outgoing.writeHead(answer.statusCode, answer.headers);
        answer.pipe(outgoing);
      }).on('error', () => outgoing.destroy()));
    } else outgoing.writeHead(204).end(); /* the favicon, the shell that sw.js keeps */
  });
}

let cluster, app, browser, tabs, wire;
before(async () => {
  cluster = await Cluster.make();
  app = appServer(cluster).listen(0, '127.0.0.1');
  wire = await Wire.make(cluster.gateways[0].port);
  browser = await launch();
  const url = ({ port }) => `http://127.0.0.1:${port}`;
  tabs = Object.assign(new Tabs(browser, url(app.address()), url(cluster.gateways[0])), { wire, far: url(cluster.gateways[1]) });
});
afterEach(async () => {
  wire.mend();
  await tabs.end();
});
after(async () => {
  await browser?.close();
  wire?.end();
  app?.close();
  await cluster?.end();
});

play(() => tabs);

const both = async () => {
  const room = tabs.newRoom(), near = await tabs.newTab(await tabs.newBrowser(), room, { url: wire.url }), far = await tabs.newTab(await tabs.newBrowser(), room, { url: tabs.far });
  await connected(near);
  await connected(far);
  return [near, far];
};

test('a gateway killed while both write: its browser goes on at the other, and back again', async () => {
  const [near, far] = await both(), [one, two] = cluster.gateways;
  const writing = Promise.all([write(near, 'near', 6), write(far, 'far', 6)]);
  await one.kill();
  wire.to = two.port;
  await writing;
  await agree([near, far], 12, 12);
  await one.start();
  wire.to = one.port;
  wire.cut(); /* what is open ends, and comes back where the wire leads now */
  wire.mend();
  await write(near, 'again', 2);
  await agree([near, far], 14, 14);
});

test('each worker killed and started again while both write: nothing is lost, doubled or flickers', async () => {
  const [near, far] = await both();
  let number = 0;
  for (const worker of cluster.workers) {
    const writing = Promise.all([write(near, `near-${worker.name}`, 5), write(far, `far-${worker.name}`, 5)]);
    await worker.kill();
    await writing;
    await worker.start();
    number += 10;
    await agree([near, far], number, number);
  }
  const positions = await Promise.all([near, far].map((page) => page.evaluate(() => window.held.position)));
  assert.deepEqual(positions[0].sums, positions[1].sums);
});

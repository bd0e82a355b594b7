// PouchDB replicating from and to express-pouchdb: what bench/client.c measures of the C client library, on the same machine in the same run.
//     node run.js [DOCUMENTS]      DOCUMENTS: of the first sync; 1,000 offline edits follow
// The server is a process of its own, so that its CPU can be told.
'use strict';
const { fork } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const PouchDB = require('pouchdb');

const BATCH = 1000, EDITS = 1000;

if (process.argv[2] === 'serve') {
  const Local = PouchDB.defaults({ prefix: process.argv[3] + path.sep });
  const app = require('express')();
  app.use('/', require('express-pouchdb')(Local, { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: path.join(process.argv[3], 'log.txt') }));
  const listener = app.listen(0, '127.0.0.1', () => process.send({ port: listener.address().port }));
  process.on('message', () => process.send({ cpu: process.cpuUsage() }));
} else {
  main(Number(process.argv[2] || 100000)).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
}

function body(i, count) { return { title: `something to do, number ${i}`, done: false, rank: (i * 7919) % count }; }
function ask(server) { return new Promise((resolve) => { server.once('message', resolve); if (server.connected) server.send('cpu'); }); }
function cpuSeconds(cpu) { return (cpu.user + cpu.system) / 1e6; }

async function main(count) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-pouchdb-'));
  fs.mkdirSync(path.join(folder, 'server'));
  const server = fork(__filename, ['serve', path.join(folder, 'server')], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const { port } = await new Promise((resolve) => server.once('message', resolve));
  const remote = new PouchDB(`http://127.0.0.1:${port}/todos`), local = new PouchDB(path.join(folder, 'device'));
  for (let i = 0; i < count; i += BATCH)
    await remote.bulkDocs(Array.from({ length: Math.min(BATCH, count - i) }, (_, k) => ({ _id: `d${String(i + k).padStart(7, '0')}`, ...body(i + k, count) })));
  const before = (await ask(server)).cpu, began = process.hrtime.bigint();
  await local.replicate.from(remote, { batch_size: BATCH });
  const seconds = Number(process.hrtime.bigint() - began) / 1e9, after = (await ask(server)).cpu;
  const { doc_count: got } = await local.info();
  if (got !== count) throw new Error(`${got} of ${count} documents came`);
  console.log(`PouchDB: a first sync of ${count} documents: ${seconds.toFixed(2)} s, ${Math.round(count / seconds)} a second; ` +
    `server CPU ${(1e6 * (cpuSeconds(after) - cpuSeconds(before)) / count).toFixed(0)} us a document`);
  for (let i = 0; i < EDITS; i++) await local.put({ _id: `e${i}`, ...body(i, EDITS) });
  const edits = process.hrtime.bigint();
  const { docs_written: written } = await local.replicate.to(remote);
  if (written !== EDITS) throw new Error(`${written} of ${EDITS} edits went out`);
  console.log(`PouchDB: ${EDITS} offline edits: ${(Number(process.hrtime.bigint() - edits) / 1e9).toFixed(2)} s`);
  server.kill();
  fs.rmSync(folder, { recursive: true });
}

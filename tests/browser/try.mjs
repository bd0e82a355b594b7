import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { chromium } from 'playwright-core';
const data = mkdtempSync('/tmp/try-');
const server = spawn('./tidegate', ['serve','--dev','--listen','127.0.0.1:18099','--data',data,'--log-level','warn'],{stdio:['ignore','ignore','inherit']});
for(;;){ try { if ((await fetch('http://127.0.0.1:18099/readyz')).ok) break;} catch{} await new Promise(r=>setTimeout(r,50)); }
const browser = await chromium.launch({executablePath:'/usr/bin/chromium',args:['--no-sandbox','--disable-gpu']});
try {
const page = await browser.newPage();
page.on('console',m=>console.log('C',m.text())); page.on('pageerror',e=>console.log('E',e.stack));
await page.goto('http://127.0.0.1:18099/healthz');
console.log(await page.evaluate(async () => {
  const { createClient } = await import('/tidegate.js');
  const make = (user,name) => createClient({ name, getToken: async () => (await (await fetch(`/dev/token?user=${user}`)).json()).token, onFrame: ({isOut,text}) => console.log(name, isOut?'>':'<', text.slice(0,300)) });
  const a = make('ana','a'), b = make('ana','b');
  const ca = a.space('cart:ana'), cb = b.space('cart:ana');
  await a.ready;
  const log=[];
  cb.collection('items').onSnapshot(s => log.push(s.docs.map(d=>d.raw+d.pending+s.metadata.fromCache)));
  const w = await ca.doc('items/tea').set({name:'tea', qty: 1});
  log.push(await w.settled());
  await ca.doc('items/tea').increment('qty', 2);
  await cb.doc('items/tea').increment('qty', 5);
  await a.waitForPendingWrites(); await b.waitForPendingWrites();
  await ca.barrier(); await cb.barrier();
  const n = a.space('notes:ana'), m = b.space('notes:ana');
  await a.waitForFirstSync(); await b.waitForFirstSync();
  await (await n.doc('notes/x').set({text:'one'})).settled(); await m.barrier();
  b.disconnect();
  await m.doc('notes/x').update({text:'two'});
  await (await n.doc('notes/x').update({text:'three'})).settled();
  b.connect();
  await b.waitForPendingWrites();
  return JSON.stringify({log, a: ca.doc('items/tea').current(), b: cb.doc('items/tea').current(), st: a.status, ref: b.refused(), x: m.doc('notes/x').current()}, null, 1);
}));
} finally { await browser.close(); server.kill('SIGKILL'); }

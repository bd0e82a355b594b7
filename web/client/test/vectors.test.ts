/* The golden vectors, resolved by the client: a third reading of the protocol beside the core and tests/tools/check_vectors.py. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { asInt64, items, members } from '../src/json.js';
import { resolve, type Push, type Rules, type Stamp, type StoredDoc, type WorkDoc } from '../src/resolve.js';

const folder = new URL('../../schemas/vectors/', import.meta.url); // from build/web-unit
const RAW = new Set(['body', 'by', 'min', 'max', 'value']);

/* An object's members as values, those in RAW and the elements of `values` as texts. */
function read(text: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { name, value } of members(text)) {
    found[name] = RAW.has(name) ? value : name === 'values' ? items(value) : JSON.parse(value);
    if (name === 'field') found.fieldKey = value.slice(1, -1);
  }
  return found;
}

interface Vector { n: number; status: string; code: string | undefined; before: StoredDoc[]; after: Record<string, unknown>[]; push: Push }

function readVector(line: string): Vector {
  const top = Object.fromEntries(members(line).map(({ name, value }) => [name, value]));
  const push = Object.fromEntries(members(top.push!).map(({ name, value }) => [name, name === 'ops' ? items(value).map(read) : JSON.parse(value)]));
  return {
    n: Number(top.n), status: JSON.parse(top.status!), code: top.code && JSON.parse(top.code),
    before: items(top.before!).map(read) as unknown as StoredDoc[], after: items(top.after!).map(read), push: push as unknown as Push,
  };
}

function checkTyped(body: string): boolean {
  const fields = new Map(members(body).map(({ name, value }) => [name, value]));
  const n = fields.get('n'), s = fields.get('s');
  if (n !== undefined && (asInt64(n) === null || asInt64(n)! < -50n || asInt64(n)! > 50n)) return false;
  return s === undefined || (s[0] === '[' && items(s).length <= 4);
}

function rulesFrom(namespace: { collections: Record<string, { policy: Rules['policy']; order?: string; write?: Rules['write'] }> }) {
  return (collection: string): Rules => {
    if (collection === 'members') return { policy: 'lww', write: 'owner', arrival: true, check: (body) => /"role":\s*"(owner|writer|reader)"/.test(body) };
    const { policy, order, write } = namespace.collections[collection]!;
    return { policy, arrival: order === 'arrival', ...(write && { write }), ...(collection === 'typed' && { check: checkTyped }) };
  };
}

/* As a vector writes it. */
function render(doc: WorkDoc, push: Push, policy: string, stands: boolean): Record<string, unknown> {
  if (!stands || !doc.changed) return (doc.stored as unknown as Record<string, unknown>) ?? { collection: doc.collection, id: doc.id, absent: true };
  const revived = doc.stored?.deleted && doc.live && policy !== 'append';
  return {
    collection: doc.collection, id: doc.id, rev: push.rev, time: push.time, user: push.user, ...(doc.live ? { body: doc.body } : { deleted: true }),
    born: !doc.stored || revived ? push.rev : doc.stored.born, author: doc.author, whole: doc.whole, fields: Object.fromEntries(doc.stamps) as Record<string, Stamp>,
  };
}

for (const file of readdirSync(folder).filter((name) => name.endsWith('.jsonl')).sort()) {
  test(`${file}: every push has the server's outcome`, () => {
    const [head, ...lines] = readFileSync(new URL(file, folder), 'utf8').split('\n').filter(Boolean);
    const rulesOf = rulesFrom(JSON.parse(head!).namespace);
    assert.ok(lines.length >= 500);
    for (const line of lines) {
      const { n, status, code, before, after, push } = readVector(line);
      const made = resolve(push, before, rulesOf, 3600000), where = `${file} n=${n}`;
      /* A tombstone past the window is still named as it was stored. */
      const stored = new Map(before.map((doc) => [`${doc.collection}/${doc.id}`, doc]));
      const docs = made.docs.map((doc) => {
        const rendered = render(doc, push, rulesOf(doc.collection).policy, made.status === 'changed');
        return 'absent' in rendered ? rendered : { ...rendered, ...(doc.stored === undefined && !doc.changed && stored.get(`${doc.collection}/${doc.id}`)) };
      });
      assert.deepEqual({ status: made.status, code: made.code }, { status, code }, where);
      assert.deepEqual(docs, after, where);
    }
  });
}

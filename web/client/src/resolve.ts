/* What a push makes of documents: the four policies, as the owner of the space will apply them.
 *
 * The client runs it to show its own unconfirmed pushes on top of what the stream gave it. The golden vectors of
 * schemas/vectors prove it equal to the server's core, stamps included. Documents from the wire carry no stamps; then
 * every edit is the later one, which is what a device can know: its own push is shown as it was made until its outcome.
 *
 * INVARIANTS
 * 1. Nothing outside the arguments is read, and no argument is changed.
 * 2. A rejected push changes no document; so does a conflict, but that `optimistic` shows it as its maker left it.
 * 3. Values are texts. A body is rebuilt only when a member's value changes, comes or goes; then under the keys and in
 *    the order it had, new members at the end, without white space.
 */
import { asInt64, compareNumbers, identity, isNumber, items, members } from './json.js';

/** Who made an edit, when, and in which push; rev 0: nobody. `edited` null is older than all. */
export interface Stamp { rev: number; edited: number | null; user: string; device: string }

export type Policy = 'lww' | 'merge' | 'append' | 'manual';
export type OpName = 'put' | 'patch' | 'delete' | 'append' | 'incr' | 'add' | 'remove' | 'max';

/** An operation as it is sent; `body`, `by`, `min`, `max`, `value` and each of `values` are JSON texts; `fieldKey` is `field` as it stood between its quotes, where it has escapes of its own. */
export interface Operation {
  op: OpName; collection: string; id: string;
  body?: string; field?: string; fieldKey?: string; by?: string; min?: string; max?: string; value?: string; values?: string[];
  base?: number; if?: 'absent' | number; age?: number | null;
}

/** A document as it is stored; the last four members are the owner's own, and unknown to a device. */
export interface StoredDoc {
  collection: string; id: string; rev: number; time: number; user: string; body?: string; deleted?: boolean; born?: number;
  author?: string; whole?: Stamp; fields?: Record<string, Stamp>;
}

export interface Push {
  user: string; device: string; role: string; rev: number; head: number; time: number; last: number | null; clock: number;
  ops: Operation[];
}

/** How a collection resolves; what a device doesn't know it takes to allow. `check` says whether a body is valid. */
export interface Rules { policy: Policy; arrival?: boolean; write?: 'writer' | 'owner' | 'self'; check?: (body: string) => boolean }

export interface Resolution { status: 'changed' | 'unchanged' | 'lost' | 'conflict' | 'rejected'; code?: string; docs: WorkDoc[] }

class Rejected extends Error {
  constructor(readonly code: string) { super(code); }
}

const NOBODY: Stamp = { rev: 0, edited: null, user: '', device: '' };
const utf8 = new TextEncoder();

function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  const x = utf8.encode(a), y = utf8.encode(b);
  for (let i = 0; i < x.length && i < y.length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return x.length - y.length;
}

/* By time, then by user and device. */
function compareStamps(a: Stamp, b: Stamp): number {
  const x = a.edited ?? -Infinity, y = b.edited ?? -Infinity;
  if (x !== y) return x < y ? -1 : 1;
  return compareBytes(a.user, b.user) || compareBytes(a.device, b.device);
}

/* One operation's claim to be the later edit. */
class Edit {
  readonly base: number;
  readonly stamp: Stamp;

  constructor(push: Push, op: Operation) {
    const base = op.base ?? 0;
    this.base = base <= push.head ? base : 0;
    const edited = op.age === null ? push.last : push.time - Math.max(0, op.age ?? 0);
    this.stamp = { rev: push.rev, edited, user: push.user, device: push.device };
  }

  /* A backend has no device id: only within one push is it itself. */
  isSameDevice(stamp: Stamp): boolean {
    return this.stamp.user === stamp.user && this.stamp.device === stamp.device && (stamp.device !== '' || stamp.rev === this.stamp.rev);
  }
  knows(stamp: Stamp): boolean { return this.base >= stamp.rev || this.isSameDevice(stamp); }
  isLater(stamp: Stamp, arrival: boolean): boolean {
    return arrival || this.knows(stamp) || compareStamps(this.stamp, stamp) >= 0;
  }
}

/** A document while a push works on it, and what came of it. */
export class WorkDoc {
  exists = false;
  live = false;
  changed = false;
  whole: Stamp = NOBODY;
  author: string | undefined;
  rev = 0;
  readonly stamps = new Map<string, Stamp>();
  /* field -> the rev that knows it, where this push folded its own part into another's value */
  readonly known = new Map<string, number>();
  fields = new Map<string, { key: string; value: string }>();
  #text: string | null = null; /* null: rebuilt when asked for */

  constructor(readonly collection: string, readonly id: string, readonly stored: StoredDoc | undefined) {
    if (stored === undefined) return;
    this.exists = true;
    this.whole = stored.whole ?? NOBODY;
    this.author = stored.author;
    this.rev = stored.rev;
    for (const [name, stamp] of Object.entries(stored.fields ?? {})) this.stamps.set(name, stamp);
    if (stored.body !== undefined) this.become(stored.body);
  }

  become(text: string): void {
    this.live = true;
    this.#text = text;
    this.fields = new Map(members(text).map(({ name, key, value }) => [name, { key, value }]));
  }
  set(name: string, key: string, value: string | null): void {
    const held = this.fields.get(name);
    if (value === null ? !held : held?.value === value) return;
    this.#text = null;
    if (value === null) this.fields.delete(name);
    else if (held) held.value = value;
    else this.fields.set(name, { key, value });
  }
  revive(): void {
    if (this.live) return;
    this.live = true;
    this.#text = null;
  }
  delete(): void {
    this.live = false;
    this.fields = new Map();
    this.#text = null;
  }
  get body(): string {
    this.#text ??= `{${[...this.fields.values()].map(({ key, value }) => `"${key}":${value}`).join(',')}}`;
    return this.#text;
  }
  /* What an edit of the field is judged against. */
  stampOf(name: string): Stamp {
    const stamp = this.stamps.get(name);
    return stamp ? { ...stamp, rev: this.known.get(name) ?? stamp.rev } : this.whole;
  }
}

/* ---- operations on a field: the new text, or null where nothing changes ---- */

function incremented(stands: string | undefined, op: Operation): string | null {
  const was = stands === undefined ? 0n : asInt64(stands), by = asInt64(op.by ?? '');
  if (was === null || by === null) throw new Rejected('invalid');
  let becomes = was + by;
  if (BigInt.asIntN(64, becomes) !== becomes) becomes = becomes < 0n ? -(2n ** 63n) : 2n ** 63n - 1n;
  if (op.min !== undefined && becomes < asInt64(op.min)!) becomes = asInt64(op.min)!;
  if (op.max !== undefined && becomes > asInt64(op.max)!) becomes = asInt64(op.max)!;
  return becomes === was ? null : becomes.toString();
}

function greater(stands: string | undefined, op: Operation): string | null {
  if (stands === undefined) return op.value!;
  if (!isNumber(stands)) throw new Rejected('invalid');
  return compareNumbers(op.value!, stands) > 0 ? op.value! : null;
}

function changedSet(stands: string | undefined, op: Operation): string | null {
  if (stands !== undefined && stands[0] !== '[') throw new Rejected('invalid');
  const values = new Map<string, string>();
  const take = (text: string) => { if (!values.has(identity(text))) values.set(identity(text), text); };
  items(stands ?? '[]').forEach(take);
  const count = values.size;
  if (op.op === 'add') op.values!.forEach(take);
  else for (const text of op.values!) values.delete(identity(text));
  return values.size === count ? null : `[${[...values.values()].join(',')}]`;
}

const ON_FIELD: Partial<Record<OpName, (stands: string | undefined, op: Operation) => string | null>> =
  { incr: incremented, max: greater, add: changedSet, remove: changedSet };

/* ---- the push ---- */

class Resolver {
  #lost = false;
  #conflict = false;
  readonly #docs = new Map<string, WorkDoc>();

  constructor(private readonly push: Push, before: StoredDoc[], private readonly rulesOf: (collection: string) => Rules, window: number) {
    const stored = new Map(before.map((doc) => [`${doc.collection}/${doc.id}`, doc]));
    for (const { collection, id } of push.ops) {
      const name = `${collection}/${id}`;
      if (this.#docs.has(name)) continue;
      const found = stored.get(name), isGone = found?.deleted && found.time < push.clock - window;
      this.#docs.set(name, new WorkDoc(collection, id, isGone ? undefined : found));
    }
  }

  run(): Resolution {
    const docs = [...this.#docs.values()];
    try {
      for (const op of this.push.ops) this.#judge(op);
      for (const doc of docs) if (doc.changed && doc.live && this.rulesOf(doc.collection).check?.(doc.body) === false) throw new Rejected('invalid');
    } catch (error) {
      if (error instanceof Rejected) return { status: 'rejected', code: error.code, docs };
      throw error;
    }
    if (this.#conflict) return { status: 'conflict', code: 'conflict', docs };
    if (docs.some((doc) => doc.changed)) return { status: 'changed', docs };
    return this.#lost ? { status: 'lost', code: 'lost', docs } : { status: 'unchanged', docs };
  }

  #judge(op: Operation): void {
    const doc = this.#docs.get(`${op.collection}/${op.id}`)!, edit = new Edit(this.push, op), rules = this.rulesOf(op.collection);
    const onField = op.op in ON_FIELD;
    const belongs = { lww: op.op !== 'append' && !onField, merge: op.op !== 'append', append: !onField,
      manual: op.op !== 'append' && (!onField || op.base !== undefined) }[rules.policy];
    if (!belongs) throw new Rejected('invalid');
    this.#permit(op, doc, rules.write ?? 'writer');
    if (op.if !== undefined && !this.#holds(op.if, doc)) throw new Rejected('precondition');
    const policies = { lww: () => this.#lww(doc, op, edit), merge: () => this.#merge(doc, op, edit), append: () => this.#append(doc, op, edit),
      manual: () => this.#manual(doc, op, edit) };
    policies[rules.policy]();
  }

  #permit(op: Operation, doc: WorkDoc, write: NonNullable<Rules['write']>): void {
    const { role, user } = this.push, writes = role === 'writer' || role === 'owner', isOwn = op.id === user;
    const may = { writer: writes, owner: role === 'owner', self: writes && isOwn }[write];
    const leaves = op.collection === 'members' && isOwn && op.op === 'delete' && doc.live;
    if (!may && !leaves) throw new Rejected('forbidden');
  }

  #holds(wanted: 'absent' | number, doc: WorkDoc): boolean {
    if (wanted === 'absent') return !doc.live;
    return doc.exists && !doc.changed && wanted > 0 && wanted <= this.push.head && wanted === doc.rev;
  }

  #isArrival(doc: WorkDoc): boolean { return this.rulesOf(doc.collection).arrival ?? false; }

  #change(doc: WorkDoc): void {
    if (!doc.exists) doc.author = this.push.user;
    doc.exists = doc.changed = true;
  }

  #winWhole(doc: WorkDoc, op: Operation, edit: Edit): void {
    this.#change(doc);
    if (op.op === 'delete') doc.delete();
    else if (op.op === 'patch') {
      doc.revive();
      for (const { name, key, value } of members(op.body!)) doc.set(name, key, value === 'null' ? null : value);
    } else doc.become(op.body!);
    doc.whole = edit.stamp;
    doc.stamps.clear();
  }

  #lww(doc: WorkDoc, op: Operation, edit: Edit): void {
    if (!doc.exists || edit.isLater(doc.whole, this.#isArrival(doc))) this.#winWhole(doc, op, edit);
    else this.#lost = true;
  }

  #append(doc: WorkDoc, op: Operation, edit: Edit): void {
    if (op.op === 'append') {
      if (!doc.exists) this.#winWhole(doc, op, edit);
      else if (!doc.live || doc.body !== op.body) throw new Rejected('precondition');
      return;
    }
    if (!doc.exists) throw new Rejected('precondition');
    const isAuthors = doc.author === undefined || doc.author === this.push.user;
    if (!isAuthors && !(op.op === 'delete' && this.push.role === 'owner')) throw new Rejected('forbidden');
    this.#lww(doc, op, edit);
  }

  #manual(doc: WorkDoc, op: Operation, edit: Edit): void {
    const rev = doc.changed ? this.push.rev : doc.rev;
    if (doc.exists && edit.base < rev && !edit.isSameDevice(doc.whole)) this.#conflict = true;
    if (op.op in ON_FIELD) this.#onField(doc, op, edit, false);
    else this.#winWhole(doc, op, edit);
  }

  #merge(doc: WorkDoc, op: Operation, edit: Edit): void {
    if (op.op in ON_FIELD) return this.#onField(doc, op, edit, true);
    const arrival = this.#isArrival(doc), coversAll = op.op !== 'patch', wasDead = !doc.live;
    const said = new Map<string, { key: string; value: string | null }>();
    if (op.op !== 'delete') for (const { name, key, value } of members(op.body!)) said.set(name, { key, value: !coversAll && value === 'null' ? null : value });
    const wholeWon = coversAll && edit.isLater(doc.whole, arrival);
    const concerned = new Set(coversAll ? [...said.keys(), ...doc.fields.keys(), ...doc.stamps.keys()] : said.keys());
    const wins = new Map([...concerned].map((name) => [name, edit.isLater(doc.stampOf(name), arrival)]));
    const brings = [...said].some(([name, { value }]) => wins.get(name) && value !== null);
    if ([...said.keys()].some((name) => !wins.get(name)) || (coversAll && !wholeWon)) this.#lost = true;
    if (wasDead && !wholeWon && !brings) return;
    const outlived = coversAll && [...doc.fields.keys()].some((name) => !said.has(name) && !wins.get(name));
    for (const name of concerned) {
      if (!wins.get(name)) continue;
      const { key, value } = said.get(name) ?? { key: '', value: null };
      doc.set(name, key, value);
      doc.known.delete(name);
      if (wholeWon) doc.stamps.delete(name);
      else doc.stamps.set(name, edit.stamp);
    }
    if (wholeWon || [...wins.values()].some(Boolean)) this.#change(doc);
    if (wholeWon) doc.whole = edit.stamp;
    if (op.op === 'delete') {
      if (wholeWon && doc.fields.size === 0) doc.delete();
      return;
    }
    if (wasDead && doc.changed) doc.revive();
    if (op.op === 'put' && [...said.keys()].every((name) => wins.get(name)) && !outlived) doc.become(op.body!);
  }

  #onField(doc: WorkDoc, op: Operation, edit: Edit, merges: boolean): void {
    if (merges && !edit.isLater(doc.whole, this.#isArrival(doc))) {
      this.#lost = true;
      return;
    }
    const name = op.field!, becomes = ON_FIELD[op.op]!(doc.fields.get(name)?.value, op);
    if (becomes === null) return;
    this.#change(doc);
    doc.revive();
    doc.set(name, op.fieldKey ?? JSON.stringify(name).slice(1, -1), becomes);
    if (!merges) {
      doc.whole = edit.stamp;
      return;
    }
    const own = doc.stamps.get(name), now = own ?? doc.whole, isLater = compareStamps(edit.stamp, now) >= 0;
    if (isLater) doc.known.set(name, edit.stamp.rev);
    else if (!own || !doc.known.has(name)) doc.known.set(name, now.rev);
    doc.stamps.set(name, { ...(isLater ? edit.stamp : now), rev: edit.stamp.rev });
  }
}

/** Resolves a push on the documents that it names. `window` (ms): tombstones older than that do not exist any more. */
export function resolve(push: Push, before: StoredDoc[], rulesOf: (collection: string) => Rules, window: number): Resolution {
  return new Resolver(push, before, rulesOf, window).run();
}

/* A device doesn't know its collections' rules: whatever belongs to one of them is shown. */
function likelyRules(ops: Operation[]): (collection: string) => Rules {
  const appends = new Set(ops.filter((op) => op.op === 'append').map((op) => op.collection));
  return (collection) => ({ policy: appends.has(collection) ? 'append' : 'merge' });
}

/** The documents that a device's own unconfirmed push changes, as its user sees them; none if it is bound to be refused. */
export function optimistic(ops: Operation[], user: string, head: number, before: StoredDoc[], time: number): WorkDoc[] {
  const plain = ops.map(({ age: _, base: __, ...op }) => op);
  const push = { user, device: 'self', role: 'owner', rev: head + 1, head, time, last: null, clock: time, ops: plain };
  const { status, docs } = resolve(push, before, likelyRules(ops), Infinity);
  return status === 'changed' ? docs.filter((doc) => doc.changed) : [];
}

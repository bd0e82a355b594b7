/* Frames as text: in, with bodies left as their bytes; out, with the operations' values as they were written. */
import { RawJson, items, members, stringify } from './json.js';
import type { OpName, Operation } from './resolve.js';
import { LIMITS, TidegateError, type Frame, type OutboxRecord, type WireDoc } from './types.js';

function readDoc(text: string): WireDoc {
  const doc: Record<string, unknown> = {};
  for (const { name, value } of members(text)) doc[name] = name === 'body' ? value : JSON.parse(value);
  return doc as unknown as WireDoc;
}

/** A frame, or an element of a sync's lists: `docs` keep their bodies' text. */
export function readFrame(text: string): Frame {
  if (!text.includes('"docs"')) return JSON.parse(text) as Frame;
  const frame: Record<string, unknown> = {};
  for (const { name, value } of members(text)) frame[name] = name === 'docs' ? items(value).map(readDoc) : JSON.parse(value);
  return frame as unknown as Frame;
}

/** The frames of one message. */
export function readFrames(message: string): Frame[] {
  return message.split('\n').filter((line) => line.trim() !== '').map(readFrame);
}

/** An operation as an app writes it: values instead of texts. */
export interface OperationInput {
  op: OpName; collection: string; id: string; body?: object; field?: string; by?: number | bigint; min?: number | bigint; max?: number | bigint;
  value?: number | bigint | RawJson; values?: readonly unknown[];
  /** The rev that the edit was made on; as a rule the client knows it. */
  base?: number;
  /** The push is rejected unless the document is absent, or at this rev. */
  if?: 'absent' | number;
}

const COLLECTION = /^[a-z][a-z0-9_-]{0,31}$/;
const utf8 = new TextEncoder();

/** Checks what can be checked here, so that nothing hopeless gets into the outbox. */
export function writeOperation(input: OperationInput): Operation {
  const { op, collection, id } = input, fail = (why: string): never => { throw new TidegateError('invalid', `${op} ${collection}/${id}: ${why}`); };
  if (!COLLECTION.test(collection)) fail('not a collection\'s name');
  const bytes = utf8.encode(id).length;
  if (bytes < 1 || bytes > 128 || /[\u0000-\u001f\u007f]/.test(id)) fail('an id has 1 to 128 bytes, none a control');
  const made: Operation = { op, collection, id };
  if (input.base !== undefined) made.base = input.base;
  if (input.if !== undefined) made.if = input.if;
  if (op === 'put' || op === 'patch' || op === 'append') {
    made.body = stringify(input.body ?? fail('needs a body'));
    if (!made.body.startsWith('{')) fail('a body is an object');
    if (utf8.encode(made.body).length > LIMITS.document) throw new TidegateError('too_large', `${collection}/${id}`);
  } else if (op !== 'delete') {
    made.field = input.field ?? fail('needs a field');
    if (op === 'incr') made.by = stringify(input.by ?? 1);
    for (const bound of ['min', 'max'] as const) if (op === 'incr' && input[bound] !== undefined) made[bound] = stringify(input[bound]);
    if (op === 'max') made.value = stringify(input.value ?? fail('needs a value'));
    if (op === 'add' || op === 'remove') made.values = (input.values ?? fail('needs values')).map(stringify);
  }
  return made;
}

function encodeOperation(op: Operation, age: number | null, stale: boolean): string {
  const parts = [`"op":"${op.op}"`, `"collection":"${op.collection}"`, `"id":${JSON.stringify(op.id)}`];
  if (age !== 0) parts.push(`"age":${age}`);
  if (op.base !== undefined) parts.push(`"base":${stale ? 0 : op.base}`);
  if (op.if !== undefined) parts.push(`"if":${JSON.stringify(op.if)}`);
  if (op.field !== undefined) parts.push(`"field":${JSON.stringify(op.field)}`);
  for (const name of ['body', 'by', 'min', 'max', 'value'] as const) if (op[name] !== undefined) parts.push(`"${name}":${op[name]}`);
  if (op.values !== undefined) parts.push(`"values":[${op.values.join(',')}]`);
  return `{${parts.join(',')}}`;
}

/** A push as it goes out now. */
export function encodePush(push: OutboxRecord, after: number, known: number, age: number | null): string {
  const ops = push.ops.map((op) => encodeOperation(op, age, push.stale)).join(',');
  return `{"type":"push","id":${push.id},"after":${after},"space":${JSON.stringify(push.space)},"known":${known},"ops":[${ops}]}`;
}

/** About how many bytes a push takes. */
export function pushBytes(ops: Operation[]): number { return ops.reduce((sum, op) => sum + utf8.encode(encodeOperation(op, 0, false)).length, 0); }

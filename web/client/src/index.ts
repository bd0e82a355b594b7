/* @tidegate/client: a device of Tidegate in the browser. docs/web.md tells how to use it. */
export { createClient, Client, type ClientOptions, type Status, type Write } from './client.js';
export type { Refused } from './keeper.js';
export { Batch, Collection, DocRef, newId, Query, Receipts, Space, type QueryOptions } from './space.js';
export { raw, RawJson, parse, stringify } from './json.js';
export { TidegateError, type Outcome, type Person, type Frame, type WireDoc } from './types.js';
export type { Doc, Snapshot } from './view.js';
export type { OperationInput } from './wire.js';
export type { Operation, OpName } from './resolve.js';
export type { OpenOptions } from './session.js';
export type { Clock } from './clock.js';
export type { Store } from './store.js';

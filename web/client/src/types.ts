/* What a device keeps, and what it tells its app. The records of the store are these, as they stand.
 *
 * INVARIANTS
 * 1. A push leaves `outbox` only in the transaction that takes in its outcome, and with the cursor that covers it.
 * 2. Each transaction that changes a space raises its `seq` by one: whoever holds a copy in memory sees what it missed.
 * 3. A document belongs to the space's present `run` or waits to be dropped at the end of a reset.
 */
import type { Operation } from './resolve.js';

/** The device itself: one row. */
export interface DeviceRecord {
  key: 'device';
  device: string;          /* the id it made for itself */
  user: string | null;     /* whose device it is, once a gateway has said so */
  log: string | null;      /* the log that the copies were made under */
  next: number;            /* the next push's id */
  skew: number | null;     /* the server's clock less the wall clock, as of the last welcome */
}

/** How far a space has got. */
export interface SpaceRecord {
  space: string;
  seq: number;
  cursor: string | null;
  last: number;                    /* the greatest id of this device's pushes here, 0: none */
  newest: number;                  /* the greatest rev that the stream told */
  ahead: number;                   /* the greatest rev that a history or a result brought */
  window: number;                  /* s, 0: not told yet */
  run: number;                     /* which run the documents belong to */
  resetting: boolean;              /* a run from nothing is under way */
  synced: boolean;                 /* a whole run has been taken in */
  sums: Record<string, string>;    /* by collection, over the documents of `run` */
  packed: number;                  /* the `seq` that its packs hold the documents of, 0: it has none */
  partial: Record<string, number>; /* collections that a tail left something out of: at most what was born before this rev */
}

/** A document as the stream gave it. */
export interface DocRecord {
  space: string; collection: string; id: string;
  rev: number; time: number; user: string;
  body?: string; deleted?: boolean; born?: number;
  hash: string; /* its part of the sum, empty for a tombstone */
  run: number;
  seq: number; /* of the transaction that wrote it */
}

/** Many documents as one text. A store gives ten thousand rows ten times slower than forty: packs are read, and what changed since. */
export interface PackRecord { space: string; n: number; docs: string }

/** A push without its outcome. */
export interface OutboxRecord {
  space: string; id: number;
  after: number;             /* the id of the push to this space before it */
  ops: Operation[];
  life: string;              /* of the page that made it: `mono` counts from there */
  mono: number; wall: number; /* ms, as both clocks stood */
  at: number | null;         /* ms of the server's clock, where the difference was known */
  sent: number | null;       /* when first sent at the latest, ms of the server's clock; null: never */
  log: string | null;        /* to which log */
  stale: boolean;            /* made before a reset: its bases mean nothing any more */
  acked?: boolean;           /* in memory alone */
}

/** A push that was not applied, kept until its user has settled it. */
export interface RefusedRecord {
  key?: number;
  space: string; id: number;
  /** `conflict`: changed meanwhile; `rejected`: see `code`; `unknown`: whether it took effect can't be known any more. */
  status: 'conflict' | 'rejected' | 'unknown';
  code: string;
  message: string;
  ops: Operation[];
  /** The server's documents for what it named, where it told them. */
  docs: WireDoc[];
  /** ms of the wall clock, when it was refused. */
  time: number;
}

/** A document in a frame: `body` is its text. */
export interface WireDoc { collection: string; id: string; rev: number; time: number; user: string; body?: string; deleted?: boolean; born?: number }

export interface Page {
  type: 'page'; ref?: number | string; space: string; from?: string | null; to?: string; docs: WireDoc[]; more: boolean;
  pushed?: number; reset?: boolean; refused?: Result[]; sum?: Record<string, string>; window?: number; tail?: Record<string, number>; at?: number;
}
export interface Update {
  type: 'update'; space: string; prev: string; cursor: string; rev: number; time: number; user: string; device: string; push: number; docs?: WireDoc[];
}
export interface Result {
  type?: 'result'; id: number; space: string; status: 'applied' | 'conflict' | 'rejected'; at?: number; code?: string; message?: string; docs?: WireDoc[];
}
export interface Current { space: string; cursor: string; pushed: number; window: number }
export interface Person { user: string; devices: number; state: 'online' | 'idle'; meta?: unknown }

/** A frame of the gateway, its bodies as text. */
export type Frame =
  | { type: 'welcome'; session: string; user: string; device: string; log: string; time: number; heartbeat: number; limits: Record<string, number> }
  | { type: 'current'; ref: number; spaces: Current[] } | Page | Update | (Result & { type: 'result' })
  | { type: 'ack'; space: string; id: number }
  | { type: 'closed'; space: string; code: string; purge?: boolean; ref?: number }
  | { type: 'presence'; space: string; here?: Person[]; count?: number; join?: Person[]; leave?: Person[] }
  | { type: 'signal'; space: string; user: string; device: string; body: unknown }
  | { type: 'error'; code: string; message?: string; ref?: number; id?: number; space?: string; retry?: number; after?: number }
  | { type: 'bye'; reason: string; retry: number } | { type: 'pong' };

/** What became of a push. `lost`: applied, but a later edit won. */
export interface Outcome { space: string; id: number; status: 'applied' | 'lost' | 'conflict' | 'rejected' | 'unknown'; code?: string; message?: string }

/** What one transaction changed in one space: the news that every tab's copy is kept up with. */
export interface Delta {
  space: string;
  state: SpaceRecord;
  docs: DocRecord[];
  dropped: [collection: string, id: string][];
  queued: OutboxRecord[];
  outcomes: Outcome[];
  refused: RefusedRecord[];
}

/** An operating failure, by the code that the protocol or the store gives it. */
export class TidegateError extends Error {
  constructor(readonly code: string, message: string) {
    super(message);
    this.name = 'TidegateError';
  }
}

/* The bounds of what an app can make grow. */
export const LIMITS = {
  outbox: 10000,         /* pushes waiting: a further write is refused, `outbox_full` */
  document: 262144,      /* bytes of a body: `too_large` */
  frame: 1048576,        /* bytes of one push's operations: `too_large` */
  ops: 512,              /* operations of one push: `too_large` */
  inflight: 32,          /* pushes to a space sent and unanswered; the gateway allows 64 past `known` */
  batch: 256,            /* frames taken in by one transaction */
  queue: 20000,          /* frames that wait to be taken in: past it the connection ends, and goes on from the cursors */
  pack: 256,             /* documents of one pack */
  fresh: 512,            /* documents changed since the packs were made, at which they are made anew: these and a quarter of all */
  refused: 1000,         /* refused records kept: the oldest goes */
};

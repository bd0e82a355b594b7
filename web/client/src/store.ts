/* The device's store: six tables, changed in transactions. IndexedDB; memory.ts has one in memory.
 *
 *   device   'device'                       DeviceRecord
 *   spaces   space                          SpaceRecord
 *   docs     [space, collection, id]        DocRecord
 *   packs    [space, n]                     PackRecord: copies of documents, to read them by the hundred
 *   outbox   [space, id]                    OutboxRecord
 *   refused  key, counted                   RefusedRecord
 *
 * A `strict` transaction is on the disk when it resolves: the outbox and outcomes go by it. A `relaxed` one may be lost
 * with the machine's power, whole: then its cursor is lost with it, and the stream tells the same again.
 * A transaction whose work throws changes nothing. Work must await nothing but its transaction. Where the browser closed
 * the store under it (storage deleted, a crash of its own), nothing of that try was kept and the work is done again; a
 * browser that is busy deleting refuses to open for a moment, and may leave a transaction without any end but `close`.
 */
export type Table = 'device' | 'spaces' | 'docs' | 'packs' | 'outbox' | 'refused';
export type Key = string | number | (string | number)[];

export interface Transaction {
  get<T>(table: Table, key: Key): Promise<T | undefined>;
  /** All rows whose key begins with `prefix`, by key. */
  all<T>(table: Table, ...prefix: string[]): Promise<T[]>;
  /** The documents of a space that were written by a later transaction than that. */
  since<T>(space: string, seq: number): Promise<T[]>;
  put(table: Table, row: object): Promise<unknown>;
  delete(table: Table, key: Key): Promise<unknown>;
  deleteAll(table: Table, ...prefix: string[]): Promise<unknown>;
}

type Mode = 'read' | 'relaxed' | 'strict';

export interface Store {
  transact<T>(mode: Mode, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Called when the store was deleted or closed under us; the next transaction opens it anew, empty. */
  onLost: () => void;
  close(): Promise<void>;
  /** Deletes it and all that it holds. */
  destroy(): Promise<void>;
}

/** @internal The members that a row's key is made of. */
export const KEYS: Record<Table, string | string[]> =
  { device: 'key', spaces: 'space', docs: ['space', 'collection', 'id'], packs: ['space', 'n'], outbox: ['space', 'id'], refused: 'key' };
/** @internal */
export const TABLES = Object.keys(KEYS) as Table[];
const VERSION = 1, AGAIN_MS = 20, AGAIN_MS_MAX = 1280;
/* What a transaction or an open ends with when the browser closes the store. */
const CLOSED = ['AbortError', 'InvalidStateError', 'UnknownError'];
const aborted = () => new DOMException('aborted', 'AbortError');

/* `ends`: what ends each transaction under way, should there be no other end. */
interface Opened { db: IDBDatabase; ends: Set<(error: DOMException) => void> }

/* An array sorts behind every string and number. */
const rangeOf = (prefix: string[]) => (prefix.length > 0 ? IDBKeyRange.bound(prefix, [...prefix, []]) : undefined);

function promise<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** The store of a device in IndexedDB. */
export function indexedStore(name: string): Store {
  let opening: Promise<Opened> | null = null;
  const open = () => {
    if (opening) return opening;
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      for (const table of TABLES) {
        const made = request.result.createObjectStore(table, { keyPath: KEYS[table], autoIncrement: table === 'refused' });
        if (table === 'docs') made.createIndex('seq', ['space', 'seq']);
      }
    };
    const made = promise(request).then((db): Opened => {
      const ends: Opened['ends'] = new Set();
      db.onclose = () => {
        lose(made);
        for (const end of ends) end(aborted());
      };
      db.onversionchange = () => lose(made);
      return { db, ends };
    });
    made.catch(() => { opening = null; });
    return (opening = made);
  };
  const lose = (made: Promise<Opened>) => {
    void made.then(({ db }) => db.close(), () => { /* it never was open */ });
    if (opening !== made) return;
    opening = null;
    store.onLost();
  };
  const attempt = async <T>({ db, ends }: Opened, mode: Mode, work: (tx: Transaction) => Promise<T>): Promise<T> => {
    const tx = db.transaction(TABLES, mode === 'read' ? 'readonly' : 'readwrite', { durability: mode === 'read' ? 'default' : mode });
    let end!: (error: DOMException | null) => void;
    const ended = new Promise<DOMException | null>((resolve) => { end = resolve; });
    tx.oncomplete = () => end(null);
    tx.onabort = () => end(tx.error ?? aborted());
    ends.add(end);
    const table = (one: Table) => tx.objectStore(one);
    const write = (request: IDBRequest) => {
      const written = promise(request);
      written.catch(() => { /* it ends the transaction, which tells */ });
      return written;
    };
    try {
      const made = work({
        get: (one, key) => promise(table(one).get(key)),
        all: (one, ...prefix) => promise(table(one).getAll(rangeOf(prefix))),
        since: (space, seq) => promise(table('docs').index('seq').getAll(IDBKeyRange.bound([space, seq], [space, []], true))),
        put: (one, row) => write(table(one).put(row)),
        delete: (one, key) => write(table(one).delete(key)),
        deleteAll: (one, ...prefix) => write(table(one).delete(rangeOf(prefix)!)),
      });
      const result = await Promise.race([made, ended.then((failed) => (failed ? Promise.reject(failed) : made))]), failed = await ended;
      if (failed) throw failed;
      return result;
    } catch (error) {
      try { tx.abort(); } catch { /* it has ended already */ }
      const cause = await ended;
      throw cause && cause.name !== 'AbortError' ? cause : error; /* an abort of our own says less than what we threw */
    } finally {
      ends.delete(end);
    }
  };
  const store: Store = {
    onLost: () => {},
    async transact(mode, work) {
      for (let wait = AGAIN_MS; ; wait *= 2) {
        const made = open();
        try {
          return await attempt(await made, mode, work);
        } catch (error) {
          if (!(error instanceof DOMException && CLOSED.includes(error.name)) || wait > AGAIN_MS_MAX) throw error;
        }
        lose(made);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    },
    async close() {
      const made = await opening?.catch(() => null);
      opening = null;
      made?.db.close();
    },
    async destroy() {
      await this.close();
      await promise(indexedDB.deleteDatabase(name));
    },
  };
  return store;
}

/* A store in memory, for tests and for pages that shall leave nothing behind: `createClient({ store: memoryStore(), .. })`.
 * Its transactions run one at a time; one that throws is undone. Rows are copied on their way in and out.
 */
import { KEYS, TABLES, type Key, type Store, type Table, type Transaction } from './store.js';

export type { Store } from './store.js';

/** A store that lives as long as its page. */
export function memoryStore(): Store {
  const tables = new Map(TABLES.map((table) => [table, new Map<string, object>()]));
  let turn: Promise<unknown> = Promise.resolve(), count = 0;
  const keyOf = (table: Table, row: Record<string, unknown>) => {
    const path = KEYS[table];
    return JSON.stringify(Array.isArray(path) ? path.map((part) => row[part]) : [row[path]]);
  };
  const run = async <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => {
    const kept = new Map([...tables].map(([table, rows]) => [table, new Map(rows)]));
    const startsWith = (prefix: string[]) => JSON.stringify(prefix).slice(0, -1) + (prefix.length > 0 ? ',' : '');
    const matching = (table: Table, prefix: string[]) => [...tables.get(table)!].filter(([key]) => key.startsWith(startsWith(prefix)));
    const order = (a: Key, b: Key): number => (Array.isArray(a) && Array.isArray(b) ? a.map((part, i) => order(part, b[i]!)).find((n) => n !== 0) ?? 0 : a < b ? -1 : a > b ? 1 : 0);
    try {
      return await work({
        get: async (table, key) => structuredClone(tables.get(table)!.get(JSON.stringify(Array.isArray(key) ? key : [key]))) as never,
        all: async (table, ...prefix) => matching(table, prefix).sort(([a], [b]) => order(JSON.parse(a) as Key, JSON.parse(b) as Key)).map(([, row]) => structuredClone(row)) as never,
        since: async (space, seq) => matching('docs', [space]).map(([, row]) => structuredClone(row) as { seq: number }).filter((row) => row.seq > seq) as never,
        put: async (table, row) => {
          const copy = structuredClone(row) as Record<string, unknown>;
          if (table === 'refused') copy.key ??= ++count;
          tables.get(table)!.set(keyOf(table, copy), copy);
          return copy.key;
        },
        delete: async (table, key) => tables.get(table)!.delete(JSON.stringify(Array.isArray(key) ? key : [key])),
        deleteAll: async (table, ...prefix) => matching(table, prefix).forEach(([key]) => tables.get(table)!.delete(key)),
      });
    } catch (error) {
      for (const [table, rows] of kept) tables.set(table, rows);
      throw error;
    }
  };
  return {
    onLost: () => {},
    transact: (_, work) => {
      const result = turn.then(() => run(work));
      turn = result.catch(() => null);
      return result;
    },
    close: async () => {},
    destroy: async () => tables.forEach((rows) => rows.clear()),
  };
}

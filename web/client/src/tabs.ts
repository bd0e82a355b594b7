/* The tabs of one device: which of them leads, and what they tell each other.
 *
 * The leader holds a Web Lock for as long as it lives; the browser hands the lock on the moment its tab dies. Each tab
 * holds one of its own too, by which the leader knows that it is there still: one that crashed says no `leave`. Whatever
 * must outlive a tab is in the store; the channel carries news and may lose any of it with the tab that spoke.
 */
import type { ConnectionState } from './connection.js';
import type { OpenOptions } from './session.js';
import type { Delta, Person } from './types.js';

/** What tabs say to each other. */
export type Message =
  | { kind: 'deltas'; deltas: Delta[] }
  | { kind: 'settled'; key: number }                               /* a refused record is gone */
  | { kind: 'lead' }                                               /* I lead now: who is there? */
  | { kind: 'hello'; life: string; mono: number; wants: [string, OpenOptions][] }
  | { kind: 'leave'; life: string }
  | { kind: 'pause'; isPaused: boolean }
  | { kind: 'status'; state: ConnectionState; code: string | null; message: string; live: string[] }
  | { kind: 'acked'; space: string; id: number }
  | { kind: 'presence'; space: string; here: Person[]; count: number }
  | { kind: 'signal'; space: string; user: string; device: string; body: unknown }
  | { kind: 'say'; space: string; body: unknown }                  /* a signal, to be sent */
  | { kind: 'history'; life: string; call: number; space: string; collection: string; before: number | undefined; limit: number }
  | { kind: 'answer'; life: string; call: number; code: string | null; more: boolean; isKept: boolean; count: number };

export class Tabs {
  readonly #channel: BroadcastChannel | null = null;
  #release!: () => void;
  readonly #held = new Promise<void>((resolve) => { this.#release = resolve; });
  readonly #abort = new AbortController();
  /** Holds its own lock: may say hello. */
  isThere = false;

  constructor(private readonly name: string, private readonly life: string, isShared: boolean, hear: (message: Message) => void, private readonly lead: () => void) {
    if (isShared && typeof BroadcastChannel !== 'undefined') {
      this.#channel = new BroadcastChannel(`tidegate:${name}`);
      this.#channel.onmessage = ({ data }) => hear(data as Message);
      /* A tab that waits must not keep a process alive that has nothing else to do. */
      (this.#channel as unknown as { unref?: () => void }).unref?.();
    }
  }
  /** Leads as soon as no other tab does; until then it `follows`. Where there are no locks, it leads at once. */
  elect(follow: () => void): void {
    if (!this.#channel || typeof navigator === 'undefined' || !navigator.locks) return this.lead();
    this.#take('', () => {
      this.lead();
      return this.#held;
    });
    this.#take(this.life, () => {
      this.isThere = true;
      follow();
      return this.#held;
    });
  }
  /** Calls once the tab of that life is gone, however it went. It said hello, so it holds its lock. */
  watch(life: string, gone: () => void): void { this.#take(life, gone); }
  #take(life: string, then: () => void): void {
    void navigator.locks.request(lockName(this.name) + life, { signal: this.#abort.signal }, then).catch(() => { /* closed before */ });
  }
  tell(message: Message): void { this.#channel?.postMessage(message); }
  close(): void {
    this.#abort.abort();
    this.#release();
    this.#channel?.close();
  }
}

export function lockName(name: string): string { return `tidegate:${name}`; }

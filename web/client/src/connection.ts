/* The leading tab's wire: one WebSocket, made again with backoff, and silence that is asked about.
 *
 * STATES  stopped: until started again. waiting: a timer will connect. connecting: token, socket, hello. up: welcomed.
 *
 * INVARIANTS
 * 1. Every timer of `later` belongs to the connection that stood when it was set, and dies with it.
 * 2. A connection that ends soon after its welcome counts as a failure: the next one waits longer.
 */
import type { Reading, Times } from './clock.js';
import { LIMITS, TidegateError, type DeviceRecord, type Frame } from './types.js';
import { readFrames } from './wire.js';

export type ConnectionState = 'stopped' | 'waiting' | 'connecting' | 'up';

/** What the connection asks of those above it. */
export interface ConnectionHost {
  connect(): WebSocket;
  readonly name: string;
  readonly times: Times;
  token(isExpired: boolean): Promise<string>;
  device(): DeviceRecord;
  state(state: ConnectionState, error: TidegateError | null): void;
  frame(isOut: boolean, text: string, frame?: Frame): void;
}

const BACKOFF_MS = 400, BACKOFF_MS_MAX = 20000, STEADY_MS = 3000, PROBE_MS = 5000, HELLO_MS = 15000;

/* Close codes after which one does not come back by oneself. */
const FINAL: Record<number, string> = { 4400: 'bad_frame', 4403: 'forbidden', 4409: 'replaced' };

export class Connection {
  socket: WebSocket | null = null;
  state: ConnectionState = 'stopped';
  /** The last token was refused. */
  isTokenBad = false;
  /** Not again before then, as a `bye` said. */
  notBefore = 0;
  /** The clocks when hello went out, and when its answer came. */
  greeted: Reading | null = null;
  answered: Reading | null = null;
  /** Frames that wait to be taken in. */
  queue: Frame[] = [];
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #heard = 0;
  #tried = 0;

  constructor(private readonly host: ConnectionHost, private readonly onFrames: () => void, private readonly onEnd: () => void) {}

  start(): void {
    if (this.state !== 'stopped') return;
    this.#attempt = 0;
    void this.#connect();
  }
  stop(error: TidegateError | null = null): void {
    clearTimeout(this.#retryTimer);
    this.#end();
    this.turn('stopped', error);
  }
  /** The network may be back, or gone: find out now. */
  wake(): void {
    if (this.state === 'waiting') {
      this.#attempt = 0;
      void this.#connect();
    } else if (this.state === 'up') this.#probe();
  }

  /** Tells its state, and a failure that does not end it. */
  turn(state: ConnectionState, error: TidegateError | null = null): void {
    this.state = state;
    this.host.state(state, error);
  }
  /** Unless the connection ends before. */
  later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }
  async #connect(): Promise<void> {
    clearTimeout(this.#retryTimer);
    const wait = this.notBefore - this.host.times.mono();
    if (wait > 0) return this.#retry(null);
    this.turn('connecting');
    const tried = ++this.#tried;
    this.later(HELLO_MS, () => { if (this.state === 'connecting') this.drop(new TidegateError('unreachable', 'no answer')); });
    let token: string;
    try {
      token = await this.host.token(this.isTokenBad);
    } catch (error) {
      if (tried === this.#tried && this.state === 'connecting') this.#retry(new TidegateError('unauthenticated', `no token: ${String(error)}`));
      return;
    }
    if (tried !== this.#tried || this.state !== 'connecting') return;
    const socket = (this.socket = this.host.connect());
    socket.onopen = () => {
      const { device } = this.host.device();
      const text = JSON.stringify({ type: 'hello', protocol: 1, token, device, client: this.host.name });
      this.greeted = this.host.times.read();
      socket.send(text);
      this.host.frame(true, text.replace(token, '…'));
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      const read = this.host.times.read();
      this.#heard = read.mono;
      if (this.state === 'connecting') this.answered = read;
      const lines = (data as string).split('\n').filter(Boolean);
      try {
        readFrames(data as string).forEach((frame, i) => {
          this.host.frame(false, lines[i]!, frame);
          this.queue.push(frame);
        });
      } catch (error) {
        return this.drop(new TidegateError('bad_frame', String(error)));
      }
      if (this.queue.length > LIMITS.queue) this.drop(new TidegateError('overrun', 'more comes than can be stored'));
      else this.onFrames();
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.socket) return;
      if (code === 4401) this.isTokenBad = true;
      if (code in FINAL) this.stop(new TidegateError(FINAL[code]!, reason || `closed with ${code}`));
      else this.drop(code === 1000 || code === 1001 || code === 1006 || code === 1012 ? null : new TidegateError(`closed_${code}`, reason));
    };
  }
  /* Everything that belongs to the connection goes with it. */
  #end(): void {
    const socket = this.socket;
    this.socket = null;
    this.#tried++;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.queue = [];
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.onEnd();
  }
  /** Ends the connection and makes another. */
  drop(error: TidegateError | null): void {
    this.#end();
    this.#retry(error);
  }
  #retry(error: TidegateError | null): void {
    const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** this.#attempt++), wait = this.notBefore - this.host.times.mono();
    this.turn('waiting', error);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => void this.#connect(), Math.max(wait, most * (0.5 + Math.random() / 2)));
  }
  send(text: string): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(text);
    this.host.frame(true, text);
    return true;
  }
  sendFrame(frame: object): boolean { return this.send(JSON.stringify(frame)); }

  /* A browser doesn't show the gateway's pings: silence is asked about. */
  #probe(): void {
    const asked = this.host.times.mono();
    if (!this.sendFrame({ type: 'ping' })) return;
    this.later(PROBE_MS, () => { if (this.#heard < asked) this.drop(new TidegateError('unreachable', 'no answer')); });
  }
  /** Welcomed. */
  up(heartbeat: number): void {
    this.later(STEADY_MS, () => { this.#attempt = 0; });
    this.turn('up');
    this.#watch(heartbeat);
  }
  #watch(heartbeat: number): void {
    this.later(heartbeat, () => {
      if (this.host.times.mono() - this.#heard >= heartbeat) this.#probe();
      this.#watch(heartbeat);
    });
  }
}

/* How old an edit is, whatever anybody does to the wall clock.
 *
 * Within one page's life the age is a difference of the clock that does not jump. A machine's sleep may stop that clock;
 * so where the wall clock is seen not to have been set (its difference to the server's stayed), the greater of both holds.
 * Tabs tell the leading one how their clocks stand to its own. Past the page's life an age comes from the server's time
 * as it was estimated at the edit; without that from the wall clock alone; and if that went back, it is not known.
 */
import type { DeviceRecord, OutboxRecord } from './types.js';

/** Where the time comes from; a test or a demonstration puts its own here. */
export interface Clock {
  /** ms of a clock that never jumps. */
  mono(): number;
  /** ms since 1970, as the machine believes. */
  wall(): number;
}

export interface Reading { mono: number; wall: number }

export const systemClock: Clock = { mono: () => performance.now(), wall: () => Date.now() };

const SET_MS = 10000; /* a wall clock that moved by more was set */

export class Times {
  readonly life = crypto.getRandomValues(new Uint32Array(2)).join('-');
  /* our clock less that of another page, by its life */
  readonly #others = new Map<string, number>([[this.life, 0]]);
  #serverLessMono: number | null = null;
  #isWallSteady = false;

  constructor(private readonly clock: Clock) {}

  /** Both clocks now, for `welcome`: taken when a frame arrives, for it may wait before it is taken in. */
  read(): Reading { return { mono: this.clock.mono(), wall: this.clock.wall() }; }
  /** A welcome said the server's time, which was between our hello and its arrival; the new difference to the wall clock. */
  welcome(time: number, skew: number | null, sent: Reading, heard: Reading): number {
    const then = time + Math.min(Math.max(0, heard.mono - sent.mono) / 2, SET_MS / 2), now = then - heard.wall;
    this.#serverLessMono = then - heard.mono;
    this.#isWallSteady = skew !== null && Math.abs(now - skew) < SET_MS;
    return now;
  }
  /** Another page's clock stands there now. */
  meet(life: string, mono: number): void {
    if (life !== this.life) this.#others.set(life, this.clock.mono() - mono);
  }
  mono(): number { return this.clock.mono(); }
  wall(): number { return this.clock.wall(); }
  /** The server's time, as far as it is known. */
  server(device: DeviceRecord): number | null {
    if (this.#serverLessMono !== null) return this.clock.mono() + this.#serverLessMono;
    return device.skew === null ? null : this.clock.wall() + device.skew;
  }
  stamp(device: DeviceRecord): Pick<OutboxRecord, 'life' | 'mono' | 'wall' | 'at'> {
    return { life: this.life, mono: this.clock.mono(), wall: this.clock.wall(), at: this.server(device) };
  }
  /** ms since the edit; null: not known. */
  age(push: OutboxRecord, device: DeviceRecord): number | null {
    const byWall = this.clock.wall() - push.wall, offset = this.#others.get(push.life), server = this.server(device);
    let age = byWall;
    if (offset !== undefined) age = Math.max(this.clock.mono() - push.mono - offset, this.#isWallSteady ? byWall : 0);
    else if (push.at !== null && server !== null) age = Math.max(0, server - push.at);
    return age < 0 ? null : Math.round(age);
  }
}

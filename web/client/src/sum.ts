/* XXH64 (seed 0; Collet, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) and the sums of a space.
 *
 * In halves of 32 bits: a BigInt a step made 10,000 documents cost a second. A collection's sum is the exclusive or of
 * its live documents' hashes, so it is kept up a document at a time and never taken anew.
 */

/* A 64-bit word as two of 32 bits; mutable, so that no step allocates. */
interface Word { hi: number; lo: number }

const P1: Word = { hi: 0x9e3779b1, lo: 0x85ebca87 }, P2: Word = { hi: 0xc2b2ae3d, lo: 0x27d4eb4f }, P3: Word = { hi: 0x165667b1, lo: 0x9e3779f9 };
const P4: Word = { hi: 0x85ebca77, lo: 0xc2b2ae63 }, P5: Word = { hi: 0x27d4eb2f, lo: 0x165667c5 };

function add(a: Word, hi: number, lo: number): void {
  const low = (a.lo >>> 0) + (lo >>> 0);
  a.hi = (a.hi + hi + (low > 0xffffffff ? 1 : 0)) | 0;
  a.lo = low | 0;
}

function multiply(a: Word, b: Word): void {
  const a0 = a.lo & 0xffff, a1 = a.lo >>> 16, b0 = b.lo & 0xffff, b1 = b.lo >>> 16;
  const low = a0 * b0, middle = a1 * b0 + (low >>> 16), cross = a0 * b1 + (middle & 0xffff);
  const carried = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000);
  a.hi = (carried + Math.imul(a.hi, b.lo) + Math.imul(a.lo, b.hi)) | 0;
  a.lo = (cross << 16) | (low & 0xffff);
}

/* By less than 32, as all steps do. */
function rotate(a: Word, by: number): void {
  const { hi, lo } = a;
  a.hi = (hi << by) | (lo >>> (32 - by));
  a.lo = (lo << by) | (hi >>> (32 - by));
}

function exclusive(a: Word, b: Word): void { a.hi ^= b.hi; a.lo ^= b.lo; }

/* a ^= a >> by */
function fold(a: Word, by: number): void {
  const { hi, lo } = a;
  if (by >= 32) a.lo ^= hi >>> (by - 32);
  else {
    a.lo ^= (lo >>> by) | (hi << (32 - by));
    a.hi ^= hi >>> by;
  }
}

/* acc = rotate(acc + input * P2, 31) * P1 */
function round(acc: Word, hi: number, lo: number): void {
  const input: Word = { hi, lo };
  multiply(input, P2);
  add(acc, input.hi, input.lo);
  rotate(acc, 31);
  multiply(acc, P1);
}

function hex(word: Word): string {
  return (word.hi >>> 0).toString(16).padStart(8, '0') + (word.lo >>> 0).toString(16).padStart(8, '0');
}

/** XXH64 of the bytes with seed 0, as 16 hex digits. */
export function xxh64(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), length = bytes.length;
  const at = (i: number): [number, number] => [view.getInt32(i + 4, true), view.getInt32(i, true)];
  let h: Word = { ...P5 }, i = 0;
  if (length >= 32) {
    const lanes: Word[] = [{ ...P1 }, { ...P2 }, { hi: 0, lo: 0 }, { hi: 0, lo: 0 }];
    add(lanes[0]!, P2.hi, P2.lo);
    add(lanes[3]!, ~P1.hi, ~P1.lo);
    add(lanes[3]!, 0, 1);
    for (; i + 32 <= length; i += 32) lanes.forEach((lane, n) => round(lane, ...at(i + 8 * n)));
    h = { hi: 0, lo: 0 };
    lanes.forEach((lane, n) => {
      const turned = { ...lane };
      rotate(turned, [1, 7, 12, 18][n]!);
      add(h, turned.hi, turned.lo);
    });
    for (const lane of lanes) {
      const value: Word = { hi: 0, lo: 0 };
      round(value, lane.hi, lane.lo);
      exclusive(h, value);
      multiply(h, P1);
      add(h, P4.hi, P4.lo);
    }
  }
  add(h, 0, length);
  for (; i + 8 <= length; i += 8) {
    const value: Word = { hi: 0, lo: 0 };
    round(value, ...at(i));
    exclusive(h, value);
    rotate(h, 27);
    multiply(h, P1);
    add(h, P4.hi, P4.lo);
  }
  if (i + 4 <= length) {
    const value: Word = { hi: 0, lo: view.getInt32(i, true) };
    multiply(value, P1);
    exclusive(h, value);
    rotate(h, 23);
    multiply(h, P2);
    add(h, P3.hi, P3.lo);
    i += 4;
  }
  for (; i < length; i++) {
    const value: Word = { hi: 0, lo: bytes[i]! };
    multiply(value, P5);
    exclusive(h, value);
    rotate(h, 11);
    multiply(h, P1);
  }
  for (const [by, factor] of [[33, P2], [29, P3]] as const) {
    fold(h, by);
    multiply(h, factor);
  }
  fold(h, 32);
  return hex(h);
}

const encoder = new TextEncoder();

/** A live document's part of its collection's sum: of id, 0x00, rev in decimal, 0x00, body. */
export function documentHash(id: string, rev: number, body: string): string {
  return xxh64(encoder.encode(`${id}\0${rev}\0${body}`));
}

/** The sum of a collection without live documents. */
export const EMPTY_SUM = '0'.repeat(16);

/** The exclusive or of two sums. */
export function combine(a: string, b: string): string {
  const part = (from: number) => ((parseInt(a.slice(from, from + 8), 16) ^ parseInt(b.slice(from, from + 8), 16)) >>> 0).toString(16).padStart(8, '0');
  return part(0) + part(8);
}

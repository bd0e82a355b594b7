import assert from 'node:assert/strict';
import { test } from 'node:test';
import { combine, documentHash, EMPTY_SUM, xxh64 } from '../src/sum.js';

/* Of the bytes (7 i + n) mod 256, by the reference library. */
const REFERENCE: [number, string][] = [
  [0, 'ef46db3751d8e999'], [1, '8a4127811b21e730'], [3, '31d2363f52e564c9'], [4, 'b4d516af63f9c743'], [7, '2163df11c0cdf8cd'],
  [8, 'd5474d6ca50def58'], [12, 'a4743d1733af563b'], [15, '646187cf6e75240d'], [31, 'c025b4c3c4880c7a'], [32, '178ae25cee6f7994'],
  [33, '4072a28263e977ef'], [63, '47948108b5ff3162'], [64, 'cf35552f599ba94d'], [100, '3a7fdc0febf6f5dc'], [257, '861d753f05001c1d'],
];

test('xxh64 is the reference library\'s at every length of tail', () => {
  for (const [n, digest] of REFERENCE) assert.equal(xxh64(Uint8Array.from({ length: n }, (_, i) => i * 7 + n)), digest, `${n} bytes`);
});

test('a document is summed over its UTF-8, whatever its rev', () => {
  assert.equal(documentHash('käse/1', 9007199254740991, '{"text":"naïve ☕ 𝄞","n":1.10}'), 'a6756084db916e51');
});

test('what is combined twice is gone', () => {
  const a = documentHash('a', 1, '{}'), b = documentHash('b', 2, '{}');
  assert.equal(combine(combine(EMPTY_SUM, a), a), EMPTY_SUM);
  assert.equal(combine(a, b), combine(b, a));
  assert.match(combine(a, b), /^[0-9a-f]{16}$/);
});

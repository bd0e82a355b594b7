import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asInt64, compareNumbers, identity, items, members, parse, raw, stringify } from '../src/json.js';

test('members keep keys, values and white space as they stood', () => {
  const text = '{ "a" : 1.10, "b\\u0063":"x\\"}{", "d":[ 1,{"e":"]"} ] ,"f":{}}';
  assert.deepEqual(members(text), [
    { name: 'a', key: 'a', value: '1.10' }, { name: 'bc', key: 'b\\u0063', value: '"x\\"}{"' },
    { name: 'd', key: 'd', value: '[ 1,{"e":"]"} ]' }, { name: 'f', key: 'f', value: '{}' }]);
  assert.deepEqual(items('[]'), []);
  assert.deepEqual(items('["\\\\",-1e5,null]'), ['"\\\\"', '-1e5', 'null']);
});

test('a text that ends early is refused', () => {
  for (const text of ['{"a":"b', '{"a":{"b":1', '["\\"]']) assert.throws(() => members(text), SyntaxError);
});

test('an integer that a double cannot hold is a BigInt, there and back', () => {
  const text = '{"big":9007199254740993,"small":7,"text":"1234567890123456789","list":[-9223372036854775808,1.5]}';
  const value = parse(text) as Record<string, unknown>;
  assert.equal(value.big, 9007199254740993n);
  assert.equal(value.small, 7);
  assert.equal(value.text, '1234567890123456789');
  assert.deepEqual(value.list, [-9223372036854775808n, 1.5]);
  assert.equal(stringify(value), text);
});

test('raw text goes out as it stands, and only JSON is raw text', () => {
  assert.equal(stringify({ price: raw('1.10'), gone: undefined, when: new Date(0) }), '{"price":1.10,"when":"1970-01-01T00:00:00.000Z"}');
  assert.throws(() => raw('{'), SyntaxError);
  assert.throws(() => stringify(Symbol('x')), TypeError);
});

test('__proto__ is a member like any other', () => {
  const value = parse('{"__proto__":{"x":1234567890123456789}}') as object;
  assert.deepEqual(Object.keys(value), ['__proto__']);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
});

test('numbers compare exactly, whatever their spelling', () => {
  const rising = ['-1e400', '-9007199254740993', '-9007199254740992', '-0.10', '0', '1e-400', '0.1', '1', '9007199254740992', '9007199254740993', '1e400'];
  rising.forEach((a, i) => rising.forEach((b, j) => assert.equal(Math.sign(compareNumbers(a, b)), Math.sign(i - j), `${a} ${b}`)));
  assert.equal(compareNumbers('1.10', '11e-1'), 0);
  assert.equal(compareNumbers('-0', '0'), 0);
});

test('int64 is an integer by value, within its bounds', () => {
  assert.equal(asInt64('9223372036854775807'), 2n ** 63n - 1n);
  assert.equal(asInt64('9223372036854775808'), null);
  assert.equal(asInt64('1.20e1'), 12n);
  assert.equal(asInt64('1.5'), null);
  assert.equal(asInt64('-0.0'), 0n);
  assert.equal(asInt64('"1"'), null);
});

test('a set takes equal values for one', () => {
  assert.equal(identity('"\\u0061"'), identity('"a"'));
  assert.equal(identity('1.0'), identity('10e-1'));
  assert.notEqual(identity('1'), identity('"1"'));
  assert.notEqual(identity('[1]'), identity('[ 1]'));
});

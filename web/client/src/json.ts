/* JSON as text: spans of members and values, so that a body keeps its bytes.
 *
 * A 19-digit number, `1.10`, an escape and the order of members must come out as they went in, or two devices' sums
 * differ. So a body is carried as its text, and only an app's own reading of it (`parse`) makes values of it.
 * The texts come from the gateway or from `stringify`, and were checked there: the scanner trusts their grammar.
 */

/** JSON text that goes out exactly as it stands: `raw('1.10')`. */
export class RawJson {
  /** @internal */
  constructor(readonly text: string) {}
  toString(): string { return this.text; }
}

/** A value given as JSON text, kept byte for byte. Throws if the text is not JSON. */
export function raw(text: string): RawJson {
  JSON.parse(text);
  return new RawJson(text);
}

/** One member of an object: its decoded name, its key as it stood between the quotes, its value's text. */
export interface Member { name: string; key: string; value: string }

const QUOTE = 34, BACKSLASH = 92, OPEN_BRACE = 123, OPEN_BRACKET = 91, CLOSE_BRACE = 125, CLOSE_BRACKET = 93, COMMA = 44, COLON = 58;

/* Where the string that begins at `at` ends. */
function endOfString(text: string, at: number): number {
  let end = at;
  do end = text.indexOf('"', end + 1);
  while (end >= 0 && isEscaped(text, end));
  if (end < 0) throw new SyntaxError('JSON ends inside a string');
  return end + 1;
}

function isEscaped(text: string, at: number): boolean {
  let count = 0;
  while (text.charCodeAt(at - 1 - count) === BACKSLASH) count++;
  return count % 2 === 1;
}

/* Where the value that begins at `at` ends. */
function endOfValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return endOfString(text, at);
  const nests = first === OPEN_BRACE || first === OPEN_BRACKET;
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = endOfString(text, i) - 1;
    else if (c === OPEN_BRACE || c === OPEN_BRACKET) depth++;
    else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
      if (!nests) return i;
      if (--depth === 0) return i + 1;
    } else if (!nests && (c === COMMA || c <= 32)) return i;
  }
  if (nests) throw new SyntaxError('JSON ends inside a value');
  return text.length;
}

/** The texts of an array's elements; of an object, of its quoted keys and values by turns. */
export function items(text: string): string[] {
  const found: string[] = [];
  let at = 0;
  while (text.charCodeAt(at) <= 32) at++;
  for (at++; at < text.length;) {
    const c = text.charCodeAt(at);
    if (c <= 32 || c === COMMA || c === COLON) at++;
    else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) break;
    else {
      const end = endOfValue(text, at);
      found.push(text.slice(at, end));
      at = end;
    }
  }
  return found;
}

/** The members of an object, in order, repeats included. */
export function members(text: string): Member[] {
  const flat = items(text), found: Member[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const quoted = flat[i]!, key = quoted.slice(1, -1);
    found.push({ name: key.includes('\\') ? JSON.parse(quoted) as string : key, key, value: flat[i + 1]! });
  }
  return found;
}

/** What an app sees of a text: as `JSON.parse`, but an integer past 2^53 is a BigInt, not a neighbour of itself. */
export function parse(text: string): unknown {
  return /\d{16}/.test(text) ? parseExactly(text.trim()) : JSON.parse(text);
}

function parseExactly(text: string): unknown {
  if (text[0] === '[') return items(text).map(parseExactly);
  if (text[0] === '{') {
    const entries = members(text).map(({ name, value }): [string, unknown] => [name, parseExactly(value)]);
    return Object.fromEntries(entries);
  }
  if (/^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text))) return BigInt(text);
  return JSON.parse(text);
}

/** JSON text of a value without white space. A BigInt becomes its digits, a `RawJson` its text, and an `undefined` member is left out. */
export function stringify(value: unknown): string {
  if (value instanceof RawJson) return value.text;
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map((one) => stringify(one === undefined ? null : one)).join(',')}]`;
  if (typeof value === 'object' && value !== null && !('toJSON' in value)) {
    const parts = Object.entries(value).filter(([, one]) => one !== undefined && typeof one !== 'function');
    return `{${parts.map(([name, one]) => `${JSON.stringify(name)}:${stringify(one)}`).join(',')}}`;
  }
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON`);
  return text;
}

/* A number's text as digits and exponent: exact, whatever its size. */
interface Decimal { negative: boolean; digits: string; exponent: number }

function decimal(text: string): Decimal {
  const [, sign, whole = '', part = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
  const digits = (whole + part).replace(/^0+/, ''), trimmed = digits.replace(/0+$/, '');
  if (trimmed === '') return { negative: false, digits: '', exponent: 0 };
  return { negative: sign === '-', digits: trimmed, exponent: Number(power) - part.length + digits.length - trimmed.length };
}

/** Is the text of a value that of a number? */
export function isNumber(text: string): boolean { return /^[-\d]/.test(text); }

/** Below, at or above 0 as a is less than, equal to or greater than b; both texts of numbers, compared exactly. */
export function compareNumbers(a: string, b: string): number {
  const x = decimal(a), y = decimal(b), sign = (n: Decimal) => (n.digits === '' ? 0 : n.negative ? -1 : 1);
  if (sign(x) !== sign(y)) return sign(x) - sign(y);
  const size = x.digits.length + x.exponent - y.digits.length - y.exponent;
  const bigger = size !== 0 ? size : x.digits < y.digits ? -1 : x.digits > y.digits ? 1 : 0;
  return x.negative ? 0 - bigger : bigger;
}

/** The integer that a number's text is, if it is one of 64 bits; else null. */
export function asInt64(text: string): bigint | null {
  if (!isNumber(text)) return null;
  const { negative, digits, exponent } = decimal(text);
  if (exponent < 0 || digits.length + exponent > 19) return null;
  const value = BigInt(digits + '0'.repeat(exponent)) * (negative ? -1n : 1n);
  return BigInt.asIntN(64, value) === value ? value : null;
}

/** What a set takes for the same value: strings decoded, numbers by value, anything else by its bytes. */
export function identity(text: string): string {
  if (text[0] === '"') return `s${JSON.parse(text) as string}`;
  if (!isNumber(text)) return `o${text}`;
  const { negative, digits, exponent } = decimal(text);
  return `n${negative ? '-' : ''}${digits}e${exponent}`;
}

import type { Dice } from './dice.js';
import { Verbatim } from './loose-json.js';

const control = '\u001b[2J\u0007\u009b31m\u202egnp\u2066\u007f';

const texts: readonly string[] = [
  '',
  ' ',
  '\0',
  control,
  '../../etc/passwd',
  '/dev/zero',
  '\ud800',
  'NaN',
  '1e999',
  '__proto__',
  'constructor',
  'model.layers.0',
  '\u0130\u0131ſK',
  '😀e\u0301',
  '{{ x }}',
  '${x}',
  '%s%n',
  'a'.repeat(3000),
];

export const patterns: readonly string[] = [
  '(([a-z_]+|[0-9]+)+\\.?)+!',
  '(a|aa)+$',
  '(.*)*x',
  '(?=(.|..)+!).*',
  '(?<!a)b',
  '((a{1000}){1000}){1000}',
  '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+',
  '(?i:ſ)|\\1',
  '('.repeat(300),
  '[\\d-a]',
  '\\p{Foo}',
  '.*q_proj',
  '(?x) a # b',
  '(?>a*)b|c*+',
];

const numbers: readonly number[] = [
  0,
  -0,
  -1,
  1,
  2,
  0.5,
  1e-320,
  1e308,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 + 70,
  2 ** 53,
  1e9,
  65_537,
];

const nested = (open: string, close: string, depth: number): string =>
  open.repeat(depth) + close.repeat(depth);

/** Texts that are no value of JSON, or one that few parsers bear. */
const verbatim: readonly string[] = [
  'NaN',
  '-Infinity',
  '1e999',
  '"\\ud800"',
  '"\\x"',
  '',
  ',',
  '18446744073709551616',
  '01',
];

export function hostileText(dice: Dice): string {
  const text = dice.pick(texts);
  if (dice.chance(0.02)) return ''.padEnd(1_000_000, `${text}x`);
  return text;
}

export function hostileNumber(dice: Dice): number {
  return dice.pick(numbers);
}

/** A value that few expect anywhere. */
export function hostileValue(dice: Dice): unknown {
  const kind = dice.below(100);
  if (kind < 25) return hostileText(dice);
  if (kind < 55) return hostileNumber(dice);
  if (kind < 75) return dice.pick([null, true, false, [], {}, [[]], [null], [{}], { '': null }]);
  if (kind < 90) return new Verbatim(dice.pick(verbatim));
  if (kind < 94) return Array.from({ length: 2000 }, () => hostileNumber(dice));
  return new Verbatim(deepText(dice));
}

function deepText(dice: Dice): string {
  const depth = dice.pick([20, 99, 101, 999, 1001, 100_000]);
  return dice.chance(0.5)
    ? nested('[', ']', depth)
    : nested('{"a":', '}', depth).replace('}', '1}');
}

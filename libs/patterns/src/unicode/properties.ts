import { at, get } from '@emloc/checked';

import { CodePointSet } from './code-point-set.js';
import * as tables from './tables.js';

/** Computed at the first call, kept from then on. */
function lazy<T>(compute: () => T): () => T {
  let value: { readonly it: T } | undefined;
  return () => (value ??= { it: compute() }).it;
}

/** Pairs of base 36 numbers: the distance from the end of the last range, the length less one. */
export function unpackSet(packed: string): CodePointSet {
  const pairs: [number, number][] = [];
  const numbers = packed.split(' ').map((digits) => parseInt(digits, 36));
  let end = 0;
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    const first = end + at(numbers, i);
    end = first + at(numbers, i + 1);
    pairs.push([first, end]);
  }
  return CodePointSet.of(pairs);
}

const byCategory = lazy(() => {
  const pairs = new Map<string, [number, number][]>(tables.categoryNames.map((name) => [name, []]));
  let next = 0;
  for (const [, symbol = '', digits = ''] of tables.categoryRuns.matchAll(
    /([A-Z!#$%])([0-9a-z]*)/g,
  )) {
    const last = next + (digits === '' ? 0 : parseInt(digits, 36));
    const name = at(tables.categoryNames, tables.categorySymbols.indexOf(symbol));
    get(pairs, name).push([next, last]);
    next = last + 1;
  }
  return new Map([...pairs].map(([name, list]) => [name, CodePointSet.of(list)]));
});

/**
 * Code points of Unicode 16 in one of the general categories, `Lu` say, or in a group of them, `L`.
 * Undefined where a name is none.
 */
export function categories(...names: readonly string[]): CodePointSet | undefined {
  const known = [...byCategory().keys()];
  const members = names.map((name) => known.filter((each) => each.startsWith(name)));
  if (members.some((group) => group.length === 0)) return undefined;
  return CodePointSet.none.union(
    ...members.flat().map((name) => byCategory().get(name) ?? CodePointSet.none),
  );
}

function inCategories(...names: readonly string[]): CodePointSet {
  const set = categories(...names);
  if (!set) throw new Error(`no general category among ${names.join(', ')}`);
  return set;
}

const asciiSigns = CodePointSet.of([
  [0x21, 0x2f],
  [0x3a, 0x40],
  [0x5b, 0x60],
  [0x7b, 0x7e],
]);

/** White_Space: the same in all versions from Unicode 6.3 on. U+0085 counts, U+FEFF does not. */
export const whiteSpace = lazy(() =>
  inCategories('Z').union(
    CodePointSet.of([
      [0x09, 0x0d],
      [0x85, 0x85],
    ]),
  ),
);

export const alphabetic = lazy(() =>
  inCategories('L', 'Nl').difference(unpackSet(tables.alphabeticDifference)),
);
export const lowercase = lazy(() =>
  inCategories('Ll').difference(unpackSet(tables.lowercaseDifference)),
);
export const uppercase = lazy(() =>
  inCategories('Lu').difference(unpackSet(tables.uppercaseDifference)),
);

/** Words of regular expressions of Unicode: letters of any script, marks, digits, connectors. */
export const wordCharacters = lazy(() => alphabetic().union(inCategories('M', 'Nd', 'Pc')));

/** The same with the joiners, as `\w` is for added tokens and the pre-tokenizer Whitespace. */
export const joinedWordCharacters = lazy(() =>
  wordCharacters().union(CodePointSet.of([[0x200c, 0x200d]])),
);

/** Numbers of any script, also letter-like ones, superscripts and fractions (Unicode 17). */
export const numeric = lazy(() =>
  inCategories('N').difference(unpackSet(tables.numericDifference)),
);

/**
 * Punctuation for the pre-tokenizers Punctuation and BertPreTokenizer (Unicode 8, all of ASCII).
 */
export const oldPunctuation = lazy(() =>
  inCategories('P').union(asciiSigns).difference(unpackSet(tables.oldPunctuationDifference)),
);

/** What BertNormalizer removes as control characters; tab and line ends are not among them. */
export const oldOther = lazy(() =>
  inCategories('Cc', 'Cf', 'Co')
    .union(CodePointSet.of([[0xfffd, 0xfffd]]))
    .difference(unpackSet(tables.oldOtherDifference)),
);

/** Combining marks for StripAccents (Unicode 9). */
export const oldMarks = lazy(() =>
  inCategories('M').difference(unpackSet(tables.oldMarkDifference)),
);

/** Nonspacing marks for BertNormalizer (Unicode 8). */
export const oldNonspacingMarks = lazy(() =>
  inCategories('Mn').difference(unpackSet(tables.oldNonspacingDifference)),
);

export const undecomposed = lazy(() => unpackSet(tables.undecomposed));

/** Canonical combining class by code point, of Unicode 9; absent: 0. */
export const combiningClasses = lazy(() => {
  const classes = new Map<number, number>();
  for (const entry of tables.combiningClasses.split(';')) {
    const parts = entry.split(':');
    const value = Number(at(parts, 0));
    for (const [first, last] of unpackSet(at(parts, 1)).pairs)
      for (let c = first; c <= last; c += 1) classes.set(c, value);
  }
  return classes;
});

export function assigned(): CodePointSet {
  return inCategories('Cn').complement();
}

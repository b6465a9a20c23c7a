import { PatternError } from './node.js';
import { CodePointSet } from './unicode/code-point-set.js';
import {
  alphabetic,
  assigned,
  categories,
  lowercase,
  unpackSet,
  uppercase,
  whiteSpace,
  wordCharacters,
} from './unicode/properties.js';
import { pictographs } from './unicode/tables.js';

/** Long names of general categories, as written in patterns: without case, spaces, `-` and `_`. */
const longNames: Readonly<Record<string, string>> = {
  letter: 'L',
  uppercaseletter: 'Lu',
  lowercaseletter: 'Ll',
  titlecaseletter: 'Lt',
  modifierletter: 'Lm',
  otherletter: 'Lo',
  mark: 'M',
  combiningmark: 'M',
  nonspacingmark: 'Mn',
  spacingmark: 'Mc',
  enclosingmark: 'Me',
  number: 'N',
  decimalnumber: 'Nd',
  letternumber: 'Nl',
  othernumber: 'No',
  punctuation: 'P',
  punct: 'P',
  connectorpunctuation: 'Pc',
  dashpunctuation: 'Pd',
  openpunctuation: 'Ps',
  closepunctuation: 'Pe',
  initialpunctuation: 'Pi',
  finalpunctuation: 'Pf',
  otherpunctuation: 'Po',
  symbol: 'S',
  mathsymbol: 'Sm',
  currencysymbol: 'Sc',
  modifiersymbol: 'Sk',
  othersymbol: 'So',
  separator: 'Z',
  spaceseparator: 'Zs',
  lineseparator: 'Zl',
  paragraphseparator: 'Zp',
  other: 'C',
  control: 'Cc',
  format: 'Cf',
  surrogate: 'Cs',
  privateuse: 'Co',
  unassigned: 'Cn',
};

function inCategories(...names: readonly string[]): CodePointSet {
  return categories(...names) ?? CodePointSet.none;
}

const hexDigits = CodePointSet.of([
  [0x30, 0x39],
  [0x41, 0x46],
  [0x61, 0x66],
]);
const noControl = ['L', 'M', 'N', 'P', 'S', 'Cf', 'Co'];

/** What `[[:name:]]` and `\p{name}` have in common. */
const posix: Readonly<Record<string, () => CodePointSet>> = {
  alnum: () => alphabetic().union(inCategories('Nd')),
  alpha: alphabetic,
  ascii: () => CodePointSet.of([[0, 0x7f]]),
  blank: () => inCategories('Zs').union(CodePointSet.of([[9, 9]])),
  cntrl: () => inCategories('Cc'),
  digit: () => inCategories('Nd'),
  graph: () => inCategories(...noControl),
  lower: lowercase,
  print: () => inCategories(...noControl, 'Zs'),
  punct: () => inCategories('P', 'S'),
  space: whiteSpace,
  upper: uppercase,
  xdigit: () => hexDigits,
  word: wordCharacters,
};

export function posixClass(name: string): CodePointSet {
  const set = Object.hasOwn(posix, name) ? posix[name] : undefined;
  if (!set) throw new PatternError(`there is no class [:${name}:]`);
  return set();
}

/** `\w` outside of brackets also has some superscripts and fractions of Latin-1. */
export const latinNumbers = CodePointSet.ofText('²³¹¼½¾');

/** Sets by the letter after the backslash; the capital letter is the complement. */
export const letterClasses: Readonly<Record<string, () => CodePointSet>> = {
  d: () => inCategories('Nd'),
  s: whiteSpace,
  w: wordCharacters,
  h: () => hexDigits,
};

const found = new Map<string, CodePointSet>();

/** The set of `\p{name}`. @throws PatternError where no property has that name */
export function property(name: string): CodePointSet {
  const plain = name.toLowerCase().replace(/[\s_-]/g, '');
  const known = found.get(plain);
  if (known) return known;
  const set = findProperty(plain, name);
  found.set(plain, set);
  return set;
}

function findProperty(plain: string, name: string): CodePointSet {
  if (plain === 'any') return CodePointSet.all;
  if (plain === 'assigned') return assigned();
  const long = Object.hasOwn(longNames, plain) ? longNames[plain] : undefined;
  if (long !== undefined) return inCategories(long);
  if (plain === 'word') return wordCharacters().union(latinNumbers);
  if (Object.hasOwn(posix, plain)) return posixClass(plain);
  if (/^[a-z]{1,2}$/.test(plain)) {
    const short = categories(plain.charAt(0).toUpperCase() + plain.slice(1));
    if (short) return short;
  }
  if (plain === 'alphabetic') return alphabetic();
  if (plain === 'lowercase') return lowercase();
  if (plain === 'uppercase') return uppercase();
  if (plain === 'whitespace') return whiteSpace();
  if (plain === 'extendedpictographic') return unpackSet(pictographs);
  const set = ofEngine(name);
  if (!set) throw new PatternError(`there is no property ${JSON.stringify(name.slice(0, 60))}`);
  return set;
}

/** Scripts and what else the JavaScript engine knows, as far as Unicode 16 has the characters. */
function ofEngine(name: string): CodePointSet | undefined {
  if (!/^[A-Za-z][A-Za-z_ -]*$/.test(name)) return undefined;
  const words = name.split(/[\s_-]+/).map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  const spelled = [
    words.join('_'),
    words.map((w) => w.charAt(0) + w.slice(1).toLowerCase()).join('_'),
  ];
  for (const spelling of spelled)
    for (const escape of [`Script=${spelling}`, spelling]) {
      const matcher = tryPattern(escape);
      if (matcher) return scan(matcher).intersection(assigned());
    }
  return undefined;
}

function tryPattern(escape: string): RegExp | undefined {
  try {
    return new RegExp(`^\\p{${escape}}$`, 'u');
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function scan(matcher: RegExp): CodePointSet {
  const pairs: [number, number][] = [];
  for (let c = 0; c <= 0x10ffff; c += 1)
    if (matcher.test(String.fromCodePoint(c))) {
      const last = pairs.at(-1);
      if (last && last[1] === c - 1) last[1] = c;
      else pairs.push([c, c]);
    }
  return CodePointSet.of(pairs);
}

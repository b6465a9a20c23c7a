import { CodePointSet } from './unicode/code-point-set.js';

/** Dotted and dotless i are no cases of i: their full folding depends on the language. */
const apart = new Set([0x130, 0x131]);

/** Letters with cases end before the ideographs or stand in the first supplementary plane. */
const scanned: readonly (readonly [number, number])[] = [
  [0x41, 0x2e7f],
  [0xa640, 0xabbf],
  [0xfb00, 0xffff],
  [0x10400, 0x1e943],
];

let families: ReadonlyMap<number, readonly number[]> | undefined;

/** Code points that differ in case only, each with the whole family; those without cases absent. */
function caseFamilies(): ReadonlyMap<number, readonly number[]> {
  if (families) return families;
  const family = new Map<number, number[]>();
  const join = (a: number, b: number): void => {
    const [left, right] = [family.get(a) ?? [a], family.get(b) ?? [b]];
    if (left === right) return;
    const both = [...new Set([...left, ...right])];
    for (const member of both) family.set(member, both);
  };
  for (const [first, last] of scanned)
    for (let c = first; c <= last; c += 1)
      for (const other of singleCases(c)) if (other !== c && !apart.has(c)) join(c, other);
  families = family;
  return family;
}

function singleCases(codePoint: number): number[] {
  const text = String.fromCodePoint(codePoint);
  return [text.toLowerCase(), text.toUpperCase()]
    .map((changed) => [changed.codePointAt(0) ?? codePoint, changed] as const)
    .filter(([c, changed]) => changed.length === (c > 0xffff ? 2 : 1))
    .map(([c]) => c);
}

/** The set with all that differs from its members in case only. */
export function foldCase(set: CodePointSet): CodePointSet {
  const added: [number, number][] = [];
  for (const [member, family] of caseFamilies())
    if (set.has(member)) for (const other of family) added.push([other, other]);
  // The capital sharp s has no single upper or lower case that leads to it from the small one.
  for (const [a, b] of [
    [0xdf, 0x1e9e],
    [0x1e9e, 0xdf],
  ] as const)
    if (set.has(a)) added.push([b, b]);
  return set.union(CodePointSet.of(added));
}

/**
 * Sequences that a single character stands for when case does not count, `ss` for ß say. Patterns
 * that hold one of them without regard to case are refused rather than matched otherwise.
 */
const longFolds =
  /ss|ʼn|ǰ|ΐ|ΰ|եւ|ẖ|ẗ|ẘ|ẙ|aʾ|f[fil]|st|մ[նեիխ]|վն|[ßŉǰΐΰևẖ-ẚẞὐὒὔὖᾀ-ᾯᾲ-ᾴᾶᾷᾼῂ-ῄῆῇῌῒΐῖῗῢ-ῤῦῧῲ-ῴῶῷῼﬀ-ﬆﬓ-ﬗ]/iu;

export function hasLongFold(text: string): boolean {
  return longFolds.test(text);
}

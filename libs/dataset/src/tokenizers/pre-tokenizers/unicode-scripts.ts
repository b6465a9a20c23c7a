import { scriptNames, unpackSet, withoutScript, type CodePointSet } from '@emloc/patterns/unicode';

import type { PreTokenizer } from './pre-tokenizer.js';

/** The script of no character in particular: joins whatever stands beside it. */
const anyScript = 'Any';
const prolongedSound = 0x30fc;

/** Scripts that have changed since the version that is followed here. */
const movedScripts: ReadonlyMap<number, string> = new Map([
  [0x589, 'Common'],
  [0x61c, 'Common'],
  [0x953, 'Devanagari'],
  [0x954, 'Devanagari'],
]);

const known = new Map<number, string>();
let patterns: readonly (readonly [string, RegExp])[] | undefined;
let scriptless: CodePointSet | undefined;

function scriptOf(codePoint: number): string {
  let script = known.get(codePoint);
  if (script === undefined) {
    script = findScript(codePoint);
    known.set(codePoint, script);
  }
  return script;
}

function findScript(codePoint: number): string {
  if (codePoint === 0x20) return anyScript;
  if (codePoint === prolongedSound) return 'Han';
  scriptless ??= unpackSet(withoutScript);
  if (scriptless.has(codePoint)) return anyScript;
  patterns ??= scriptNames.map((name) => [name, new RegExp(`^\\p{Script=${name}}$`, 'u')]);
  const text = String.fromCodePoint(codePoint);
  const script =
    movedScripts.get(codePoint) ??
    patterns.find(([, pattern]) => pattern.test(text))?.[0] ??
    anyScript;
  return script === 'Hiragana' || script === 'Katakana' ? 'Han' : script;
}

/** Splits where the script changes. Spaces before the first script are left out. */
export const unicodeScripts: PreTokenizer = (base, start, end, take) => {
  let from = -1;
  let last: string | undefined;
  for (let at = start; at < end;) {
    const point = base.text.codePointAt(at) ?? 0;
    const script = scriptOf(point);
    if (script !== anyScript && script !== last) {
      if (from >= 0) take(base, from, at);
      from = at;
      last = script;
    }
    at += point > 0xffff ? 2 : 1;
  }
  if (from >= 0) take(base, from, end);
};

import { Buffer } from 'node:buffer';

import type { AlignedText } from '../aligned-text.js';
import type { JsonPart } from '../json.js';
import type { Normalizer } from './normalizer.js';
import { Transform } from './transform.js';

/** Graphemes of this many bytes and more are only looked up character by character. */
const graphemeBytes = 6;
const cacheEntries = 50_000;

/** SentencePiece's table of replacements: a trie of bytes as a double array, then the texts. */
class CharacterMap {
  readonly #units: Uint32Array;
  readonly #texts: Buffer;
  readonly #known = new Map<string, string | null>();

  constructor(bytes: Buffer) {
    const trieBytes = bytes.readUInt32LE(0) & ~3;
    this.#units = new Uint32Array(trieBytes / 4);
    for (let i = 0; i < this.#units.length; i += 1) this.#units[i] = bytes.readUInt32LE(4 + 4 * i);
    this.#texts = bytes.subarray(4 + trieBytes);
  }

  /** What stands for the shortest beginning of the text that is in the table; null for none. */
  replacement(text: string): string | null {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const place = this.#shortestPrefix(Buffer.from(text));
    const found = place < 0 ? null : this.#textAt(place);
    if (this.#known.size >= cacheEntries) this.#known.clear();
    this.#known.set(text, found);
    return found;
  }

  #shortestPrefix(key: Buffer): number {
    let node = offsetOf(this.#units.at(0) ?? 0);
    for (const byte of key) {
      if (byte === 0) return -1;
      node ^= byte;
      const unit = this.#units[node];
      if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return -1;
      node ^= offsetOf(unit);
      if (((unit >>> 8) & 1) === 1) return this.#placeAt(node);
    }
    return -1;
  }

  /** A table that points beyond its own end has nothing there. */
  #placeAt(node: number): number {
    const place = this.#units[node];
    return place === undefined ? -1 : place & 0x7fffffff;
  }

  #textAt(place: number): string {
    const end = this.#texts.indexOf(0, place);
    return this.#texts.subarray(place, end < 0 ? undefined : end).toString('utf8');
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/** SentencePiece's own normalization, from the table in `precompiled_charsmap` (base64). */
export function precompiled(part: JsonPart): Normalizer {
  const bytes = Buffer.from(part.get('precompiled_charsmap').text, 'base64');
  if (bytes.length < 4 || bytes.readUInt32LE(0) > bytes.length - 4)
    part.get('precompiled_charsmap').fail('is no table of replacements');
  const map = new CharacterMap(bytes);
  return (base) => {
    const replacer = new Replacer(base);
    forEachGrapheme(base.text, (grapheme) => replaceGrapheme(grapheme, map, replacer));
    return replacer.build();
  };
}

function replaceGrapheme(grapheme: string, map: CharacterMap, replacer: Replacer): void {
  if (grapheme.length < graphemeBytes && Buffer.byteLength(grapheme) < graphemeBytes) {
    const whole = map.replacement(grapheme);
    if (whole !== null) return replacer.replace(grapheme, whole);
  }
  for (const character of grapheme) {
    const single = map.replacement(character);
    if (single === null) replacer.keep(character);
    else replacer.replace(character, single);
  }
}

/** Feeds a transformation one character late: a removal is a change of the character before. */
class Replacer {
  readonly #transform: Transform;
  #last: [number, number] | undefined;
  #modified = false;

  constructor(private readonly base: AlignedText) {
    this.#transform = new Transform(base);
  }

  keep(character: string): void {
    this.#push(character, 0);
  }

  replace(old: string, made: string): void {
    this.#modified = true;
    const characters = Array.from(made);
    const more = characters.length - Array.from(old).length;
    characters.forEach((character, i) =>
      this.#push(character, i >= characters.length - more ? 1 : 0),
    );
    if (more < 0 && this.#last) this.#last[1] += more;
  }

  build(): AlignedText {
    this.#flush();
    return this.#modified ? this.#transform.build() : this.base;
  }

  #push(character: string, change: number): void {
    this.#flush();
    this.#last = [character.codePointAt(0) ?? 0, change];
  }

  #flush(): void {
    if (this.#last) this.#transform.push(...this.#last);
    this.#last = undefined;
  }
}

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Between two ASCII characters is always a border, but within CR LF. */
function forEachGrapheme(text: string, found: (grapheme: string) => void): void {
  for (const [part] of text.matchAll(
    /[\0-\x7f](?=[\0-\x7f]|$)(?<!\r(?=\n))|[\0-\x7f]?[^\0-\x7f]+|\r\n/g,
  ))
    if (part.length === 1) found(part);
    else for (const { segment } of segmenter.segment(part)) found(segment);
}

import { Buffer } from 'node:buffer';

import type { JsonObject } from '../json.js';
import type { PieceModel } from './piece-model.js';

/** Parts of tokenizer.json that turn text into pieces, where ▁ stands for a space, and back. */

const mark = '▁';

function sequence(normalizers: readonly JsonObject[]): JsonObject {
  return { type: 'Sequence', normalizers };
}

function replace(pattern: JsonObject, content: string): JsonObject {
  return { type: 'Replace', pattern, content };
}

const markSpaces = replace({ String: ' ' }, mark);
const prependMark: JsonObject = { type: 'Prepend', prepend: mark };

/** Spaces become ▁, and (`prefix`) one stands before each part between added tokens. */
export function marked(prefix: boolean): JsonObject {
  return sequence([...(prefix ? [prependMark] : []), markSpaces]);
}

/** All that the model's own normalizer does. */
export function asModelled(model: PieceModel): JsonObject {
  const trimmed = replace({ Regex: '^ +| +$' }, '');
  const single = replace({ Regex: ' {2,}' }, ' ');
  return sequence([
    ...characterMap(model),
    ...(model.removesExtraSpaces ? [trimmed, single] : []),
    ...(model.addsDummyPrefix ? [prependMark] : []),
    markSpaces,
  ]);
}

/** The model's replacements, then runs of spaces as one ▁; none at the end. */
export function condensed(model: PieceModel): JsonObject {
  return sequence([
    ...characterMap(model),
    { type: 'Strip', strip_left: false, strip_right: true },
    replace({ Regex: ' {2,}' }, mark),
  ]);
}

function characterMap({ characterMap: bytes }: PieceModel): readonly JsonObject[] {
  if (bytes.length === 0) return [];
  return [{ type: 'Precompiled', precompiled_charsmap: Buffer.from(bytes).toString('base64') }];
}

/** Of `Metaspace`: where ▁ is put before a text that does not begin with it. */
export type PrependScheme = 'always' | 'first' | 'never';

/** As a pre-tokenizer, which can split before each ▁, or as a decoder. */
export function metaspace(prepend_scheme: PrependScheme, split: boolean): JsonObject {
  return { type: 'Metaspace', replacement: mark, prepend_scheme, split };
}

/** Bytes and ▁ become text again, without the space at its begin that a prefix made. */
export function unmarked(prefix: boolean): JsonObject {
  return {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: mark }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
    ],
  };
}

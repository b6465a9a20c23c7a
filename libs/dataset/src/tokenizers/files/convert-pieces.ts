import { at } from '@emloc/checked';

import type { JsonObject } from '../json.js';
import type { ClassOptions, ConvertedVocabulary } from './class-options.js';
import type { PieceClass } from './piece-classes.js';
import { pieceMerges } from './piece-merges.js';
import { pieceTypes, readPieceModel, type Piece, type PieceModel } from './piece-model.js';
import type { PieceVocabulary } from './piece-vocabulary.js';

/**
 * A SentencePiece model as a class of transformers reads it.
 * @throws TokenizerError
 */
export function convertPieces(
  bytes: Uint8Array,
  reading: PieceClass,
  options: ClassOptions & {
    /** Name of the model's file, for messages. */
    readonly file: string;
  },
): ConvertedVocabulary {
  const model = readPieceModel(bytes, options.file);
  const vocabulary = reading.vocabulary(model, options);
  return {
    definition: {
      model: makeModel(model, vocabulary, { reading, file: options.file }),
      added_tokens: addedTokens(vocabulary.pieces, reading),
      ...reading.textParts(model, options.config),
    },
    tokens: reading.tokens(options),
    affixes: reading.affixes(options.config),
  };
}

function makeModel(
  { algorithm }: PieceModel,
  { pieces, unknownId }: PieceVocabulary,
  { reading, file }: { reading: PieceClass; file: string },
): JsonObject {
  const byte_fallback = reading.byteFallback;
  const scored = pieces.map(({ text, score }) => [text, score] as const);
  if (algorithm === 'unigram')
    return { type: 'Unigram', vocab: scored, unk_id: unknownId, byte_fallback };
  return {
    type: 'BPE',
    vocab: Object.fromEntries(pieces.map(({ text }, id) => [text, id])),
    merges: pieceMerges(scored, file),
    unk_token: at(pieces, unknownId).text,
    fuse_unk: true,
    byte_fallback,
  };
}

function addedTokens(
  pieces: readonly Piece[],
  { findsControls, special }: PieceClass,
): readonly JsonObject[] {
  return pieces.flatMap(({ text, type }, id) => {
    const isControl = type === pieceTypes.control;
    if (!(isControl && findsControls) && type !== pieceTypes.userDefined) return [];
    return [addedToken(id, text, isControl || special.has(text))];
  });
}

function addedToken(id: number, content: string, special: boolean): JsonObject {
  return {
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special,
  };
}

import { BinaryReader } from '@bufbuild/protobuf/wire';

import { quote, TokenizerError } from '../errors.js';

/** What a piece of a SentencePiece model stands for, by its number in the file. */
export const pieceTypes = Object.freeze({
  normal: 1,
  unknown: 2,
  /** `<s>` and the like: never made of a text. */
  control: 3,
  /** Always one token. */
  userDefined: 4,
  unused: 5,
  byte: 6,
});

export interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

/** What is used of a SentencePiece model (`ModelProto`): its pieces by id, and how text is read. */
export interface PieceModel {
  readonly pieces: readonly Piece[];
  readonly algorithm: 'unigram' | 'bpe';
  readonly unknownId: number;
  /** Replacements of characters, as the file has them; empty: none. */
  readonly characterMap: Uint8Array;
  readonly addsDummyPrefix: boolean;
  readonly removesExtraSpaces: boolean;
}

/** Fields of the messages, and what they are where the file does not say. */
interface Fields {
  pieces: Piece[];
  modelType: number;
  unknownId: number;
  spaceIsSuffix: boolean;
  characterMap: Uint8Array;
  addsDummyPrefix: boolean;
  removesExtraSpaces: boolean;
  escapesSpaces: boolean;
}

const unigram = 1;
const bpe = 2;
const otherAlgorithms: ReadonlyMap<number, string> = new Map([
  [3, 'WORD'],
  [4, 'CHAR'],
]);

/** @throws TokenizerError */
export function readPieceModel(bytes: Uint8Array, file: string): PieceModel {
  const fields = readFields(bytes, file);
  assertUsable(fields, file);
  const { pieces, unknownId, characterMap, addsDummyPrefix, removesExtraSpaces } = fields;
  return {
    pieces,
    algorithm: fields.modelType === bpe ? 'bpe' : 'unigram',
    unknownId,
    characterMap,
    addsDummyPrefix,
    removesExtraSpaces,
  };
}

function readFields(bytes: Uint8Array, file: string): Fields {
  const fields: Fields = {
    pieces: [],
    modelType: unigram,
    unknownId: 0,
    spaceIsSuffix: false,
    characterMap: new Uint8Array(),
    addsDummyPrefix: true,
    removesExtraSpaces: true,
    escapesSpaces: true,
  };
  if (isTiktoken(bytes))
    throw new TokenizerError(file, '', 'is a tiktoken vocabulary, not a SentencePiece model');
  try {
    readModel(bytes, fields);
  } catch (cause) {
    throw new TokenizerError(file, '', 'is not a whole SentencePiece model', { cause });
  }
  return fields;
}

/** Lines of a token in base64 and its rank. */
function isTiktoken(bytes: Uint8Array): boolean {
  return /^[A-Za-z0-9+/]+=* \d+\r?\n/.test(String.fromCharCode(...bytes.subarray(0, 64)));
}

function assertUsable(fields: Fields, file: string): void {
  const { pieces, modelType, unknownId } = fields;
  const refuse = (part: string, reason: string): never => {
    throw new TokenizerError(file, part, reason);
  };
  if (pieces.length === 0) refuse('pieces', 'there are none');
  assertDistinct(pieces, file);
  if (modelType !== unigram && modelType !== bpe)
    refuse(
      'trainer_spec.model_type',
      `${otherAlgorithms.get(modelType) ?? modelType} cannot be used, only BPE and UNIGRAM can`,
    );
  if (unknownId < 0 || unknownId >= pieces.length)
    refuse('trainer_spec.unk_id', `is ${unknownId}, there are ${pieces.length} pieces`);
  if (fields.spaceIsSuffix) refuse('trainer_spec.treat_whitespace_as_suffix', 'cannot be used');
  if (!fields.escapesSpaces) refuse('normalizer_spec.escape_whitespaces', 'must be true');
}

function assertDistinct(pieces: readonly Piece[], file: string): void {
  const seen = new Set<string>();
  pieces.forEach(({ text, score }, id) => {
    const refuse = (reason: string): never => {
      throw new TokenizerError(file, `pieces[${id}]`, reason);
    };
    if (text === '') refuse('is empty');
    if (seen.has(text)) refuse(`${quote(text)} stands there twice`);
    if (!Number.isFinite(score)) refuse(`the score of ${quote(text)} is ${score}`);
    seen.add(text);
  });
}

/** Takes a field of a message; false: it is none of those that are read. */
type TakeField = (field: number, reader: BinaryReader) => boolean;

function readMessage(bytes: Uint8Array, take: TakeField): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (!take(field, reader)) reader.skip(type, field);
  }
}

function readModel(bytes: Uint8Array, fields: Fields): void {
  readMessage(bytes, (field, reader) => {
    if (field === 1) fields.pieces.push(readPiece(reader.bytes()));
    else if (field === 2) readTrainer(reader.bytes(), fields);
    else if (field === 3) readNormalizer(reader.bytes(), fields);
    else return false;
    return true;
  });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readPiece(bytes: Uint8Array): Piece {
  const piece = { text: '', score: 0, type: pieceTypes.normal as number };
  readMessage(bytes, (field, reader) => {
    if (field === 1) piece.text = utf8.decode(reader.bytes());
    else if (field === 2) piece.score = reader.float();
    else if (field === 3) piece.type = reader.int32();
    else return false;
    return true;
  });
  return piece;
}

function readTrainer(bytes: Uint8Array, fields: Fields): void {
  readMessage(bytes, (field, reader) => {
    if (field === 3) fields.modelType = reader.int32();
    else if (field === 24) fields.spaceIsSuffix = reader.bool();
    else if (field === 40) fields.unknownId = reader.int32();
    else return false;
    return true;
  });
}

function readNormalizer(bytes: Uint8Array, fields: Fields): void {
  readMessage(bytes, (field, reader) => {
    if (field === 2) fields.characterMap = reader.bytes();
    else if (field === 3) fields.addsDummyPrefix = reader.bool();
    else if (field === 4) fields.removesExtraSpaces = reader.bool();
    else if (field === 5) fields.escapesSpaces = reader.bool();
    else return false;
    return true;
  });
}

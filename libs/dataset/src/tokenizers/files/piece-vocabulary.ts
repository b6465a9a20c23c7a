import type { ClassOptions } from './class-options.js';
import { pieceTypes, type Piece, type PieceModel } from './piece-model.js';

/** Pieces by id as a class of transformers has them. */
export interface PieceVocabulary {
  readonly pieces: readonly Piece[];
  readonly unknownId: number;
}

export type MakeVocabulary = (model: PieceModel, options: ClassOptions) => PieceVocabulary;

/** Those of the model. A token that the folder lists by an id takes the place of the piece. */
export const asListed: MakeVocabulary = ({ pieces, unknownId }, { listed }) => {
  const known = new Set(pieces.map(({ text }) => text));
  return {
    unknownId,
    pieces: pieces.map((piece, id) => {
      const text = listed.get(id);
      return text === undefined || known.has(text) ? piece : { ...piece, text };
    }),
  };
};

const tabByte = '<0x09>';

/** Gemma's: the tab is a piece of its own, in place of its byte where the model has none. */
export const withTab: MakeVocabulary = (model, options) => {
  const { pieces, unknownId } = asListed(model, options);
  if (pieces.some(({ text }) => text === '\t')) return { pieces, unknownId };
  return {
    unknownId,
    pieces: pieces.map((piece) =>
      piece.text === tabByte ? { text: '\t', score: 0, type: pieceTypes.normal } : piece,
    ),
  };
};

const defaultExtraIds = 100;

/** T5's: `<extra_id_n>` … `<extra_id_0>` follow. */
export const withExtraIds: MakeVocabulary = (model, options) => {
  const { pieces, unknownId } = asListed(model, options);
  const extra = extraIds(options).map((text): Piece => ({
    text,
    score: 0,
    type: pieceTypes.normal,
  }));
  return { pieces: [...pieces, ...extra], unknownId };
};

/** From the highest number on. */
export function extraIds({ config }: Pick<ClassOptions, 'config'>): readonly string[] {
  const part = config.get('extra_ids');
  const count = part.isAbsent ? defaultExtraIds : part.count;
  if (count > 10_000) part.fail(`is ${count}, the limit is 10000`);
  return Array.from({ length: count }, (_, i) => `<extra_id_${count - 1 - i}>`);
}

const fairseqTokens = ['<s>', '<pad>', '</s>', '<unk>'];

/** Fairseq's order: its own four in place of the model's first three, `<mask>` as the last. */
export const inFairseqOrder: MakeVocabulary = (model, options) => {
  const own = (text: string): Piece => ({ text, score: 0, type: pieceTypes.normal });
  const pieces = [...fairseqTokens.map(own), ...model.pieces.slice(3), own('<mask>')];
  const unknownId = fairseqTokens.indexOf('<unk>');
  return asListed({ ...model, pieces, unknownId }, options);
};

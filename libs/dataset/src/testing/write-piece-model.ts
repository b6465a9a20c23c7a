import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A SentencePiece model to write; what is left out is not in the file. */
export interface WrittenPieceModel {
  /** Text, score and type (1 normal, 2 unknown, 3 control, 4 user-defined, 6 byte) by id. */
  readonly pieces: readonly (readonly [string, number, number])[];
  /** 1 unigram, 2 BPE, 3 word, 4 character. */
  readonly modelType?: number;
  readonly unknownId?: number;
  readonly spaceIsSuffix?: boolean;
  readonly characterMap?: Uint8Array;
  readonly addsDummyPrefix?: boolean;
  readonly removesExtraSpaces?: boolean;
  readonly escapesSpaces?: boolean;
}

export function writePieceModel(model: WrittenPieceModel): Uint8Array {
  const writer = new BinaryWriter();
  for (const [text, score, type] of model.pieces) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(text);
    writer.tag(2, WireType.Bit32).float(score);
    if (type !== 1) writer.tag(3, WireType.Varint).int32(type);
    writer.join();
  }
  writer.tag(2, WireType.LengthDelimited).fork();
  // A field that is not read: the vocabulary's size.
  writer.tag(4, WireType.Varint).int32(model.pieces.length);
  writeNumber(writer, 3, model.modelType);
  writeFlag(writer, 24, model.spaceIsSuffix);
  writeNumber(writer, 40, model.unknownId);
  writer.join().tag(3, WireType.LengthDelimited).fork();
  if (model.characterMap) writer.tag(2, WireType.LengthDelimited).bytes(model.characterMap);
  writeFlag(writer, 3, model.addsDummyPrefix);
  writeFlag(writer, 4, model.removesExtraSpaces);
  writeFlag(writer, 5, model.escapesSpaces);
  return writer.join().finish();
}

function writeNumber(writer: BinaryWriter, field: number, value: number | undefined): void {
  if (value !== undefined) writer.tag(field, WireType.Varint).int32(value);
}

function writeFlag(writer: BinaryWriter, field: number, value: boolean | undefined): void {
  if (value !== undefined) writer.tag(field, WireType.Varint).bool(value);
}

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePieceModel } from '@emloc/dataset/testing';

import type { OpenTarget } from '../target.js';
import { mutateMessage } from '../wire.js';
import { addModel, enoughRows, writeRows } from '../workplace.js';
import { readWith } from './read-rows.js';

const normal = 1;
const special: [string, number, number][] = [
  ['<unk>', 0, 2],
  ['<s>', 0, 3],
  ['</s>', 0, 3],
];

/** SentencePiece models. */
export const openPiecesTarget: OpenTarget = async (place) => {
  const model = await addModel(place, 'pieces');
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])
    await rm(join(model, name));
  const path = await writeRows(model, enoughRows().slice(0, 4));
  const pieces = Array.from('▁abcdefghimnorstuvwy.,?', (letter, i): [string, number, number] => [
    letter,
    -i,
    normal,
  ]);
  const message = writePieceModel({
    pieces: [...special, ...pieces, ['he', -30, normal], ['▁t', -31, normal]],
    modelType: 2,
    unknownId: 0,
    characterMap: new Uint8Array([4, 0, 0, 0, 1, 0, 0, 0, 97, 0]),
  });
  const template = "{% for m in messages %}{{ m.role ~ ': ' ~ m.content }}{% endfor %}";
  return {
    place: /tokenizer|rows\.jsonl|template/,
    run: async (dice) => {
      await writeFile(join(model, 'tokenizer.model'), mutateMessage(message, dice));
      await readWith(model, path, template);
    },
  };
};

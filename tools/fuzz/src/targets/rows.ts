import { mutateJson } from '../mutate-json.js';
import { mutateText } from '../mutate-text.js';
import type { OpenTarget } from '../target.js';
import { addModel, rows, writeRows } from '../workplace.js';
import { readWith } from './read-rows.js';

const fragments = ['user', 'assistant', 'tool', '<|end|>', '<|start|>', ' ', '\ufeff'];

/** Rows. */
export const openRowsTarget: OpenTarget = async (place) => {
  const model = await addModel(place, 'rows');
  return {
    place: /rows\.jsonl/,
    run: async (dice) => {
      const lines = rows.map((row) =>
        dice.chance(0.6) ? mutateJson(row, dice, fragments) : JSON.stringify(row),
      );
      const text = dice.chance(0.2) ? `[${lines.join(',\n')}]` : lines.join('\n');
      const mutated = dice.chance(0.1) ? mutateText(text, dice, ['\r\n', '\n', ',', '\0']) : text;
      await readWith(model, await writeRows(model, [mutated]));
    },
  };
};

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openModel } from '@emloc/models';

import type { Dice } from '../dice.js';
import { mutateJson } from '../mutate-json.js';
import { joinTensors, readTensors, type ParsedTensors } from '../safetensors.js';
import type { OpenTarget } from '../target.js';
import { addModel } from '../workplace.js';

const fragments = ['F32', 'BF16', 'F33', 'model.norm.weight', 'lm_head.weight', '__metadata__'];

/** Headers of weights. */
export const openHeaderTarget: OpenTarget = async (place) => {
  const model = await addModel(place, 'header');
  const path = join(model, 'model.safetensors');
  const tensors = await readTensors(path);
  return {
    place: /model\.safetensors|config\.json|header/,
    run: async (dice) => {
      await writeFile(path, mutateTensors(tensors, dice));
      const opened = await openModel(model);
      await opened.close();
    },
  };
};

/** A file with another header, now and then with another length or cut. */
export function mutateTensors({ header, data }: ParsedTensors, dice: Dice): Uint8Array {
  const excess = dice.chance(0.1) ? dice.pick([-1n, 1n, 8n, 1n << 40n, -1n << 20n]) : 0n;
  const file = joinTensors(mutateJson(header, dice, fragments), data, excess);
  return dice.chance(0.05) ? file.subarray(0, dice.below(file.length)) : file;
}

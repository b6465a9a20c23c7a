import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openModel } from '@emloc/models';

import { mutateJson } from '../mutate-json.js';
import type { OpenTarget } from '../target.js';
import { addModel, readJson } from '../workplace.js';

const fragments = [
  'Qwen2ForCausalLM',
  'Gemma3ForConditionalGeneration',
  'gelu_pytorch_tanh',
  'yarn',
  'longrope',
  'full_attention',
  'bfloat16',
];

/** Configurations of models. */
export const openConfigTarget: OpenTarget = async (place) => {
  const model = await addModel(place, 'config');
  const path = join(model, 'config.json');
  const config = await readJson(path);
  return {
    place: /config\.json|model\.safetensors|\/config\b/,
    run: async (dice) => {
      await writeFile(path, mutateJson(config, dice, fragments));
      const opened = await openModel(model);
      await opened.close();
    },
  };
};

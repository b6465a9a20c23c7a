import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAdapter } from '@emloc/checkpoint';
import { linearModules } from '@emloc/models';

import { patterns } from '../hostile.js';
import { mutateJson } from '../mutate-json.js';
import { joinTensors, readTensors } from '../safetensors.js';
import type { OpenTarget } from '../target.js';
import { addAdapter, addModel, readJson } from '../workplace.js';
import { mutateTensors } from './header.js';

const fragments = [...patterns, 'q_proj', 'all-linear', 'LORA', 'CAUSAL_LM', 'lora_only'];

/** Configurations and weights of adapters. */
export const openAdapterTarget: OpenTarget = async (place) => {
  const model = await addModel(place, 'model');
  const { adapter, layout } = await addAdapter(place, model, 'adapter');
  const [configPath, path] = ['adapter_config.json', 'adapter_model.safetensors'].map((name) =>
    join(adapter, name),
  ) as [string, string];
  const [plain, tensors] = [await readJson(configPath), await readTensors(path)];
  const config = { ...(plain as object), rank_pattern: { q_proj: 2 }, alpha_pattern: { '.*': 4 } };
  const whole = joinTensors(JSON.stringify(tensors.header), tensors.data);
  return {
    place: /adapter/,
    run: async (dice) => {
      const isConfig = dice.chance(0.6);
      await writeFile(
        configPath,
        isConfig ? mutateJson(config, dice, fragments) : JSON.stringify(config),
      );
      await writeFile(path, isConfig ? whole : mutateTensors(tensors, dice));
      await readAdapter(adapter, { linearModules: linearModules(layout), base: model });
    },
  };
};

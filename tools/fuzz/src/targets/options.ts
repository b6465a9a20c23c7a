import { parseRatioRules, ratioOf } from '@emloc/emulator';
import { adaptedLinears } from '@emloc/finetune';

import { patterns } from '../hostile.js';
import { mutateText } from '../mutate-text.js';
import type { OpenTarget } from '../target.js';
import { addAdapter, addModel } from '../workplace.js';

const plain = ['.*q_proj', 'model\\.layers\\.[0-3]\\..*', '(?!.*mlp).*', '.*(?<!k)_proj'];
const fragments = [...patterns, '*', '+', '{1,1000}', '(', ')', '[', ']', '|', '\\', '?', '=0.5'];

/** Patterns of `--targets` and `--ratio`. */
export const openOptionsTarget: OpenTarget = async (place) => {
  const { layout } = await addAdapter(place, await addModel(place, 'options'), 'unused');
  return {
    place: /targets|ratio/,
    run: async (dice) => {
      const pattern = mutateText(dice.pick([...plain, ...patterns]), dice, fragments);
      if (dice.chance(0.5)) adaptedLinears(layout, pattern);
      else {
        const rules = parseRatioRules([`${pattern}=0.4`, '0.5']);
        for (const linear of layout.linears) ratioOf(rules, linear);
      }
      return Promise.resolve();
    },
  };
};

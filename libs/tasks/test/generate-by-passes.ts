import { at, get } from '@emloc/checked';
import {
  BreadthFirstPass,
  inferenceOrder,
  type DeviceAdapter,
  type PagedModel,
} from '@emloc/finetune';

import { TextPrompts } from '../src/text/text-prompts.js';

/**
 * The most likely tokens after a prompt, by a whole forward pass for every token: slow, and with no
 * cache to go wrong.
 */
export async function generateByPasses(
  model: PagedModel,
  prompt: Int32Array,
  { tokens, adapter = null }: { readonly tokens: number; readonly adapter?: DeviceAdapter | null },
): Promise<number[]> {
  const ids = [...prompt];
  while (ids.length < prompt.length + tokens) {
    const source = new TextPrompts([Int32Array.from(ids)]).prompts;
    model.pager.schedule(inferenceOrder(model.layout));
    const batches = { source, rows: [[0]] };
    using pass = new BreadthFirstPass({ model, batches, variants: [adapter] });
    for (const block of model.layout.blocks)
      await pass.run(block, {
        onResults: async (results) => {
          if (results.size === 0) return;
          ids.push(at([...(await model.device.download(get(results, 'predictions')))], 0));
        },
      });
  }
  return ids.slice(prompt.length);
}

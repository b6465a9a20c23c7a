import type { LoraAdapter } from '@emloc/checkpoint';
import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { layoutOf, lossBlock } from '@emloc/models';

import { DeviceAdapter } from './device-adapter.js';

const layout = layoutOf({
  architectures: ['Qwen2ForCausalLM'],
  hidden_size: 128,
  intermediate_size: 352,
  vocab_size: 2048,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 4,
});

/** LoRA of rank 1 on one module of these sizes. */
function adapterOn(path: string, inFeatures: number, outFeatures: number): LoraAdapter {
  const [a, b] = [new Float32Array(inFeatures), new Float32Array(outFeatures)];
  const layers = new Map([[path, { a, b, inFeatures, outFeatures }]]);
  return { rank: 1, alpha: 1, useRslora: false, targetModules: [path], layers };
}

describe('an adapter on a device', () => {
  it.each([
    ['a module that the model does not have', ['model.layers.0.x', 128, 128], false, 'no linear'],
    ['one of a block that it does not have', ['model.layers.9.mlp.up_proj', 128, 352], false, 'no'],
    ['another size', ['lm_head', 128, 2047], false, "2047 x 128, the model's 2048 x 128"],
    ['the head where it is to be trained', ['lm_head', 128, 2048], true, 'cannot be trained'],
  ] as const)(
    'is refused for %s, and leaves nothing',
    async (_name, [path, inFeatures, outFeatures], trainable, part) => {
      const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
      const adapter = adapterOn(path, inFeatures, outFeatures);
      const load = (): unknown => DeviceAdapter.load(device, layout, adapter, { trainable });
      expect(load).toThrow(
        expect.objectContaining({
          code: 'FINETUNE_INVALID_OPTION',
          message: expect.stringContaining(part),
        }),
      );
      expect(device.liveTensors).toBe(0);
      await device.close();
    },
  );

  it('is bound to the head, and to no other block', async () => {
    const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
    const host = adapterOn('lm_head', 128, 2048);
    const adapter = DeviceAdapter.load(device, layout, host, { trainable: false });
    const head = lossBlock(layout);
    expect(adapter.binding(head, 'lm_head')).toMatchObject({ rank: 1, scale: 1, gradients: null });
    for (const block of layout.blocks)
      expect(adapter.adaptedIn(block).size).toBe(block === head ? 1 : 0);
    adapter.dispose();
    expect(device.liveTensors).toBe(0);
    await device.close();
  });
});

import type { LoraAdapter } from '@emloc/checkpoint';
import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';

import { openFixture } from '../test/fixtures.js';
import { DeviceAdapter } from './device-adapter.js';

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
      const fixture = await openFixture('tiny-qwen2');
      const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
      const adapter = adapterOn(path, inFeatures, outFeatures);
      const load = (): unknown =>
        DeviceAdapter.load(device, fixture.model.layout, adapter, { trainable });
      expect(load).toThrow(
        expect.objectContaining({
          code: 'FINETUNE_INVALID_OPTION',
          message: expect.stringContaining(part),
        }),
      );
      expect(device.liveTensors).toBe(0);
      await device.close();
      await fixture.close();
    },
  );

  it('is bound to the head, and to no block', async () => {
    const fixture = await openFixture('tiny-qwen2');
    const { device, model } = fixture;
    const adapter = DeviceAdapter.load(device, model.layout, adapterOn('lm_head', 128, 2048), {
      trainable: false,
    });
    expect(adapter.headBinding).toMatchObject({ rank: 1, scale: 1, gradients: null });
    expect(adapter.lowestBlock).toBe(model.layout.blockCount);
    adapter.dispose();
    await fixture.close();
  });
});

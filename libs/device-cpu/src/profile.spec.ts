import { Device, MemoryBudget, type DType } from '@emloc/device';

import { cpuProfile, createCpuBackend } from './index.js';
import { Scratch, scratchBytes } from './scratch.js';
import { instantiateKernels } from './wasm.js';

describe('scratch', () => {
  test('a kernel cannot take more than it declares', () => {
    const scratch = new Scratch(instantiateKernels());
    expect(() => scratch.run(128, () => [scratch.take(64), scratch.take(65)])).toThrow(
      /takes 192 bytes of scratch, its profile declares 128/,
    );
    expect(scratch.run(128, () => [scratch.take(1), scratch.take(64)])).toEqual([64, 128]);
  });

  test('grows before a kernel looks at it, and views stay valid', () => {
    const scratch = new Scratch(instantiateKernels());
    scratch.run(2 ** 20, () => {
      const view = scratch.float32(scratch.take(2 ** 19), 2 ** 17);
      scratch.take(2 ** 19);
      view.fill(3);
      expect(view.at(-1)).toBe(3);
    });
    expect(scratchBytes(65)).toBe(128);
  });
});

describe('declared workspaces', () => {
  let state = 1;
  const random = (limit: number) => {
    state = (state * 48271) % 0x7fffffff;
    return 1 + (state % limit);
  };

  test('suffice for the portable code at any shape', async () => {
    const device = new Device(createCpuBackend({ blas: 'portable' }), new MemoryBudget(2 ** 30));
    const owned: { dispose(): void }[] = [];
    const zeros = (shape: number[], dtype: DType = 'float32') => {
      const tensor = device.allocate(shape, dtype, 'activations', 'x');
      device.kernels.fill({ out: tensor, value: 0 });
      owned.push(tensor);
      return tensor;
    };
    for (let round = 0; round < 30; round += 1) {
      const [m, n, k, heads, headLength] = [
        random(300),
        random(300),
        random(300),
        random(4),
        2 * random(20),
      ];
      device.kernels.gemm({ a: zeros([m, k]), b: zeros([k, n]), out: zeros([m, n]) });
      device.kernels.gram({ x: zeros([m, n]), out: zeros([n, n], 'float64') });
      const layout = {
        offsets: [0, m],
        deviceOffsets: zeros([2], 'int32'),
        positions: zeros([m], 'int32'),
        maxLength: m,
      };
      const [query, key] = [() => zeros([m, heads * headLength]), () => zeros([m, headLength])];
      const options = {
        q: query(),
        k: key(),
        v: key(),
        out: query(),
        logSumExp: zeros([heads, m]),
        sequences: layout,
        heads,
        kvHeads: 1,
        scale: 1,
      };
      device.kernels.attention(options);
      device.kernels.attentionBackward({
        ...options,
        dOut: query(),
        dQ: query(),
        dK: key(),
        dV: key(),
      });
      for (const tensor of owned.splice(0)) tensor.dispose();
    }
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
    await device.close();
  });

  test('of eigh are those of dsyevd', () => {
    const device = new Device(createCpuBackend({ blas: 'portable' }), new MemoryBudget(2 ** 20));
    const options = {
      a: device.allocate([10, 10], 'float64', 'statistics', 'a'),
      values: device.allocate([10], 'float64', 'statistics', 'w'),
    };
    expect(cpuProfile.workspaceBytes.eigh?.(options)).toBe(8 * (1 + 60 + 200) + 4 * 53);
  });
});

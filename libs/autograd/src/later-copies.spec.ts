import { Device, MemoryBudget, type BlockCopy, type Tensor } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';

import { LaterCopies } from './later-copies.js';

/** Copies of one number each, and how many launches it took to make them. */
function open() {
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 20));
  const launches: number[] = [];
  const kernels = {
    copyBlocks: (options: { readonly copies: readonly BlockCopy[] }) => {
      launches.push(options.copies.length);
      device.kernels.copyBlocks(options);
    },
  } as unknown as Device['kernels'];
  const later = new LaterCopies({ kernels });
  const outputs: Tensor[] = [];
  const add = (value: number): void => {
    using x = device.allocate([1, 1], 'float32', 'activations', 'x');
    device.kernels.fill({ out: x, value });
    const out = device.allocate([1, 1], 'float32', 'activations', 'out');
    outputs.push(out);
    later.add({ x, columns: 1, out });
  };
  const read = () => Promise.all(outputs.map(async (out) => (await device.download(out))[0]));
  return { device, later, launches, add, read };
}

test('four copies share a launch, the last ones what there is of them', async () => {
  const { device, later, launches, add, read } = open();
  for (const value of [1, 2, 3, 4, 5, 6]) add(value);
  expect(launches).toEqual([4]);
  later.launch();
  later.launch();
  expect(launches).toEqual([4, 2]);
  expect(await read()).toEqual([1, 2, 3, 4, 5, 6]);
  expect(device.liveTensors).toBe(6);
});

test('what was not launched is forgotten, its memory given back', () => {
  const { device, later, launches, add } = open();
  add(1);
  expect(device.liveTensors).toBe(2);
  later.dispose();
  later.launch();
  expect([launches, device.liveTensors]).toEqual([[], 1]);
});

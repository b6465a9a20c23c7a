import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';

import { StatisticsMemory } from './statistics-memory.js';

test('values of one block after another are brought to the same memory', async () => {
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 20));
  const rooms: number[] = [];
  const allocateHost = device.allocateHost.bind(device);
  device.allocateHost = (bytes) => {
    rooms.push(bytes);
    return allocateHost(bytes);
  };
  const tensorOf = (dtype: 'float32' | 'float64', values: readonly number[]) =>
    device.tensor(
      { bytes: new Uint8Array(Float64Array.from(values).buffer), dtype: 'float64' },
      [values.length],
      dtype,
      'statistics',
      'sums',
    );
  const wide = tensorOf('float64', [1, 2, 3]);
  const narrow = tensorOf('float32', [4, 5]);
  {
    await using memory = new StatisticsMemory(device);
    const first = await memory.download(wide);
    const second = await memory.download(narrow);
    expect([first, second]).toEqual([Float64Array.of(1, 2, 3), Float32Array.of(4, 5)]);
    memory.reuse();
    // The smallest room that is enough, in whatever order they are asked for.
    const again = await memory.download(narrow);
    expect(again.buffer).toBe(second.buffer);
    expect((await memory.download(wide)).buffer).toBe(first.buffer);
    await memory.download(narrow);
    expect(rooms).toEqual([24, 8, 8]);
  }
  wide.dispose();
  narrow.dispose();
  await device.close();
});

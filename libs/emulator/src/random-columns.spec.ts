import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';

import { PieceScope } from './piece-scope.js';
import { randomColumns } from './random-columns.js';

async function columnsOf(text: string, dtype: 'float32' | 'float64'): Promise<number[]> {
  await using device = new Device(createCpuBackend(), new MemoryBudget(2 ** 24));
  using scope = new PieceScope(device, 'test', { dtype });
  const columns = randomColumns(scope, [200, 37], text);
  expect(columns.dtype).toBe(dtype);
  const values = Array.from(await device.download(columns));
  scope.free(columns);
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
  return values;
}

test('are signs of equal odds, the same in every dtype for the same text', async () => {
  const values = await columnsOf('0 model.layers.0', 'float32');
  expect(new Set(values)).toEqual(new Set([-1, 1]));
  expect(Math.abs(values.reduce((sum, value) => sum + value, 0))).toBeLessThan(
    4 * Math.sqrt(values.length),
  );
  expect(await columnsOf('0 model.layers.0', 'float64')).toEqual(values);
  expect(await columnsOf('0 model.layers.1', 'float32')).not.toEqual(values);
});

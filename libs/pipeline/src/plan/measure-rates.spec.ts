import { Device, MemoryBudget, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { layoutOf } from '@emloc/models';

import { measureRates } from './measure-rates.js';
import { timeHost } from './time-launches.js';

const layout = layoutOf({
  architectures: ['Qwen2ForCausalLM'],
  hidden_size: 16,
  intermediate_size: 24,
  vocab_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
});
const beside: DeviceProfile = {
  ...{ name: 'beside', computeDType: 'bfloat16', statisticsDType: 'float64' },
  ...{ allocationBytes: 256, rankMultiple: 8, reserveBytes: 0, workspaceBytes: {} },
  ...{ overlapsCopies: true, launchOperations: 1e9 },
};

function deviceOf(profile: DeviceProfile) {
  const backend = createNullBackend(profile);
  return { backend, device: new Device(backend, new MemoryBudget(2 ** 30)) };
}

it('times short launches of a device that works beside the host as recordings', async () => {
  const { backend, device } = deviceOf(beside);
  const shape = { layout, sequences: 2, sequenceLength: 4, loraRank: 2 };
  const rates = await measureRates(device, shape);
  expect(Object.keys(rates.kernels).length).toBeGreaterThan(10);
  for (const rate of Object.values(rates.kernels)) expect(rate.secondsPerCall).toBeGreaterThan(0);
  expect(backend.launches.recorded).toBeGreaterThan(32 * 10);
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
});

it('times what launches take the host, with what a program does for them', async () => {
  const { device } = deviceOf(beside);
  const alone = await timeHost(device, 0);
  expect(alone.secondsPerLaunch).toBeGreaterThan(0);
  expect(alone.secondsPerRecordedLaunch).toBeGreaterThanOrEqual(0);
  expect((await timeHost(device, 1)).secondsPerLaunch).toBeGreaterThan(1);
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
});

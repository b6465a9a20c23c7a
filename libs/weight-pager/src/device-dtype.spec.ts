import { get } from '@emloc/checked';
import { Device, MemoryBudget } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';

import { simulatedProfile } from '../test/simulated-backend.js';
import { allDeviceBytes, openPager, type LayerSource } from './index.js';

const source: LayerSource = {
  layers: [
    {
      name: 'layers.0',
      tensors: [
        { name: 'weight', shape: [8, 8], dtype: 'float32' },
        { name: 'decay', shape: [16], dtype: 'bfloat16', deviceDType: 'float32' },
      ],
    },
  ],
  read: () => Promise.resolve(),
};

test('a tensor has the dtype that its spec asks for, and its layer is counted with it', async () => {
  const profile = { ...simulatedProfile, computeDType: 'bfloat16' } as const;
  const device = new Device(createNullBackend(profile), new MemoryBudget(Number.POSITIVE_INFINITY));
  const deviceBytes = allDeviceBytes(source, device);
  expect(deviceBytes).toBe(2 * 64 + 4 * 16);
  const pager = openPager({ device, source, deviceBytes, hostBytes: 1024 });
  const lease = await pager.acquire(0);
  expect(get(lease.tensors, 'weight').dtype).toBe('bfloat16');
  expect(get(lease.tensors, 'decay').dtype).toBe('float32');
  lease.release();
  await pager.close();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
});

import { Device, MemoryBudget } from '@emloc/device';

import { DeviceRegistryError, deviceTarget } from './index.js';

describe('devices by name', () => {
  it('opens the CPU with the threads that were asked for', async () => {
    const target = deviceTarget('cpu', 1);
    expect(target).toMatchObject({
      name: 'cpu',
      problem: null,
      description: expect.stringContaining('1 threads'),
    });
    const device = new Device(await target.open(Infinity), new MemoryBudget(Infinity));
    expect(device.profile).toBe(target.profile);
    await device.close();
  });

  it('tells a card that is not there from a name that is none', () => {
    expect(deviceTarget('cuda:99')).toMatchObject({
      name: 'cuda:99',
      problem: expect.any(String),
      profile: { computeDType: 'bfloat16' },
    });
    expect(() => deviceTarget('cuda:x')).toThrow(
      expect.objectContaining({
        code: 'DEVICE_UNKNOWN',
        message: expect.stringContaining('"cuda:x"'),
      }),
    );
  });

  it('opens plain TensorFlow.js, for tests, and never in place of a TensorFlow that is not installed', async () => {
    const target = deviceTarget('tfjs:cpu');
    expect(target).toMatchObject({
      name: 'tfjs:cpu',
      problem: null,
      description: expect.stringContaining('plain JavaScript'),
    });
    const device = new Device(await target.open(Infinity), new MemoryBudget(Infinity));
    expect(device.profile).toBe(target.profile);
    await device.close();
    expect(deviceTarget('tfjs').description).not.toContain('plain JavaScript');
  });

  it.each([0, 1.5, 1025, Number.NaN])('refuses %p threads', (threads) => {
    expect(() => deviceTarget('cpu', threads)).toThrow(DeviceRegistryError);
  });

  it('takes a device that can be had where none is named', () => {
    expect(deviceTarget().problem).toBeNull();
  });
});

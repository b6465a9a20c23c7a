import { deviceTarget } from '@emloc/device-registry';

import { slowedTarget } from './bench-device.js';

describe('a card over a slower link', () => {
  it('is what --link-gbps needs, with a rate', () => {
    const cpu = deviceTarget('cpu');
    expect(() => slowedTarget('cpu', cpu, 1e9)).toThrow('cpu has no link');
    expect(() => slowedTarget('cuda', cpu, 0)).toThrow('a rate above 0');
    expect(() => slowedTarget('cuda', cpu, Number.NaN)).toThrow('a rate above 0');
    expect(slowedTarget('cuda:1', cpu, 25e9).profile).toBe(cpu.profile);
  });
});

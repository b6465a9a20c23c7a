import { DeviceError } from '@emloc/device';

import { deviceTarget } from './device-target.js';
import { cardNames, plannedCard } from './index.js';

it('knows the cards that are planned for', () => {
  expect(cardNames).toEqual(['rtx3090', 'rtx4090', 'rtx5090', 'l4', 'a100', 'h100']);
});

describe.each(cardNames)('a planned %s', (name) => {
  const { sheet, target, budgetBytes } = plannedCard(name);

  it('behaves in memory like the CUDA device', () => {
    const { workspaceBytes, ...profile } = target.profile;
    const { workspaceBytes: expected, ...cuda } = deviceTarget('cuda:99').profile;
    const launchOperations = expect.closeTo(8.1e-6 * sheet.flopsPerSecond, -3) as number;
    const hasFastFloat64 = ['a100', 'h100'].includes(name);
    expect(profile).toEqual({ ...cuda, hasFastFloat64, launchOperations });
    expect(Object.keys(workspaceBytes)).toEqual(Object.keys(expected));
  });

  it('leaves of its memory what a driver takes', () => {
    expect(sheet.reportedBytes - budgetBytes).toBe(target.profile.reserveBytes);
  });

  it('has rates, and is never opened', async () => {
    expect(target.ratesElsewhere).toBeDefined();
    expect(target.problem).toContain(sheet.product);
    await expect(target.open(budgetBytes)).rejects.toThrow(DeviceError);
    await expect(target.open(budgetBytes)).rejects.toMatchObject({ code: 'DEVICE_UNAVAILABLE' });
  });
});

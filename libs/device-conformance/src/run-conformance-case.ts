import assert from 'node:assert/strict';
import { Device, MemoryBudget, type Backend } from '@emloc/device';

import { conformanceBudgetBytes, type ConformanceCase } from './conformance-cases.js';

/**
 * Runs one case on a device and a budget of its own over `backend`, which stays open. Needs nothing
 * but Node.
 * @throws AssertionError where the device behaves otherwise, or tensors or bytes are left in use
 */
export async function runConformanceCase(
  backend: Backend,
  conformanceCase: ConformanceCase,
): Promise<void> {
  const budget = new MemoryBudget(backend.profile.reserveBytes + 2 * conformanceBudgetBytes);
  const device = new Device(backend, budget);
  await conformanceCase.run(device);
  assert.equal(device.liveTensors, 0, 'tensors left');
  assert.equal(budget.inUseBytes, backend.profile.reserveBytes, 'bytes left in use');
}

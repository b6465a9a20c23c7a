import assert from 'node:assert/strict';
import type { Device } from '@emloc/device';

import type { CaseDefinition } from './case.js';
import { adamwCases } from './cases/adamw.js';
import { attentionCases } from './cases/attention.js';
import { copyBlocksCases } from './cases/copy-blocks.js';
import { crossEntropyCases } from './cases/cross-entropy.js';
import { determinismCases } from './cases/determinism.js';
import { elementwiseCases } from './cases/elementwise.js';
import { gemmCases } from './cases/gemm.js';
import { memoryCases } from './cases/memory.js';
import { outerProductsCases } from './cases/outer-products.js';
import { rmsNormCases } from './cases/rms-norm.js';
import { ropeCases } from './cases/rope.js';
import { rowsCases } from './cases/rows.js';
import { statisticsCases } from './cases/statistics.js';
import { swigluCases } from './cases/swiglu.js';
import { workspaceCases } from './cases/workspace.js';
import { defaultTolerance, Fixture, type Tolerance } from './fixture.js';
import { createRandom } from './random.js';

/** One behaviour of a device. */
export interface ConformanceCase {
  readonly group: string;
  readonly name: string;
  /**
   * @throws AssertionError where the device behaves otherwise, or leaves a tensor or a reservation
   * behind
   */
  run(device: Device): Promise<void>;
}

export interface ConformanceOptions {
  /**
   * Largest difference as a share of the largest reference value; by default 1e-5, 1e-2 and 1e-10.
   */
  readonly tolerance?: Partial<Tolerance>;
  /** Of the random inputs. */
  readonly seed?: number;
}

/** Budget that the suite's device must have at least. */
export const conformanceBudgetBytes = 256 * 2 ** 20;

const definitions: readonly CaseDefinition[] = [
  ...memoryCases,
  ...workspaceCases,
  ...gemmCases,
  ...rmsNormCases,
  ...ropeCases,
  ...attentionCases,
  ...swigluCases,
  ...rowsCases,
  ...copyBlocksCases,
  ...outerProductsCases,
  ...crossEntropyCases,
  ...elementwiseCases,
  ...adamwCases,
  ...statisticsCases,
  ...determinismCases,
];

/**
 * All cases, as data: they need nothing but Node, and a device with a finite budget of
 * `conformanceBudgetBytes` or more.
 */
export function conformanceCases({
  tolerance,
  seed = 0,
}: ConformanceOptions = {}): readonly ConformanceCase[] {
  const limits = { ...defaultTolerance, ...tolerance };
  return definitions.map(({ group, name, check }) => ({
    group,
    name,
    run: async (device) => {
      const [tensors, bytes] = [device.liveTensors, device.budget.inUseBytes];
      const fixture = new Fixture(device, createRandom(`${group} ${name}`, seed), limits);
      try {
        await check(fixture);
      } finally {
        await device.synchronize().finally(() => fixture.dispose());
      }
      assert.deepEqual(
        [device.liveTensors, device.budget.inUseBytes],
        [tensors, bytes],
        'tensors and bytes left behind',
      );
    },
  }));
}

import assert from 'node:assert/strict';
import type { Device } from '@emloc/device';

import type { CaseDefinition } from './case.js';
import { activationCases } from './cases/activation.js';
import { adamwCases } from './cases/adamw.js';
import { addBiasCases } from './cases/add-bias.js';
import { addCases } from './cases/add.js';
import { attentionCases } from './cases/attention.js';
import { castCases } from './cases/cast.js';
import { causalConvolutionCases } from './cases/causal-convolution.js';
import { choleskyCases } from './cases/cholesky.js';
import { copyBlocksCases } from './cases/copy-blocks.js';
import { crossEntropyCases } from './cases/cross-entropy.js';
import { decodeAttentionCases } from './cases/decode-attention.js';
import { deltaGatesCases } from './cases/delta-gates.js';
import { dequantizeCases } from './cases/dequantize.js';
import { doraGateCases } from './cases/dora-gate.js';
import { dropoutCases } from './cases/dropout.js';
import { eighCases } from './cases/eigh.js';
import { fillCases } from './cases/fill.js';
import { gatedActivationCases } from './cases/gated-activation.js';
import { gatedAddCases } from './cases/gated-add.js';
import { gatedDeltaRuleCases } from './cases/gated-delta-rule.js';
import { gatherPatchesCases } from './cases/gather-patches.js';
import { gatherRowsCases } from './cases/gather-rows.js';
import { gemmCases } from './cases/gemm.js';
import { gramCases } from './cases/gram.js';
import { groupNormCases } from './cases/group-norm.js';
import { l2NormCases } from './cases/l2-norm.js';
import { layerNormCases } from './cases/layer-norm.js';
import { modulateCases } from './cases/modulate.js';
import { mseLossCases } from './cases/mse-loss.js';
import { outerProductsCases } from './cases/outer-products.js';
import { prodigyMomentsCases } from './cases/prodigy-moments.js';
import { prodigyUpdateCases } from './cases/prodigy-update.js';
import { rmsNormCases } from './cases/rms-norm.js';
import { ropeCases } from './cases/rope.js';
import { scaleByCases } from './cases/scale-by.js';
import { scaleCases } from './cases/scale.js';
import { scatterRowsCases } from './cases/scatter-rows.js';
import { solveTriangularCases } from './cases/solve-triangular.js';
import { squaredNormsCases } from './cases/squared-norms.js';
import { determinismCases } from './device-cases/determinism.js';
import { memoryCases } from './device-cases/memory.js';
import { workspaceCases } from './device-cases/workspace.js';
import { defaultTolerance, Fixture, type Tolerance } from './fixture.js';
import { createRandom } from './random.js';
import { ReferenceResults } from './reference-results.js';

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
  ...layerNormCases,
  ...groupNormCases,
  ...ropeCases,
  ...attentionCases,
  ...decodeAttentionCases,
  ...causalConvolutionCases,
  ...l2NormCases,
  ...deltaGatesCases,
  ...gatedDeltaRuleCases,
  ...activationCases,
  ...gatedActivationCases,
  ...gatherRowsCases,
  ...gatherPatchesCases,
  ...scatterRowsCases,
  ...copyBlocksCases,
  ...outerProductsCases,
  ...crossEntropyCases,
  ...mseLossCases,
  ...addCases,
  ...addBiasCases,
  ...fillCases,
  ...castCases,
  ...dequantizeCases,
  ...scaleCases,
  ...scaleByCases,
  ...dropoutCases,
  ...doraGateCases,
  ...modulateCases,
  ...gatedAddCases,
  ...squaredNormsCases,
  ...adamwCases,
  ...prodigyMomentsCases,
  ...prodigyUpdateCases,
  ...gramCases,
  ...eighCases,
  ...choleskyCases,
  ...solveTriangularCases,
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
  const results = new ReferenceResults();
  return definitions.map(({ group, name, check }) => ({
    group,
    name,
    run: async (device) => {
      const [tensors, bytes] = [device.liveTensors, device.budget.inUseBytes];
      const { computeDType, statisticsDType } = device.profile;
      const fixture = new Fixture(
        device,
        createRandom(`${group} ${name}`, seed),
        limits,
        results.of(`${group} ${name} ${computeDType} ${statisticsDType}`),
      );
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

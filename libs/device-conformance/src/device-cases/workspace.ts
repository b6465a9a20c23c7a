import assert from 'node:assert/strict';
import type { KernelName, KernelOptions } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';

type Launch = { readonly [K in KernelName]?: (fixture: Fixture) => KernelOptions<K> };

/** Options of every kernel that may need more than its operands. */
const launches: Launch = {
  gemm: (fixture) => ({
    a: fixture.tensor(fixture.values([70, 41]), [70, 41]),
    b: fixture.tensor(fixture.values([41, 33]), [41, 33]),
    out: fixture.output([70, 33]),
  }),
  attention: attentionOptions,
  attentionBackward: (fixture) => {
    const [dQ, dK, dV] = [
      fixture.output([80, 64]),
      fixture.output([80, 32]),
      fixture.output([80, 32]),
    ];
    const [out, dOut] = [0, 1].map(() => fixture.tensor(fixture.values([80, 64]), [80, 64])) as [
      typeof dQ,
      typeof dQ,
    ];
    const logSumExp = fixture.tensor(fixture.values([4, 80], { dtype: 'float32' }), [4, 80], {
      dtype: 'float32',
    });
    return { ...attentionOptions(fixture), out, dOut, logSumExp, dQ, dK, dV };
  },
  decodeAttention: (fixture) => {
    const integers = (numbers: readonly number[]) =>
      fixture.tensor(numbers, [numbers.length], { dtype: 'int32' });
    const [starts, lengths] = [
      [0, 70],
      [70, 600],
    ];
    const cached = () => fixture.tensor(fixture.values([700, 32]), [700, 32]);
    return {
      ...{ q: fixture.tensor(fixture.values([2, 64]), [2, 64]), keys: cached(), values: cached() },
      cache: {
        ...{ starts, lengths },
        ...{ deviceStarts: integers(starts), deviceLengths: integers(lengths) },
      },
      ...{ heads: 4, kvHeads: 2, scale: 0.25, softCap: 3, out: fixture.output([2, 64]) },
    };
  },
  causalConvolution: (fixture) => ({
    ...convolutionOptions(fixture),
    out: fixture.output([80, 40]),
  }),
  causalConvolutionBackward: (fixture) => ({
    ...convolutionOptions(fixture),
    dOut: fixture.tensor(fixture.values([80, 40]), [80, 40]),
    dX: fixture.output([80, 40]),
  }),
  gatedDeltaRule: (fixture) => ({
    ...ruleOptions(fixture),
    out: fixture.output([80, 96]),
    states: null,
  }),
  gatedDeltaRuleBackward: (fixture) => ({
    ...ruleOptions(fixture),
    dOut: fixture.tensor(fixture.values([80, 96]), [80, 96]),
    states: fixture.tensor(new Float64Array(4 * 16 * 24 * 4), [4, 4, 16, 24], {
      dtype: 'float32',
    }),
    ...{ dQ: fixture.output([80, 32]), dK: fixture.output([80, 32]) },
    dV: fixture.output([80, 96]),
    dDecay: fixture.output([80, 4], 'float32'),
    dStrength: fixture.output([80, 4], 'float32'),
  }),
  activation: (fixture) => ({
    x: fixture.tensor(fixture.values([9, 31]), [9, 31]),
    kind: 'gelu',
    out: fixture.output([9, 31]),
  }),
  activationBackward: (fixture) => ({
    dOut: fixture.tensor(fixture.values([9, 31]), [9, 31]),
    x: fixture.tensor(fixture.values([9, 31]), [9, 31]),
    kind: 'gelu',
    dX: fixture.output([9, 31]),
  }),
  gatedActivation: (fixture) => ({
    gate: fixture.tensor(fixture.values([9, 31]), [9, 31]),
    up: fixture.tensor(fixture.values([9, 31]), [9, 31]),
    kind: 'silu',
    out: fixture.output([9, 31]),
  }),
  crossEntropy: (fixture) => ({
    logits: fixture.tensor(fixture.values([3, 1001]), [3, 1001]),
    targets: fixture.tensor([0, -1, 1000], [3], { dtype: 'int32' }),
    loss: fixture.output([3], 'float32'),
    prediction: fixture.output([3], 'int32'),
    gradientScale: fixture.scalar(1),
    softCap: 30,
  }),
  outerProducts: (fixture) => ({
    products: [8, 5].map((leftColumns) => ({
      left: fixture.tensor(fixture.values([70, 8]), [70, 8]),
      leftColumns,
      right: fixture.tensor(fixture.values([70, 40]), [70, 40]),
      out: fixture.tensor(new Float64Array(40 * leftColumns), [leftColumns, 40], {
        dtype: 'float32',
      }),
    })),
  }),
  squaredNorms: (fixture) => ({
    tensors: [fixture.tensor(fixture.values([70_001]), [70_001])],
    out: fixture.output([1], 'float32'),
  }),
  groupNorm: (fixture) => ({
    x: fixture.tensor(fixture.values([1000, 24]), [1000, 24]),
    ...{ groups: 4, epsilon: 1e-6, sequences: fixture.sequences([990, 10]), activation: 'silu' },
    weight: fixture.tensor(fixture.values([24]), [24]),
    bias: fixture.tensor(fixture.values([24]), [24]),
    out: fixture.output([1000, 24]),
  }),
  gatherPatches: (fixture) => ({
    x: fixture.tensor(fixture.values([12, 5]), [12, 5]),
    ...{ height: 3, width: 4, size: 3, stride: 1, before: 1, outWidth: 4, first: 0 },
    out: fixture.output([12, 45]),
  }),
  gram: (fixture) => ({
    x: fixture.tensor(fixture.values([150, 33]), [150, 33]),
    out: fixture.tensor(new Float64Array(33 * 33), [33, 33], { dtype: fixture.statistics }),
  }),
};

function convolutionOptions(fixture: Fixture) {
  return {
    x: fixture.tensor(fixture.values([80, 40]), [80, 40]),
    weight: fixture.tensor(fixture.values([40, 4]), [40, 4]),
    sequences: fixture.sequences([1, 70, 9]),
  };
}

function ruleOptions(fixture: Fixture) {
  const gates = { dtype: 'float32' } as const;
  return {
    q: fixture.tensor(fixture.values([80, 32]), [80, 32]),
    k: fixture.tensor(fixture.values([80, 32], { scale: 0.4 }), [80, 32]),
    v: fixture.tensor(fixture.values([80, 96]), [80, 96]),
    decay: fixture.tensor(new Float64Array(80 * 4).fill(-0.1), [80, 4], gates),
    strength: fixture.tensor(new Float64Array(80 * 4).fill(0.5), [80, 4], gates),
    sequences: fixture.sequences([1, 70, 9]),
    ...{ keyHeads: 2, valueHeads: 4 },
  };
}

function attentionOptions(fixture: Fixture): KernelOptions<'attention'> {
  const [q, k, v] = [
    [80, 64],
    [80, 32],
    [80, 32],
  ].map((shape) => fixture.tensor(fixture.values(shape), shape)) as [never, never, never];
  const sequences = fixture.sequences([1, 70, 9]);
  return {
    q,
    k,
    v,
    sequences,
    heads: 4,
    kvHeads: 2,
    scale: 0.25,
    out: fixture.output([80, 64]),
    logSumExp: fixture.output([4, 80], 'float32'),
  };
}

/**
 * The peak of a call is what was in use plus the workspace that the profile declares; nothing of it
 * stays.
 */
async function check<K extends KernelName>(
  fixture: Fixture,
  name: K,
  options: KernelOptions<K>,
): Promise<void> {
  const { budget, kernels, profile } = fixture.device;
  const declared = profile.workspaceBytes[name]?.(options) ?? 0;
  const before = budget.inUseBytes;
  const scope = budget.openPeakScope();
  await (kernels[name] as (given: KernelOptions<K>) => void | Promise<unknown>)(options);
  assert.equal(scope.close() - before, declared, `${name}: workspace at the peak`);
  assert.equal(budget.inUseBytes, before, `${name}: bytes in use after the call`);
}

export const workspaceCases: readonly CaseDefinition[] = group('workspace', {
  'of attention, heads of 512, is what the profile declares, for the call only': (fixture) => {
    const [q, k, v, out] = [0, 1, 2, 3].map(() =>
      fixture.tensor(fixture.values([200, 512]), [200, 512]),
    ) as [never, never, never, never];
    const sequences = fixture.sequences([150, 50]);
    const logSumExp = fixture.output([1, 200], 'float32');
    const mask = { kind: 'none' } as const;
    const shape = { heads: 1, kvHeads: 1, scale: 0.05, mask };
    return check(fixture, 'attention', { q, k, v, sequences, ...shape, out, logSumExp });
  },
  ...Object.fromEntries(
    Object.entries(launches).map(([name, options]) => [
      `of ${name} is what the profile declares, for the call only`,
      (fixture: Fixture) =>
        check(
          fixture,
          name as KernelName,
          (options as (given: Fixture) => KernelOptions<KernelName>)(fixture),
        ),
    ]),
  ),
});

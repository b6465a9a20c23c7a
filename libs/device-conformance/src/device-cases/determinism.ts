import assert from 'node:assert/strict';
import type { AttentionOptions, Tensor } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';

/** Runs twice, on fresh outputs at other addresses, and compares bits. */
async function assertRepeatable(
  fixture: Fixture,
  run: () => Promise<Tensor[]> | Tensor[],
): Promise<void> {
  const first = await Promise.all((await run()).map((tensor) => fixture.bytes(tensor)));
  fixture.output([17]);
  const second = await Promise.all((await run()).map((tensor) => fixture.bytes(tensor)));
  assert.ok(first.length > 0);
  assert.deepEqual(second, first);
}

function assertAttentionRepeatable(
  fixture: Fixture,
  headLength: number,
  scoring: Pick<AttentionOptions, 'mask' | 'softCap'>,
): Promise<void> {
  const [rows, heads, kvHeads] = [131, 2, 1];
  const [shape, keyShape] = [
    [rows, heads * headLength],
    [rows, kvHeads * headLength],
  ];
  const [q, k, v, dOut] = [
    fixture.values(shape),
    fixture.values(keyShape),
    fixture.values(keyShape),
    fixture.values(shape),
  ];
  return assertRepeatable(fixture, () => {
    const [out, logSumExp] = [fixture.output(shape), fixture.output([heads, rows], 'float32')];
    const [dQ, dK, dV] = [
      fixture.output(shape),
      fixture.output(keyShape),
      fixture.output(keyShape),
    ];
    const options = {
      q: fixture.tensor(q, shape),
      k: fixture.tensor(k, keyShape),
      v: fixture.tensor(v, keyShape),
      sequences: fixture.sequences([100, 31]),
      heads,
      kvHeads,
      scale: headLength ** -0.5,
      out,
      logSumExp,
      ...scoring,
    };
    fixture.device.kernels.attention(options);
    fixture.device.kernels.attentionBackward({
      ...options,
      dOut: fixture.tensor(dOut, shape),
      dQ,
      dK,
      dV,
    });
    return [out, logSumExp, dQ, dK, dV];
  });
}

function assertRuleRepeatable(fixture: Fixture): Promise<void> {
  const [lengths, heads, state] = [[100, 31], 4, [2, 4, 16, 16]];
  const [keyShape, shape, gates] = [
    [131, 2 * 16],
    [131, heads * 16],
    [131, heads],
  ] as const;
  const [q, k] = [fixture.values(keyShape), fixture.values(keyShape, { scale: 0.4 })];
  const [v, dOut] = [fixture.values(shape), fixture.values(shape)];
  const gate = fixture.values(gates, { scale: 0.4, dtype: 'float32' });
  const asFloat32 = { dtype: 'float32' } as const;
  return assertRepeatable(fixture, () => {
    const options = {
      q: fixture.tensor(q, keyShape),
      k: fixture.tensor(k, keyShape),
      v: fixture.tensor(v, shape),
      decay: fixture.tensor(
        gate.map((value) => value - 0.4),
        gates,
        asFloat32,
      ),
      strength: fixture.tensor(
        gate.map((value) => value + 0.5),
        gates,
        asFloat32,
      ),
      sequences: fixture.sequences(lengths),
      ...{ keyHeads: 2, valueHeads: heads },
      states: fixture.output([3, ...state.slice(1)], 'float32'),
    };
    const [out, finalState] = [fixture.output(shape), fixture.output(state, 'float32')];
    const [dQ, dK, dV] = [
      fixture.output(keyShape),
      fixture.output(keyShape),
      fixture.output(shape),
    ];
    const [dDecay, dStrength] = [
      fixture.output(gates, 'float32'),
      fixture.output(gates, 'float32'),
    ];
    fixture.device.kernels.gatedDeltaRule({ ...options, out, finalState });
    const written = { dQ, dK, dV, dDecay, dStrength };
    fixture.device.kernels.gatedDeltaRuleBackward({
      ...{ ...options, dOut: fixture.tensor(dOut, shape), ...written },
    });
    return [out, finalState, ...Object.values(written)];
  });
}

export const determinismCases: readonly CaseDefinition[] = group('determinism', {
  gemm: (fixture) => {
    const [a, b] = [fixture.values([67, 129]), fixture.values([129, 131])];
    return assertRepeatable(fixture, () => {
      const out = fixture.output([67, 131]);
      fixture.device.kernels.gemm({
        a: fixture.tensor(a, [67, 129]),
        b: fixture.tensor(b, [129, 131]),
        out,
      });
      return [out];
    });
  },
  'the gated delta rule and its backward': assertRuleRepeatable,
  'attention and its backward': (fixture) => assertAttentionRepeatable(fixture, 16, {}),
  'attention in a window with a soft cap, heads of 256': (fixture) =>
    assertAttentionRepeatable(fixture, 256, { mask: { kind: 'window', window: 40 }, softCap: 3 }),
  groupNorm: (fixture) => {
    const size = [700, 512];
    const x = fixture.values(size);
    const parameter = fixture.values([512]);
    return assertRepeatable(fixture, () => {
      const sequences = fixture.sequences([650, 50]);
      const [values, out] = [fixture.tensor(x, size), fixture.output(size)];
      const [weight, bias] = [parameter, parameter].map((given) =>
        fixture.tensor(given, [512]),
      ) as [Tensor, Tensor];
      const options = { x: values, groups: 32, weight, bias, epsilon: 1e-6, sequences, out };
      fixture.device.kernels.groupNorm(options);
      return [out];
    });
  },
  'attention with a head of 512': (fixture) => {
    const size = [180, 512];
    const [given, x] = [fixture.values(size), fixture.values(size)];
    return assertRepeatable(fixture, () => {
      const [q, v, out] = [
        fixture.tensor(given, size),
        fixture.tensor(x, size),
        fixture.output(size),
      ];
      const logSumExp = fixture.output([1, 180], 'float32');
      const options = { q, k: q, v, sequences: fixture.sequences([130, 50]), out, logSumExp };
      const mask = { kind: 'none' } as const;
      fixture.device.kernels.attention({ ...options, heads: 1, kvHeads: 1, scale: 0.05, mask });
      return [out, logSumExp];
    });
  },
  outerProducts: (fixture) => {
    const [left, right] = [fixture.values([1100, 24]), fixture.values([1100, 264])];
    return assertRepeatable(fixture, () => {
      const out = fixture.tensor(new Float64Array(8 * 264), [8, 264], { dtype: 'float32' });
      fixture.device.kernels.outerProducts({
        products: [
          {
            left: fixture.tensor(left, [1100, 24]),
            leftColumn: 8,
            leftColumns: 8,
            right: fixture.tensor(right, [1100, 264]),
            out,
          },
        ],
      });
      return [out];
    });
  },
  'crossEntropy, squaredNorms and gram': (fixture) => {
    const x = fixture.values([70, 333]);
    const targets = fixture.indices(70, 333);
    return assertRepeatable(fixture, () => {
      const [loss, prediction, norm] = [
        fixture.output([70], 'float32'),
        fixture.output([70], 'int32'),
        fixture.output([1], 'float32'),
      ];
      const sums = fixture.tensor(new Float64Array(333 * 333), [333, 333], {
        dtype: fixture.statistics,
      });
      const logits = fixture.tensor(x, [70, 333]);
      fixture.device.kernels.gram({ x: logits, out: sums });
      fixture.device.kernels.crossEntropy({
        logits,
        targets: fixture.tensor(targets, [70], { dtype: 'int32' }),
        loss,
        prediction,
        gradientScale: fixture.scalar(1),
      });
      fixture.device.kernels.squaredNorms({ tensors: [logits], out: norm });
      return [logits, loss, prediction, norm, sums];
    });
  },
  'layerNorm, mseLoss and sums over sequences': (fixture) => {
    const [lengths, width] = [[150, 3], 70];
    const size = [153, width];
    const [x, dOut] = [fixture.values(size), fixture.values(size)];
    const scale = fixture.values([2, width]);
    return assertRepeatable(fixture, () => {
      const sequences = fixture.sequences(lengths);
      const [values, gradient] = [fixture.tensor(x, size), fixture.tensor(dOut, size)];
      const factors = fixture.tensor(scale, [2, width]);
      const [out, dX] = [fixture.output(size), fixture.output(size)];
      const [mean, inverseStd, loss] = [0, 1, 2].map(() => fixture.output([153], 'float32')) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const [dScale, dShift, dGate] = [0, 1, 2].map(() => fixture.output([2, width])) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const { kernels } = fixture.device;
      const parameters = { weight: null, bias: null, epsilon: 1e-5 };
      kernels.layerNorm({ x: values, ...parameters, out, mean, inverseStd });
      const common = { dOut: gradient, x: values, sequences, dX };
      kernels.modulateBackward({ ...common, scale: factors, dScale, dShift });
      kernels.gatedAddBackward({ ...common, gate: factors, accumulate: true, dGate });
      const gradientScale = fixture.scalar(1);
      kernels.mseLoss({ prediction: gradient, target: values, loss, gradientScale });
      return [out, mean, inverseStd, dX, dScale, dShift, dGate, gradient, loss];
    });
  },
  adamw: (fixture) => {
    const [value, gradient] = [
      fixture.values([5003], { dtype: 'float32' }),
      fixture.values([5003], { dtype: 'float32' }),
    ];
    return assertRepeatable(fixture, () => {
      const [parameter, first, second] = [
        value,
        new Float64Array(5003),
        new Float64Array(5003),
      ].map((values) => fixture.tensor(values, [5003], { dtype: 'float32' })) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const gradients = [fixture.tensor(gradient, [5003], { dtype: 'float32' })];
      const squaredGradientNorms = fixture.output([1], 'float32');
      fixture.device.kernels.squaredNorms({ tensors: gradients, out: squaredGradientNorms });
      fixture.device.kernels.adamw({
        parameters: [parameter],
        gradients,
        firstMoments: [first],
        secondMoments: [second],
        squaredGradientNorms,
        maxGradientNorm: 1,
        learningRate: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0.1,
        step: 1,
      });
      return [parameter, first, second];
    });
  },
  'prodigyMoments and prodigyUpdate': (fixture) => {
    const size = 40_000;
    const [value, start, gradient, sum] = [0, 1, 2, 3].map(() =>
      fixture.values([size], { dtype: 'float32' }),
    );
    return assertRepeatable(fixture, () => {
      const one = (values: ArrayLike<number> = new Float64Array(size)): Tensor[] => [
        fixture.tensor(values, [size], { dtype: 'float32' }),
      ];
      const [parameters, firstMoments, secondMoments] = [one(value), one(), one()];
      const [gradients, gradientSums] = [one(gradient), one(sum)];
      const [squaredGradientNorms, alignments, magnitudes] = [0, 1, 2].map(() =>
        fixture.output([1], 'float32'),
      ) as [Tensor, Tensor, Tensor];
      const { kernels } = fixture.device;
      kernels.squaredNorms({ tensors: gradients, out: squaredGradientNorms });
      const state = { parameters, firstMoments, secondMoments };
      kernels.prodigyMoments({
        ...{ ...state, starts: one(start), gradients, gradientSums, squaredGradientNorms },
        ...{ maxGradientNorm: 1, beta1: 0.9, beta2: 0.999, distance: 0.1, firstDistance: 1e-6 },
        ...{ alignments, magnitudes },
      });
      kernels.prodigyUpdate({ ...state, stepSize: 0.1, epsilon: 1e-9, weightDecay: 0.1 });
      return [...parameters, ...gradientSums, alignments, magnitudes];
    });
  },
  'eigh and cholesky': (fixture) => {
    const [n, dtype] = [48, fixture.statistics];
    const x = fixture.values([60, n]);
    return assertRepeatable(fixture, async () => {
      const [a, b] = [1, 2].map(() =>
        fixture.tensor(new Float64Array(n * n), [n, n], { dtype }),
      ) as [Tensor, Tensor];
      const values = fixture.output([n], dtype);
      for (const out of [a, b]) fixture.device.kernels.gram({ x: fixture.tensor(x, [60, n]), out });
      await fixture.device.kernels.eigh({ a, values });
      assert.equal(await fixture.device.kernels.cholesky({ a: b }), true);
      return [a, values, b];
    });
  },
});

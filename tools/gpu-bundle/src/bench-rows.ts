import type { Tensor } from '@emloc/device';

import { measure, type Group } from './bench-lab.js';

export const benchElementwise: Group = async (device, operands, report) => {
  const { kernels } = device;
  const [rows, width, inner, vocabulary] = [8192, 3584, 18944, 152_064];
  const [x, y, z] = [
    operands.random([rows, width]),
    operands.random([rows, width]),
    operands.random([rows, width]),
  ];
  const [weight, inverseRms] = [operands.random([width]), operands.empty([rows], 'float32')];
  const bytes = 2 * rows * width;
  report(
    await measure(device, 'rmsNorm', { bytes: 2 * bytes }, () =>
      kernels.rmsNorm({ x, weight, epsilon: 1e-6, out: y, inverseRms }),
    ),
  );
  report(
    await measure(device, 'rmsNormBackward', { bytes: 3 * bytes }, () =>
      kernels.rmsNormBackward({ dOut: y, x, weight, inverseRms, dX: z }),
    ),
  );
  const [cos, sin] = [
    operands.random([1024, 64], 'float32'),
    operands.random([1024, 64], 'float32'),
  ];
  const positions = operands.integers(Array.from({ length: rows }, (_, row) => row % 1024));
  report(
    await measure(device, 'rope', { bytes: 2 * bytes }, () =>
      kernels.rope({ x, out: y, cos, sin, positions, heads: 28 }),
    ),
  );
  report(await measure(device, 'add', { bytes: 3 * bytes }, () => kernels.add({ x, out: y })));
  report(
    await measure(device, 'addBias', { bytes: 2 * bytes }, () =>
      kernels.addBias({ bias: weight, out: y }),
    ),
  );
  report(
    await measure(device, 'scale', { bytes: 2 * bytes }, () =>
      kernels.scale({ x, scale: weight, along: 'columns', out: y }),
    ),
  );
  report(await measure(device, 'fill', { bytes }, () => kernels.fill({ out: y, value: 1 })));
  const wide = operands.empty([rows, width], 'float32');
  report(
    await measure(device, 'cast bfloat16 to float32', { bytes: 3 * bytes }, () =>
      kernels.cast({ x, out: wide }),
    ),
  );
  report(
    await measure(device, 'gatherRows', { bytes: 2 * bytes }, () =>
      kernels.gatherRows({ table: x, rows: positions, out: y }),
    ),
  );
  const [gate, up, out] = [
    operands.random([2048, inner]),
    operands.random([2048, inner]),
    operands.random([2048, inner]),
  ];
  const innerBytes = 2 * 2048 * inner;
  report(
    await measure(device, 'gatedActivation', { bytes: 3 * innerBytes }, () =>
      kernels.gatedActivation({ gate, up, kind: 'silu', out }),
    ),
  );
  report(
    await measure(device, 'gatedActivationBackward', { bytes: 5 * innerBytes }, () =>
      kernels.gatedActivationBackward({ dOut: out, gate, up, kind: 'silu', dGate: gate, dUp: up }),
    ),
  );
  report(
    await measure(device, 'activation gelu', { bytes: 2 * innerBytes }, () =>
      kernels.activation({ x: gate, kind: 'gelu', out }),
    ),
  );
  await benchSequenceKernels(device, operands, report);
  const logits = operands.random([1024, vocabulary]);
  const targets = operands.integers(Array.from({ length: 1024 }, (_, row) => row * 7));
  const [loss, prediction] = [operands.empty([1024], 'float32'), operands.empty([1024], 'int32')];
  const gradientScale = operands.random([1], 'float32');
  const entropy = { logits, targets, loss, prediction };
  report(
    await measure(device, 'crossEntropy', { bytes: 2 * 1024 * vocabulary }, () =>
      kernels.crossEntropy(entropy),
    ),
  );
  report(
    await measure(device, 'crossEntropy with gradient', { bytes: 6 * 1024 * vocabulary }, () =>
      kernels.crossEntropy({ ...entropy, gradientScale }),
    ),
  );
};

/** Kernels of models whose norms have means and whose blocks are modulated. */
const benchSequenceKernels: Group = async (device, operands, report) => {
  const { kernels } = device;
  const [rows, width] = [4608, 3072];
  const bytes = 2 * rows * width;
  const [x, y, dX] = [0, 1, 2].map(() => operands.random([rows, width])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const [mean, inverseStd] = [operands.empty([rows], 'float32'), operands.empty([rows], 'float32')];
  const norm = { x, weight: null, bias: null, epsilon: 1e-6, out: y, mean, inverseStd };
  report(await measure(device, 'layerNorm', { bytes: 2 * bytes }, () => kernels.layerNorm(norm)));
  report(
    await measure(device, 'layerNormBackward', { bytes: 3 * bytes }, () =>
      kernels.layerNormBackward({ dOut: y, x, weight: null, mean, inverseStd, dX }),
    ),
  );
  const heads = { x: x.reshape([rows * 24, 128]), out: y.reshape([rows * 24, 128]) };
  const inverseRms = operands.empty([rows * 24], 'float32');
  report(
    await measure(device, 'rmsNorm of heads', { bytes: 2 * bytes }, () =>
      kernels.rmsNorm({ ...heads, weight: null, epsilon: 1e-6, inverseRms }),
    ),
  );
  const sequences = operands.sequences([rows]);
  const [scale, shift] = [operands.random([1, width]), operands.random([1, width])];
  report(
    await measure(device, 'modulate', { bytes: 2 * bytes }, () =>
      kernels.modulate({ x, scale, shift, sequences, out: y }),
    ),
  );
  report(
    await measure(device, 'modulateBackward with sums', { bytes: 5 * bytes }, () =>
      kernels.modulateBackward({
        dOut: y,
        x,
        scale,
        sequences,
        dX,
        dScale: scale,
        dShift: shift,
      }),
    ),
  );
  report(
    await measure(device, 'gatedAdd', { bytes: 3 * bytes }, () =>
      kernels.gatedAdd({ x, gate: scale, sequences, out: y }),
    ),
  );
};

import { at } from '@emloc/checked';

import { tolerances, type Lab } from './lab.js';

/** Loss, prediction and gradient of (9, vocabulary) logits. */
export async function checkCrossEntropy(
  lab: Lab,
  dtype: 'float32' | 'bfloat16',
  vocabulary: number,
): Promise<void> {
  const rows = 9;
  const logits = lab.normal([rows, vocabulary], dtype, 3);
  const targets = Array.from({ length: rows }, () => Math.floor(lab.random() * vocabulary));
  const [loss, prediction] = [lab.empty([rows], 'float32'), lab.empty([rows], 'int32')];
  const gradient = new Float64Array(rows * vocabulary);
  const [losses, best] = [new Float64Array(rows), new Float64Array(rows)];
  for (let row = 0; row < rows; row += 1) {
    const values = logits.values.subarray(row * vocabulary, (row + 1) * vocabulary);
    const maximum = values.reduce((one, other) => Math.max(one, other));
    const sum = values.reduce((total, value) => total + Math.exp(value - maximum), 0);
    best[row] = values.indexOf(maximum);
    losses[row] = Math.log(sum) + maximum - (values[targets[row] as number] as number);
    values.forEach(
      (value, i) =>
        (gradient[row * vocabulary + i] =
          (Math.exp(value - maximum) / sum - (i === targets[row] ? 1 : 0)) * 0.25),
    );
  }
  lab.device.kernels.crossEntropy({
    logits: logits.tensor,
    targets: lab.integers(targets),
    loss,
    prediction,
  });
  await lab.expectClose('loss', loss, losses, 1e-5);
  await lab.expectClose('prediction', prediction, best, 0);
  await lab.expectClose('logits untouched', logits.tensor, logits.values, 0);
  const gradientScale = lab.empty([1], 'float32');
  lab.device.kernels.fill({ out: gradientScale, value: 0.25 });
  lab.device.kernels.crossEntropy({
    logits: logits.tensor,
    targets: lab.integers(targets),
    loss,
    prediction,
    gradientScale,
  });
  await lab.expectClose('dLogits', logits.tensor, gradient, tolerances[dtype]);
}

/** Norms of gradients, and a step that clips by them. */
export async function checkOptimizer(lab: Lab): Promise<void> {
  const shapes = [[8, 3584], [100_000], [1], [37, 5]];
  const lists = Array.from({ length: 4 }, (_, list) =>
    shapes.map((shape) => lab.normal(shape, 'float32', list === 3 ? 0 : 1)),
  );
  const [p, g, m, v] = lists as [
    (typeof lists)[0],
    (typeof lists)[0],
    (typeof lists)[0],
    (typeof lists)[0],
  ];
  const squared = lab.empty([shapes.length], 'float32');
  const tensors = (list: typeof p) => list.map(({ tensor }) => tensor);
  lab.device.kernels.squaredNorms({ tensors: tensors(g), out: squared });
  const norms = g.map(({ values }) => values.reduce((sum, value) => sum + value * value, 0));
  await lab.expectClose('squaredNorms', squared, norms, 1e-6);
  const clip = 1 / (Math.sqrt(norms.reduce((sum, norm) => sum + norm)) + 1e-6);
  lab.device.kernels.adamw({
    parameters: tensors(p),
    gradients: tensors(g),
    firstMoments: tensors(m),
    secondMoments: tensors(v),
    squaredGradientNorms: squared,
    maxGradientNorm: 1,
    learningRate: 0.1,
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    weightDecay: 0.1,
    step: 3,
  });
  for (let index = 0; index < shapes.length; index += 1) {
    const list = [p, g, m, v].map((entries) => at(entries, index));
    const [parameter, gradient, first, second] = list as [
      (typeof list)[0],
      (typeof list)[0],
      (typeof list)[0],
      (typeof list)[0],
    ];
    const expected = Float64Array.from(parameter.values, (value, i) => {
      const scaled = (gradient.values[i] as number) * clip;
      const [mean, square] = [
        0.9 * (first.values[i] as number) + 0.1 * scaled,
        0.99 * (second.values[i] as number) + 0.01 * scaled * scaled,
      ];
      return (
        value -
        0.1 * (mean / (1 - 0.9 ** 3) / (Math.sqrt(square / (1 - 0.99 ** 3)) + 1e-8) + 0.1 * value)
      );
    });
    await lab.expectClose(`adamw ${index}`, parameter.tensor, expected, 1e-5);
  }
}

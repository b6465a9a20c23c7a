import { at } from '@emloc/checked';
import type { DType, Tensor } from '@emloc/device';

import { encode, tolerances, type Check, type Lab } from './lab.js';

type Floating = 'float32' | 'bfloat16' | 'float64';
const computeDTypes = ['float32', 'bfloat16'] as const;

/** Every kernel but attention, at widths that take the wide and the narrow form. */
export function kernelChecks(): readonly Check[] {
  return [
    ...(['float32', 'bfloat16', 'float64'] as const).map((dtype) => ({
      name: `gemm ${dtype}`,
      run: (lab: Lab) => checkGemm(lab, dtype),
    })),
    ...(['float32', 'float64'] as const).map((dtype) => ({
      name: `gram into ${dtype}`,
      run: (lab: Lab) => checkGram(lab, dtype),
    })),
    ...computeDTypes.flatMap((dtype) =>
      [96, 33, 3584].map((width) => ({
        name: `row kernels ${dtype}, width ${width}`,
        run: (lab: Lab) => checkRowKernels(lab, dtype, width),
      })),
    ),
    ...computeDTypes.flatMap((dtype) =>
      [1000, 1003, 40_000].map((vocabulary) => ({
        name: `crossEntropy ${dtype} of ${vocabulary}`,
        run: (lab: Lab) => checkCrossEntropy(lab, dtype, vocabulary),
      })),
    ),
    { name: 'squaredNorms and adamw', run: checkOptimizer },
    ...(['float32', 'float64'] as const).map((dtype) => ({
      name: `eigh and cholesky ${dtype}`,
      run: (lab: Lab) => checkFactorizations(lab, dtype),
    })),
    { name: 'uploads with every conversion, to row views too', run: checkUploads },
  ];
}

async function checkGemm(lab: Lab, dtype: Floating): Promise<void> {
  const [m, n, k] = [70, 136, 200];
  const kinds = dtype === 'bfloat16' ? (['bfloat16', 'float32'] as const) : [dtype];
  for (const [transposeA, transposeB] of [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ] as const) {
    const a = lab.normal(transposeA ? [k, m] : [m, k], dtype);
    const b = lab.normal(transposeB ? [n, k] : [k, n], dtype);
    for (const kind of kinds) {
      const out = lab.normal([m, n], kind);
      const expected = Float64Array.from(out.values, (start, index) => {
        const [row, column] = [Math.floor(index / n), index % n];
        let sum = 0;
        for (let i = 0; i < k; i += 1) {
          sum +=
            (a.values[transposeA ? i * m + row : row * k + i] as number) *
            (b.values[transposeB ? column * k + i : i * n + column] as number);
        }
        return start + 0.5 * sum;
      });
      lab.device.kernels.gemm({
        a: a.tensor,
        b: b.tensor,
        out: out.tensor,
        transposeA,
        transposeB,
        alpha: 0.5,
        accumulate: true,
      });
      await lab.expectClose(
        `out ${kind} ${transposeA} ${transposeB}`,
        out.tensor,
        expected,
        tolerances[kind],
      );
    }
  }
}

async function checkGram(lab: Lab, dtype: 'float32' | 'float64'): Promise<void> {
  const [rows, n] = [40, 1100];
  const x = lab.normal([rows, n], 'bfloat16');
  const out = lab.empty([n, n], dtype);
  lab.device.kernels.fill({ out, value: 1 });
  lab.device.kernels.gram({ x: x.tensor, out });
  const expected = new Float64Array(n * n).fill(1);
  for (let row = 0; row < rows; row += 1) {
    for (let i = 0; i < n; i += 1) {
      const value = x.values[row * n + i] as number;
      for (let j = 0; j < n; j += 1)
        expected[i * n + j] =
          (expected[i * n + j] as number) + value * (x.values[row * n + j] as number);
    }
  }
  await lab.expectClose('xᵀ x', out, expected, 1e-6);
  const values = await lab.device.download(out);
  for (let i = 0; i < n; i += 7)
    for (let j = 0; j < i; j += 1)
      if (values[i * n + j] !== values[j * n + i]) throw new Error('not symmetric');
}

async function checkRowKernels(lab: Lab, dtype: 'float32' | 'bfloat16', d: number): Promise<void> {
  const { kernels } = lab.device;
  const rows = 37;
  const tolerance = tolerances[dtype];
  const [x, g, start, weight] = [
    lab.normal([rows, d], dtype),
    lab.normal([rows, d], dtype),
    lab.normal([rows, d], dtype),
    lab.normal([d], dtype),
  ];
  const out = () => lab.empty([rows, d], dtype);
  const [y, inverseRms] = [out(), lab.empty([rows], 'float32')];
  const each = (value: (row: number, column: number, index: number) => number) =>
    Float64Array.from({ length: rows * d }, (_, index) =>
      value(Math.floor(index / d), index % d, index),
    );
  const r = Float64Array.from(
    { length: rows },
    (_, row) =>
      1 /
      Math.sqrt(
        x.values.subarray(row * d, (row + 1) * d).reduce((sum, v) => sum + v * v, 0) / d + 1e-6,
      ),
  );
  const projection = r.map((scale, row) => {
    let sum = 0;
    for (let i = row * d; i < (row + 1) * d; i += 1)
      sum += at(g.values, i) * at(weight.values, i % d) * at(x.values, i);
    return (sum / d) * scale * scale;
  });
  kernels.rmsNorm({ x: x.tensor, weight: weight.tensor, epsilon: 1e-6, out: y, inverseRms });
  await lab.expectClose(
    'rmsNorm',
    y,
    each((row, column, i) => at(x.values, i) * (r[row] as number) * at(weight.values, column)),
    tolerance,
  );
  kernels.rmsNormBackward({
    dOut: g.tensor,
    x: x.tensor,
    weight: weight.tensor,
    inverseRms,
    dX: start.tensor,
    accumulate: true,
  });
  await lab.expectClose(
    'rmsNormBackward',
    start.tensor,
    each(
      (row, column, i) =>
        at(start.values, i) +
        (r[row] as number) *
          (at(g.values, i) * at(weight.values, column) -
            at(x.values, i) * (projection[row] as number)),
    ),
    tolerance,
  );
  const silu = (value: number) => value / (1 + Math.exp(-value));
  kernels.gatedActivation({ gate: x.tensor, up: g.tensor, kind: 'silu', out: y });
  await lab.expectClose(
    'gatedActivation',
    y,
    each((_r, _c, i) => silu(at(x.values, i)) * at(g.values, i)),
    tolerance,
  );
  const [dGate, dUp, dOut] = [out(), out(), lab.normal([rows, d], dtype)];
  kernels.gatedActivationBackward({
    dOut: dOut.tensor,
    gate: x.tensor,
    up: g.tensor,
    kind: 'silu',
    dGate,
    dUp,
  });
  const slope = (value: number) =>
    (1 + value * (1 - 1 / (1 + Math.exp(-value)))) / (1 + Math.exp(-value));
  await lab.expectClose(
    'dGate',
    dGate,
    each((_r, _c, i) => at(dOut.values, i) * at(g.values, i) * slope(at(x.values, i))),
    tolerance,
  );
  await lab.expectClose(
    'dUp',
    dUp,
    each((_r, _c, i) => at(dOut.values, i) * silu(at(x.values, i))),
    tolerance,
  );
  const sums = lab.normal([rows, d], dtype);
  kernels.add({ x: x.tensor, out: sums.tensor, alpha: -2 });
  kernels.addBias({ bias: weight.tensor, out: sums.tensor });
  await lab.expectClose(
    'add, addBias',
    sums.tensor,
    each((_r, column, i) => at(sums.values, i) - 2 * at(x.values, i) + at(weight.values, column)),
    tolerance,
  );
  const perRow = lab.normal([rows], dtype);
  kernels.scale({ x: x.tensor, scale: perRow.tensor, along: 'rows', out: y });
  await lab.expectClose(
    'scale rows',
    y,
    each((row, _c, i) => at(x.values, i) * at(perRow.values, row)),
    tolerance,
  );
  kernels.scale({ x: x.tensor, scale: weight.tensor, along: 'columns', out: y });
  await lab.expectClose(
    'scale columns',
    y,
    each((_r, column, i) => at(x.values, i) * at(weight.values, column)),
    tolerance,
  );
  const picks = Array.from({ length: rows }, (_, row) => (row * 5) % rows);
  kernels.gatherRows({ table: x.tensor, rows: lab.integers(picks), out: y });
  await lab.expectClose(
    'gatherRows',
    y,
    each((row, column) => at(x.values, (picks[row] as number) * d + column)),
    0,
  );
  kernels.scatterRows({ x: y, rows: lab.integers(picks), out: sums.tensor });
  await lab.expectClose('scatterRows', sums.tensor, x.values, 0);
  for (const other of ['float32', 'bfloat16', 'float64'] as const) {
    const [there, back] = [lab.empty([rows, d], other), out()];
    kernels.cast({ x: x.tensor, out: there });
    kernels.cast({ x: there, out: back });
    await lab.expectClose(
      `cast ${other}`,
      back,
      x.values,
      other === 'bfloat16' && dtype === 'float32' ? 4e-3 : 0,
    );
  }
  if (d % 2 === 0) await checkRope(lab, x, dtype, tolerance);
}

async function checkRope(
  lab: Lab,
  x: { tensor: Tensor; values: Float32Array },
  dtype: DType,
  tolerance: number,
): Promise<void> {
  const [rows, columns] = x.tensor.shape as [number, number];
  const heads = 2;
  const half = columns / heads / 2;
  const [cos, sin] = [lab.normal([50, half], 'float32'), lab.normal([50, half], 'float32')];
  const positions = Array.from({ length: rows }, (_, row) => (row * 3) % 50);
  for (const inverse of [false, true]) {
    const expected = Float64Array.from(x.values, (value, index) => {
      const [row, column] = [Math.floor(index / columns), index % (2 * half)];
      const angle = (positions[row] as number) * half + (column % half);
      const [c, s] = [
        cos.values[angle] as number,
        (inverse ? -1 : 1) * (sin.values[angle] as number),
      ];
      return column < half
        ? value * c - (x.values[index + half] as number) * s
        : value * c + (x.values[index - half] as number) * s;
    });
    const out = lab.empty(x.tensor.shape, dtype);
    lab.device.kernels.rope({
      x: x.tensor,
      out,
      cos: cos.tensor,
      sin: sin.tensor,
      positions: lab.integers(positions),
      heads,
      inverse,
    });
    await lab.expectClose(`rope ${inverse}`, out, expected, tolerance);
  }
}

async function checkCrossEntropy(
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
  lab.device.kernels.crossEntropy({
    logits: logits.tensor,
    targets: lab.integers(targets),
    loss,
    prediction,
    gradientScale: 0.25,
  });
  await lab.expectClose('dLogits', logits.tensor, gradient, tolerances[dtype]);
}

async function checkOptimizer(lab: Lab): Promise<void> {
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

async function checkFactorizations(lab: Lab, dtype: 'float32' | 'float64'): Promise<void> {
  const n = 300;
  const { kernels } = lab.device;
  const x = lab.normal([n + 20, n], 'bfloat16');
  const [a, copy, values, product] = [
    lab.empty([n, n], dtype),
    lab.empty([n, n], dtype),
    lab.empty([n], dtype),
    lab.empty([n, n], dtype),
  ];
  kernels.fill({ out: a, value: 0 });
  kernels.gram({ x: x.tensor, out: a });
  const matrix = await lab.device.download(a);
  kernels.cast({ x: a, out: copy });
  await kernels.eigh({ a, values });
  const scaled = lab.empty([n, n], dtype);
  kernels.scale({ x: a, scale: values, along: 'rows', out: scaled });
  kernels.gemm({ a, b: scaled, out: product, transposeA: true });
  const tolerance = dtype === 'float32' ? 1e-5 : 1e-12;
  await lab.expectClose('Vᵀ Λ V', product, matrix, tolerance);
  const ascending = await lab.device.download(values);
  if (ascending.some((value, index) => index > 0 && value < (ascending[index - 1] as number)))
    throw new Error('eigenvalues do not ascend');
  if (!(await kernels.cholesky({ a: copy })))
    throw new Error('a positive definite matrix was found not to be');
  kernels.gemm({ a: copy, b: copy, out: product, transposeB: true });
  await lab.expectClose('L Lᵀ', product, matrix, tolerance);
  const rows = lab.normal([40, n], dtype);
  kernels.gemm({ a: rows.tensor, b: copy, transposeB: true, out: product.rows(0, 40) });
  await kernels.solveTriangular({ x: product.rows(0, 40), l: copy });
  await lab.expectClose('y Lᵀ L⁻ᵀ', product.rows(0, 40), rows.values, 1e3 * tolerance);
  kernels.fill({ out: copy, value: 1 });
  if (await kernels.cholesky({ a: copy }))
    throw new Error('a singular matrix was found positive definite');
}

async function checkUploads(lab: Lab): Promise<void> {
  const shape = [1001, 3000];
  const values = Float32Array.from({ length: 1001 * 3000 }, (_, index) => (index % 255) - 127);
  for (const from of ['float32', 'bfloat16', 'float16', 'float64'] as const) {
    for (const to of ['float32', 'bfloat16', 'float64'] as const) {
      const tensor = lab.empty(shape, to);
      const half = encode(values.subarray(500 * 3000), from);
      lab.device.upload(tensor.rows(0, 500), {
        bytes: encode(values.subarray(0, 500 * 3000), from),
        dtype: from,
      });
      lab.device.upload(tensor.rows(500, 1001), { bytes: half, dtype: from });
      half.fill(0);
      await lab.expectClose(`${from} to ${to}`, tensor, values, 0);
      const pinned = lab.device.allocateHost(
        values.length * (to === 'bfloat16' ? 2 : to === 'float64' ? 8 : 4),
      );
      pinned.bytes.set(encode(values, to));
      lab.device.kernels.fill({ out: tensor, value: 3 });
      const event = lab.device.record('compute');
      lab.device.streamWait('copy', event);
      event.dispose();
      lab.device.upload(tensor, { bytes: pinned.bytes, dtype: to }, 'copy');
      await lab.expectClose(`page-locked ${to}`, tensor, values, 0);
      pinned.dispose();
    }
  }
}

import { at } from '@emloc/checked';
import type { DType, Tensor } from '@emloc/device';

import { tolerances, type Lab } from './lab.js';

/** Kernels that go over (rows, d) row by row or element by element. */
export async function checkRowKernels(
  lab: Lab,
  dtype: 'float32' | 'bfloat16',
  d: number,
): Promise<void> {
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

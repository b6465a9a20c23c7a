import { tolerances, type Lab } from './lab.js';

type Floating = 'float32' | 'bfloat16' | 'float64';

/** C = C + a/2 · b, over all transpositions. */
export async function checkGemm(lab: Lab, dtype: Floating): Promise<void> {
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

/** xᵀ x added to what is there, which stays symmetric. */
export async function checkGram(lab: Lab, dtype: 'float32' | 'float64'): Promise<void> {
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

import type { Lab } from './lab.js';

/** Eigenvectors, Cholesky factors and triangular solutions, by what they multiply to. */
export async function checkFactorizations(lab: Lab, dtype: 'float32' | 'float64'): Promise<void> {
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

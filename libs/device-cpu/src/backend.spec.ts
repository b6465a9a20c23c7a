import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from './index.js';
test('smoke', async () => {
  for (const blas of ['portable', 'auto'] as const) {
    const d = new Device(createCpuBackend({ blas }), new MemoryBudget(1e9));
    const t = (v: number[], s: number[]) => d.tensor({ bytes: new Uint8Array(Float32Array.from(v).buffer), dtype: 'float32' }, s, 'float32', 'activations', 't');
    const a = t([1, 2, 3, 4, 5, 6], [2, 3]); const b = t([1, 0, 0, 1, 1, 1], [3, 2]); const out = t([0, 0, 0, 0], [2, 2]);
    d.kernels.gemm({ a, b, out });
    expect(Array.from(await d.download(out))).toEqual([4, 5, 10, 11]);
    const m = d.tensor({ bytes: new Uint8Array(Float64Array.of(2, 1, 1, 2).buffer), dtype: 'float64' }, [2, 2], 'float64', 'statistics', 'm');
    const w = d.allocate([2], 'float64', 'statistics', 'w');
    await d.kernels.eigh({ a: m, values: w });
    console.log(blas, await d.download(w), await d.download(m));
  }
});

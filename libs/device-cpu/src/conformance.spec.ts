import { Device, MemoryBudget, type HostValues, type Tensor } from '@emloc/device';
import { describeDeviceConformance } from '@emloc/device-conformance';

import { hasRelaxedSimd } from '../test/relaxed-simd.js';
import { createCpuBackend, describeCpu } from './index.js';

const portable = (relaxedSimd: boolean) => createCpuBackend({ blas: 'portable', relaxedSimd });
if (!hasRelaxedSimd)
  test.skip('device conformance with relaxed SIMD: this engine or processor has none', () =>
    undefined);

const { library, version, path } = describeCpu({ blas: 'auto' });
describeDeviceConformance({
  portable: () => portable(false),
  ...(hasRelaxedSimd && { 'portable, relaxed SIMD': () => portable(true) }),
  ...(library !== 'portable' && { [`${library} (${path}, ${version})`]: () => createCpuBackend() }),
});
if (library === 'portable') {
  test.skip('device conformance with a BLAS: none is installed here (Debian: libopenblas0-pthread; or set EMLOC_BLAS_PATH)', () =>
    undefined);
} else {
  describeAgreement();
}

/** Results of one computation with the portable code and with the BLAS. */
async function both(
  compute: (device: Device, upload: typeof uploadWave) => Promise<Tensor>,
): Promise<[portable: HostValues, blas: HostValues]> {
  const results: HostValues[] = [];
  for (const blas of ['portable', 'auto']) {
    const device = new Device(createCpuBackend({ blas, threads: 2 }), new MemoryBudget(2 ** 30));
    const owned: Tensor[] = [];
    const result = await compute(device, (...given) => {
      const tensor = uploadWave(...given);
      owned.push(tensor);
      return tensor;
    });
    results.push(await device.download(result));
    for (const tensor of owned) tensor.dispose();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([
      0,
      device.profile.reserveBytes,
    ]);
    await device.close();
  }
  return results as [HostValues, HostValues];
}

/** A tensor of sines of full rank, different for every seed; a seed of 0 gives zeros. */
function uploadWave(
  device: Device,
  shape: readonly [number, number],
  dtype: 'float32' | 'float64',
  seed: number,
): Tensor {
  const values = Float64Array.from({ length: shape[0] * shape[1] }, (_, i) =>
    Math.sin(seed * 0.37 * (i + 1) ** 2),
  );
  return device.tensor(
    { bytes: new Uint8Array(values.buffer), dtype: 'float64' },
    shape,
    dtype,
    'workspace',
    'wave',
  );
}

function expectAgreement([portable, blas]: readonly [HostValues, HostValues]): void {
  const largest = Array.from(blas).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(largest).toBeGreaterThan(0);
  const furthest = Array.from(portable).reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (blas[i] ?? Number.NaN))),
    0,
  );
  expect(furthest).toBeLessThanOrEqual(1e-5 * largest);
}

function describeAgreement(): void {
  describe(`the portable code and ${library} agree to 1e-5`, () => {
    test.each(['float32', 'float64'] as const)('on gemm in %s', async (dtype) => {
      expectAgreement(
        await both(async (device, upload) => {
          const [a, b, out] = [
            upload(device, [67, 131], dtype, 1),
            upload(device, [97, 131], dtype, 2),
            upload(device, [67, 97], dtype, 3),
          ];
          device.kernels.gemm({ a, b, out, transposeB: true, alpha: 0.5, accumulate: true });
          return out;
        }),
      );
    });

    test('on gram', async () => {
      expectAgreement(
        await both(async (device, upload) => {
          const [x, out] = [
            upload(device, [300, 45], 'float32', 1),
            upload(device, [45, 45], 'float64', 0),
          ];
          device.kernels.gram({ x, out });
          return out;
        }),
      );
    });

    test('on the eigenvalues of eigh', async () => {
      expectAgreement(
        await both(async (device, upload) => {
          const { a, values } = await solve(device, upload);
          expect(a.size).toBe(values.size ** 2);
          return values;
        }),
      );
    });

    test('on the projections onto the eigenvectors of eigh, whose signs are free', async () => {
      expectAgreement(
        await both(async (device, upload) => {
          const { a } = await solve(device, upload);
          const [top, projection] = [a.rows(30, 45), upload(device, [45, 45], 'float64', 0)];
          device.kernels.gemm({ a: top, b: top, out: projection, transposeA: true });
          return projection;
        }),
      );
    });
  });
}

async function solve(
  device: Device,
  upload: typeof uploadWave,
): Promise<{ a: Tensor; values: Tensor }> {
  const [x, a, values] = [
    upload(device, [300, 45], 'float32', 1.3),
    upload(device, [45, 45], 'float64', 0),
    upload(device, [45, 1], 'float64', 0),
  ];
  device.kernels.gram({ x, out: a });
  const flat = values.reshape([45]);
  await device.kernels.eigh({ a, values: flat });
  return { a, values: flat };
}

import assert from 'node:assert/strict';
import { fromFloat16, OutOfBudgetError, type DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';
import { fromBfloat16Bits, hostArray, rounded } from '../host-values.js';

const tensorDTypes: readonly DType[] = ['float32', 'bfloat16', 'float64'];
/**
 * Zeros, subnormals, the smallest and largest normal numbers, infinities, a quiet NaN, and ordinary
 * values.
 */
const float16Bits = [
  0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x3c00, 0x3555,
  0xc248,
];
const float32Values = [
  0,
  -0,
  1e-45,
  -1e-40,
  3.4e38,
  -3.4e38,
  Infinity,
  -Infinity,
  NaN,
  1,
  1 + 2 ** -8,
  1 + 3 * 2 ** -8,
  Math.PI,
  1 / 3,
];

async function checkUpload(
  fixture: Fixture,
  dtype: 'float16' | 'bfloat16' | 'float32' | 'float64',
): Promise<void> {
  const raw = dtype === 'float16' ? float16Bits : float32Values;
  const values =
    dtype === 'float16'
      ? float16Bits.map(fromFloat16)
      : float32Values.map((value) => rounded(value, dtype));
  for (const to of tensorDTypes) {
    const tensor = fixture.output([raw.length], to);
    fixture.device.upload(tensor, hostArray(raw, dtype));
    await fixture.assertEqual(
      tensor,
      values.map((value) => rounded(value, to)),
      `${dtype} to ${to}`,
    );
  }
}

/** Leaves `bytes` of the budget free while `action` runs. */
async function withFreeBytes(
  fixture: Fixture,
  bytes: number,
  action: () => Promise<void> | void,
): Promise<void> {
  const { budget } = fixture.device;
  assert.ok(Number.isFinite(budget.totalBytes), 'the suite needs a device with a finite budget');
  const reservation = budget.reserve(budget.freeBytes - bytes, 'reserve', 'conformance');
  try {
    await action();
  } finally {
    reservation.release();
  }
}

export const memoryCases: readonly CaseDefinition[] = [
  ...group('upload', {
    'converts float16 to every float dtype': (fixture) => checkUpload(fixture, 'float16'),
    'converts bfloat16 to every float dtype': (fixture) => checkUpload(fixture, 'bfloat16'),
    'converts float32 to every float dtype, rounding to even': (fixture) =>
      checkUpload(fixture, 'float32'),
    'converts float64 to float64': async (fixture) => {
      const tensor = fixture.output([2], 'float64');
      fixture.device.upload(tensor, hostArray([Math.PI, 1e-300], 'float64'));
      await fixture.assertEqual(tensor, [Math.PI, 1e-300], 'float64');
    },
    'copies int32': async (fixture) => {
      const tensor = fixture.output([3], 'int32');
      fixture.device.upload(tensor, hostArray([-(2 ** 31), 2 ** 31 - 1, 0], 'int32'));
      await fixture.assertEqual(tensor, [-(2 ** 31), 2 ** 31 - 1, 0], 'int32');
    },
    'writes into a row view and leaves the other rows': async (fixture) => {
      const tensor = fixture.tensor([1, 2, 3, 4, 5, 6], [3, 2]);
      fixture.device.upload(tensor.rows(1, 2), hostArray([8, 9], 'float32'));
      await fixture.assertEqual(tensor, [1, 2, 8, 9, 5, 6], 'tensor');
    },
    'refuses a source of another size': async (fixture) => {
      const tensor = fixture.output([3]);
      assert.throws(() => fixture.device.upload(tensor, hostArray([1, 2], 'float32')), {
        code: 'DEVICE_SHAPE_MISMATCH',
      });
    },
    'is done before kernels that wait for the copy stream': async (fixture) => {
      const { device } = fixture;
      const values = fixture.values([64, 64], { dtype: 'float32' });
      const host = device.allocateHost(values.length * 4);
      host.bytes.set(hostArray(values, 'float32').bytes);
      const [x, out] = [fixture.output([64, 64], 'float32'), fixture.output([64, 64], 'float32')];
      await device.synchronize();
      device.upload(x, { bytes: host.bytes, dtype: 'float32' }, 'copy');
      const copied = device.record('copy');
      device.streamWait('compute', copied);
      device.kernels.cast({ x, out });
      await copied.wait();
      copied.dispose();
      host.bytes.fill(0);
      await fixture.assertEqual(out, values, 'out');
      host.dispose();
    },
  }),
  ...group('download', {
    'gives values, bfloat16 widened, and raw bytes': async (fixture) => {
      const tensor = fixture.tensor([1, -2, 0.5], [3], { dtype: 'bfloat16' });
      const values = await fixture.device.download(tensor);
      assert.ok(values instanceof Float32Array);
      assert.deepEqual(Array.from(values), [1, -2, 0.5]);
      const bits = new Uint16Array((await fixture.bytes(tensor)).buffer);
      assert.deepEqual(Array.from(bits, fromBfloat16Bits), [1, -2, 0.5]);
      assert.ok(
        (await fixture.device.download(fixture.tensor([1], [1], { dtype: 'float64' }))) instanceof
          Float64Array,
      );
      assert.ok(
        (await fixture.device.download(fixture.tensor([1], [1], { dtype: 'int32' }))) instanceof
          Int32Array,
      );
    },
    'reads row views and is a copy': async (fixture) => {
      const tensor = fixture.tensor([1, 2, 3, 4, 5, 6], [3, 2]);
      const values = await fixture.device.download(tensor.rows(1, 3));
      fixture.device.kernels.fill({ out: tensor, value: 0 });
      await fixture.device.synchronize();
      assert.deepEqual(Array.from(values), [3, 4, 5, 6]);
    },
    'refuses room of another size': async (fixture) => {
      await assert.rejects(fixture.device.downloadBytes(fixture.output([3]), new Uint8Array(5)), {
        code: 'DEVICE_SHAPE_MISMATCH',
      });
    },
  }),
  ...group('budget', {
    'refuses an allocation beyond it and stays as it was': (fixture) =>
      withFreeBytes(fixture, 1024, () => {
        const { device } = fixture;
        const before = [device.budget.inUseBytes, device.liveTensors];
        assert.throws(
          () => device.allocate([4096], 'float32', 'activations', 'too much'),
          OutOfBudgetError,
        );
        assert.deepEqual([device.budget.inUseBytes, device.liveTensors], before);
      }),
    'counts allocations in whole granules and gives them back': async ({ device }) => {
      const before = device.budget.inUseBytes;
      const tensor = device.allocate([3], 'float32', 'activations', 'small');
      assert.equal(
        device.budget.inUseBytes - before,
        Math.ceil(12 / device.profile.allocationBytes) * device.profile.allocationBytes,
      );
      tensor.dispose();
      assert.equal(device.budget.inUseBytes, before);
    },
    'refuses a workspace beyond it, and reserves it for the call only': async (fixture) => {
      const { device } = fixture;
      const dtype = fixture.statistics;
      const options = {
        a: fixture.tensor(fixture.values([16, 16]).fill(0), [16, 16], { dtype }),
        values: fixture.output([16], dtype),
      };
      const workspace = device.profile.workspaceBytes.eigh?.(options) ?? 0;
      const before = device.budget.inUseBytes;
      if (workspace > 0) {
        await withFreeBytes(fixture, workspace - 1, () =>
          assert.rejects(device.kernels.eigh(options), OutOfBudgetError),
        );
      }
      await withFreeBytes(fixture, workspace, () => device.kernels.eigh(options));
      assert.equal(device.budget.inUseBytes, before);
    },
    'releases the workspace of a kernel that refuses its operands': async (fixture) => {
      const before = fixture.device.budget.inUseBytes;
      const [a, b, out] = [fixture.output([4, 3]), fixture.output([4, 3]), fixture.output([4, 4])];
      const held = fixture.device.budget.inUseBytes;
      assert.ok(held > before);
      assert.throws(() => fixture.device.kernels.gemm({ a, b, out }), {
        code: 'DEVICE_SHAPE_MISMATCH',
      });
      assert.equal(fixture.device.budget.inUseBytes, held);
    },
    'refuses tensors that were disposed': async ({ device }) => {
      const out = device.allocate([4], 'float32', 'activations', 'gone');
      out.dispose();
      assert.throws(() => device.kernels.fill({ out, value: 1 }), {
        code: 'DEVICE_USE_AFTER_DISPOSE',
      });
      await assert.rejects(async () => device.download(out), { code: 'DEVICE_USE_AFTER_DISPOSE' });
    },
  }),
];

import { encode, type Lab } from './lab.js';

/** Every conversion on the way to the device, to row views and from page-locked memory too. */
export async function checkUploads(lab: Lab): Promise<void> {
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

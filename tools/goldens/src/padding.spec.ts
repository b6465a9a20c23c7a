import { at, get } from '@emloc/checked';
import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { DeviceAdapter, gradientsOf, initialAdapter, roundedShape } from '@emloc/finetune';
import { fixtureNames, goldenRows, unpackFixture } from '@emloc/golden-models';
import { openModel } from '@emloc/models';
import { TextTables } from '@emloc/tasks';
import { allDeviceBytes, openPager } from '@emloc/weight-pager';

const mostTokens = 2 ** 20;

/** Loss and gradients of all rows of a golden together, without padding and with it. */
async function measure(name: string) {
  await using fixture = await opened(name);
  const { folder, golden } = fixture;
  await using model = await openedModel(folder);
  const { layout, source, tables: reader } = model;
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
  const deviceBytes = allDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: 2 ** 30 });
  const rows = goldenRows(
    golden.sequences.map(({ ids }) => ({
      ids: Int32Array.from(ids),
      trained: Uint8Array.from(ids, (_, index) => index % 3),
      line: 1,
    })),
    null,
    new TextTables(layout, reader),
  );
  const numbers = golden.sequences.map((_, row) => row);
  const config = { rank: 4, alpha: 8, useRslora: false, targets: null };
  const host = initialAdapter(layout, config, 3);
  for (const { b } of host.layers.values()) b.forEach((_, k) => (b[k] = 0.02 * Math.cos(0.73 * k)));
  try {
    using adapter = DeviceAdapter.load(device, layout, host, { trainable: true });
    const inputs = { model: { device, layout, pager }, adapter, source: rows, rows: numbers };
    return {
      isPadded: roundedShape(rows.shape(numbers), mostTokens).padded !== undefined,
      plain: await gradientsOf(inputs),
      padded: await gradientsOf({ ...inputs, roundedTokens: mostTokens }),
    };
  } finally {
    await pager.close();
    await device.close();
  }
}

async function opened(name: string) {
  const fixture = await unpackFixture(name);
  const { folder, golden } = fixture;
  return { folder, golden, [Symbol.asyncDispose]: () => fixture.close() };
}

async function openedModel(folder: string) {
  const model = await openModel(folder);
  return { ...model, [Symbol.asyncDispose]: () => model.close() };
}

function distance(one: Float32Array, other: Float32Array): number {
  return Math.sqrt(one.reduce((sum, value, i) => sum + (value - at(other, i)) ** 2, 0));
}

/** Models with tables on the host, whose batches bring what these hold. */
const unpadded = new Set(['gemma4-e', 'gemma4-e-wrapper']);

it.each(fixtureNames())('padding changes no loss and no gradient of %s', async (name) => {
  const { isPadded, plain, padded } = await measure(name);
  expect(isPadded).toBe(!unpadded.has(name));
  expect(Math.abs(padded.loss / plain.loss - 1)).toBeLessThan(1e-6);
  let moved = 0;
  for (const [path, { a, b }] of plain.gradients) {
    const found = get(padded.gradients, path);
    for (const [one, other] of [
      [a, found.a],
      [b, found.b],
    ] as const) {
      const norm = distance(one, new Float32Array(one.length));
      expect(distance(one, other)).toBeLessThanOrEqual(1e-4 * norm);
      moved += norm;
    }
  }
  expect(moved).toBeGreaterThan(0);
});

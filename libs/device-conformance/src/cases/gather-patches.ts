import assert from 'node:assert/strict';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { gatherPatches, type PatchShape } from '../reference/gather-patches.js';

const plain: PatchShape = {
  ...{ height: 5, width: 7, channels: 6, size: 3, stride: 1, before: 1 },
  ...{ outWidth: 7, first: 0, count: 35 },
};

async function check(fixture: Fixture, shape: PatchShape, layout: Layout = 'whole'): Promise<void> {
  const { height, width, channels, count, ...options } = shape;
  const x = fixture.values([height * width, channels]);
  const out = fixture.output([count, channels * options.size ** 2]);
  const image = fixture.tensor(x, [height * width, channels], { layout });
  fixture.device.kernels.gatherPatches({ ...options, x: image, height, width, out });
  await fixture.assertEqual(out, gatherPatches(x, shape), 'out');
}

export const gatherPatchesCases: readonly CaseDefinition[] = group('gatherPatches', {
  'gathers 3 x 3 pixels, zeros around the image': async (fixture) => {
    for (const channels of [1, 3, 6, 8, 32]) await check(fixture, { ...plain, channels });
  },
  'takes every second pixel, with zeros right and below only': async (fixture) => {
    const halved = { ...plain, height: 6, width: 8, stride: 2, before: 0, outWidth: 4, count: 12 };
    for (const channels of [3, 8]) await check(fixture, { ...halved, channels });
  },
  'enlarges the image by repeating pixels': async (fixture) => {
    const doubled = { ...plain, upsample: 2, outWidth: 14, count: 140 };
    for (const channels of [3, 16]) await check(fixture, { ...doubled, channels });
    await check(fixture, { ...plain, upsample: 3, outWidth: 21, count: 315, channels: 2 });
  },
  'gathers a range of output pixels that begins and ends within a row': async (fixture) => {
    for (const channels of [5, 8])
      await check(fixture, { ...plain, channels, first: 10, count: 9 });
  },
  'gathers single pixels and larger patches': async (fixture) => {
    await check(fixture, { ...plain, size: 1, before: 0 });
    await check(fixture, { ...plain, size: 5, before: 2, channels: 8 });
  },
  'takes images of one row, of one column and of one pixel': async (fixture) => {
    await check(fixture, { ...plain, height: 1, count: 7 });
    await check(fixture, { ...plain, width: 1, outWidth: 1, count: 5 });
    await check(fixture, { ...plain, height: 1, width: 1, outWidth: 1, count: 1 });
  },
  'takes many channels, and many pixels': async (fixture) => {
    await check(fixture, { ...plain, channels: 512, first: 3, count: 20 });
    const wide = { ...plain, height: 40, width: 50, outWidth: 50, count: 2000, channels: 4 };
    await check(fixture, wide);
  },
  'reads row views': async (fixture) => {
    for (const channels of [3, 8]) await check(fixture, { ...plain, channels }, 'rows');
  },
  'refuses an image of another size, and numbers that no patch has': async (fixture) => {
    const { kernels } = fixture.device;
    const { size, stride, before, outWidth, first } = plain;
    const [x, out] = [fixture.output([35, 6]), fixture.output([35, 54])];
    const options = { ...{ x, size, stride, before, outWidth, first, out }, height: 5, width: 7 };
    const code = (name: string) => ({ code: name });
    assert.throws(
      () => kernels.gatherPatches({ ...options, width: 8 }),
      code('DEVICE_SHAPE_MISMATCH'),
    );
    assert.throws(
      () => kernels.gatherPatches({ ...options, size: 2 }),
      code('DEVICE_SHAPE_MISMATCH'),
    );
    assert.throws(
      () => kernels.gatherPatches({ ...options, stride: 0 }),
      code('DEVICE_UNSUPPORTED'),
    );
    assert.throws(
      () => kernels.gatherPatches({ ...options, before: 0.5 }),
      code('DEVICE_UNSUPPORTED'),
    );
  },
});

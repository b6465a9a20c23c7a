import { assertLive, assertShape } from '../checks.js';
import { DeviceError } from '../errors.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';

/**
 * Pixels of an image and of their surroundings as rows, so that a convolution is a product with its
 * stored weight (out, channels, size, size) seen as (out, channels · size²): column
 * (c · size + dy) · size + dx of a row is channel c of the pixel dy below and dx right of the
 * patch's first, zero outside of the image. The first one is `stride` times the output pixel's row
 * and column, less `before`. With `upsample` u the image is x with each pixel repeated u times in
 * both directions.
 */
export interface GatherPatchesOptions {
  /** (height · width, channels), row by row of the image. */
  readonly x: Tensor;
  readonly height: number;
  readonly width: number;
  /** Rows and columns of a patch. */
  readonly size: number;
  readonly stride: number;
  /** Rows above and columns left of the first pixel that its patch has. */
  readonly before: number;
  /** Default 1. */
  readonly upsample?: number;
  /** Columns of the output image. */
  readonly outWidth: number;
  /** The first output pixel, counted row by row. */
  readonly first: number;
  /** (pixels, channels · size²) */
  readonly out: Tensor;
}

export const gatherPatches: LaunchedKernel<GatherPatchesOptions> = {
  work(options) {
    assertPatches('gatherPatches', options);
    const { x, size, out } = options;
    assertLive(x, out);
    // Of the image only what the patches show counts, once.
    return { flops: 0, bytes: out.byteLength * (1 + 1 / size ** 2) };
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }) => {
      const [side, size] = [probedSide, 3];
      const image = { height: side, width: side, outWidth: side, first: 0 };
      const x = tensor([side * side, probedChannels]);
      const out = tensor([side * side, probedChannels * size * size]);
      return { options: { x, ...image, size, stride: 1, before: 1, out } };
    },
  },
};

/** Of an image that is timed. */
const probedSide = 48;
const probedChannels = 32;

/**
 * @throws DeviceError DEVICE_SHAPE_MISMATCH for operands that do not belong together,
 * DEVICE_UNSUPPORTED for numbers that no patch has
 */
export function assertPatches(kernel: string, options: GatherPatchesOptions): void {
  const { x, height, width, size, stride, before, upsample = 1, outWidth, first, out } = options;
  const counts = { size, stride, upsample, outWidth };
  for (const [name, count] of Object.entries(counts)) assertWhole(kernel, name, count, 1);
  for (const [name, count] of Object.entries({ height, width, before, first }))
    assertWhole(kernel, name, count, 0);
  const channels = x.dim(-1);
  assertShape(kernel, x, [height * width, channels]);
  assertShape(kernel, out, [out.dim(0), channels * size * size]);
}

function assertWhole(kernel: string, name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new DeviceError(
    'DEVICE_UNSUPPORTED',
    `${kernel}: ${name} is ${value}, a whole number of at least ${least} expected`,
  );
}

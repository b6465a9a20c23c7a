import { at } from '@emloc/checked';
import {
  bytesPerElement,
  type Device,
  type Grid,
  type SequenceLayout,
  type Tensor,
} from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import { forwardOnly, type ForwardContext } from './operation.js';

export interface ConvolutionShape {
  /** Module path: parameters `${name}.weight`, stored (outChannels, channels, 3, 3), and bias. */
  readonly name: string;
  readonly outChannels: number;
  /**
   * 1: the image keeps its size, with zeros around it. 2: every second pixel of every second row,
   * of an image with zeros right of it and below it only. Default 1.
   */
  readonly stride?: 1 | 2;
  /** Each pixel of x first becomes so many in both directions. Default 1. */
  readonly upsample?: 1 | 2;
  /** Row layout of the output; x's own where the image keeps its size. */
  readonly rows: string;
}

/** Rows and columns of the weight. */
const size = 3;
/** The gathered patches of so many bytes exist at a time. */
const chunkBytes = 2 ** 26;

/**
 * A 3 x 3 convolution of images whose pixels are rows and whose channels are columns; both row
 * layouts have grids. Patches of a range of output pixels are gathered and multiplied with the
 * weight as it is stored. One of 1 x 1 pixels is a `frozenLinear`.
 */
export function convolution(block: ProgramBuilder, x: Value, shape: ConvolutionShape): Value {
  const { name, outChannels } = shape;
  const columns = x.width * size * size;
  const stored = [outChannels, x.width, size, size];
  const weight = block.parameter(`${name}.weight`, [outChannels, columns], stored);
  const bias = block.parameter(`${name}.bias`, [outChannels]);
  const out = block.value(outChannels, shape.rows);
  block.add({
    ...forwardOnly,
    name: 'convolution',
    inputs: [x],
    outputs: [out],

    forward(context) {
      const { bindings } = context;
      const [from, to] = [bindings.layout(x.rows), bindings.layout(out.rows)];
      const [input, output] = [context.get(x), context.create(out)];
      using patches = patchesOf(context, { columns, from: out });
      for (let image = 1; image < to.offsets.length; image += 1) {
        const target = imageOf(output, to, image - 1);
        const grids = gridsOf({ ...shape, x }, { from, to, image: image - 1 });
        convolve(bindings.device, {
          ...{ input: imageOf(input, from, image - 1), target, patches, shape, ...grids },
          ...{ weight: bindings.parameter(weight), bias: bindings.parameter(bias) },
        });
      }
    },
  });
  return out;
}

/** Memory for the patches of a chunk, or of all images where they are fewer. */
function patchesOf(
  context: ForwardContext,
  { columns, from }: { readonly columns: number; readonly from: Value },
): Tensor {
  const { bindings } = context;
  const { device } = bindings;
  const { computeDType } = device.profile;
  const most = Math.max(1, Math.floor(chunkBytes / (columns * bytesPerElement[computeDType])));
  const rows = Math.min(most, bindings.layout(from.rows).maxLength);
  return device.allocate([rows, columns], computeDType, 'activations', 'convolution.patches');
}

interface ImageConvolution {
  /** (height · width, channels) */
  readonly input: Tensor;
  readonly grid: Grid;
  /** (output height · width, outChannels) */
  readonly target: Tensor;
  readonly outWidth: number;
  readonly patches: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly shape: ConvolutionShape;
}

function convolve({ kernels }: Device, image: ImageConvolution): void {
  const { input, grid, target, outWidth, patches, weight, bias } = image;
  const { stride = 1, upsample = 1 } = image.shape;
  const before = stride === 1 ? 1 : 0;
  const pixels = target.dim(0);
  for (let first = 0; first < pixels; first += patches.dim(0)) {
    const end = Math.min(pixels, first + patches.dim(0));
    const [chunk, out] = [patches.rows(0, end - first), target.rows(first, end)];
    const patch = { size, stride, before, upsample, outWidth, first };
    kernels.gatherPatches({ x: input, ...grid, ...patch, out: chunk });
    kernels.gemm({ a: chunk, b: weight, transposeB: true, out, bias });
  }
}

function imageOf(tensor: Tensor, { offsets }: SequenceLayout, image: number): Tensor {
  return tensor.rows(at(offsets, image), at(offsets, image + 1));
}

interface Images {
  readonly from: SequenceLayout;
  readonly to: SequenceLayout;
  readonly image: number;
}

/**
 * The image's grid and the columns of the output.
 * @throws Error where a layout has no grids, or one that does not follow from the input's
 */
function gridsOf(
  { name, stride = 1, upsample = 1, x, rows }: ConvolutionShape & { readonly x: Value },
  { from, to, image }: Images,
): { readonly grid: Grid; readonly outWidth: number } {
  const [grid, out] = [from.grids?.[image], to.grids?.[image]];
  if (!grid || !out)
    throw new Error(`convolution ${name}: no grid of image ${image} of ${grid ? rows : x.rows}`);
  const extent = (length: number): number => Math.floor((length * upsample) / stride);
  const expected = { height: extent(grid.height), width: extent(grid.width) };
  if (out.height === expected.height && out.width === expected.width)
    return { grid, outWidth: out.width };
  throw new Error(
    `convolution ${name}: image ${image} of ${rows} is ${format(out)}, ${format(expected)} follows from ${format(grid)} of ${x.rows}`,
  );
}

function format({ height, width }: Grid): string {
  return `${height} x ${width}`;
}

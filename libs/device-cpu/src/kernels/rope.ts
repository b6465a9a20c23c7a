import { DeviceError, type RopeOptions } from '@emloc/device';

import { assertIndices, assertShape, matrix } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks, rowScratchBytes } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { float32, int32 } from '../memory.js';
import { scratchBytes } from '../scratch.js';

/** Rows of the tables are copied where they follow one another, which those of a sequence do. */
export function rope({ scratch, wasm }: CpuContext, options: RopeOptions): void {
  const { x, out, cos, sin, positions, heads, inverse, pairs = 'halves' } = options;
  const { rows, headDim, half } = ropeExtents(options);
  const table = [cos.dim(0), half];
  assertShape('rope', out, x.shape);
  assertShape('rope', cos, table);
  assertShape('rope', sin, table);
  assertShape('rope', positions, [rows]);
  const places = int32(positions);
  assertIndices('rope', places, cos.dim(0), positions.label);
  const [input, output] = [float32(x), float32(out)];
  const [cosines, sines] = [float32(cos), float32(sin)];
  const width = heads * headDim;
  const chunk = chunkRows(rows, width);
  const values = new ChunkBuffer(scratch, chunk * width);
  const [cosineRows, sineRows] = [
    new ChunkBuffer(scratch, chunk * half),
    new ChunkBuffer(scratch, chunk * half),
  ];
  forRowChunks(rows, width, (start, end) => {
    values.load(input, start * width, end * width);
    for (let row = start; row < end;) {
      const [run, at] = [runLength(places, row, end), (row - start) * half];
      const first = (places[row] as number) * half;
      cosineRows.load(cosines, first, first + run * half, at);
      sineRows.load(sines, first, first + run * half, at);
      row += run;
    }
    wasm.ropeRows(
      values.address,
      end - start,
      heads,
      headDim,
      cosineRows.address,
      sineRows.address,
      half,
      inverse ? -1 : 1,
      pairs === 'adjacent',
    );
    values.store(output, start * width, end * width);
  });
}

/** How many positions from `row` on follow one another. */
function runLength(places: Int32Array, row: number, end: number): number {
  const first = places[row] as number;
  let run = 1;
  while (row + run < end && places[row + run] === first + run) run += 1;
  return run;
}

/** Scratch bytes: a chunk of rows, and of rows of each table. */
export function ropeScratchBytes(options: RopeOptions): number {
  const { rows, headDim, half } = ropeExtents(options);
  const width = options.heads * headDim;
  const tableBytes = scratchBytes(chunkRows(rows, width) * half * 4);
  return rowScratchBytes(rows, width, 1) + 2 * tableBytes;
}

/**
 * Rows, the length of a head, and how many pairs of it turn.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH unless heads are of even length, and so is what turns
 */
export function ropeExtents({ x, heads, rotaryDim }: RopeOptions): {
  rows: number;
  headDim: number;
  half: number;
} {
  const [rows, width] = matrix('rope', x);
  const headDim = width / heads;
  if (!Number.isInteger(headDim / 2))
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `rope: ${heads} heads of even length do not make ${width}`,
    );
  const half = (rotaryDim ?? headDim) / 2;
  if (!Number.isInteger(half) || half > headDim / 2)
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `rope: ${rotaryDim} elements of heads of ${headDim} cannot turn, only an even number up to that`,
    );
  return { rows, headDim, half };
}

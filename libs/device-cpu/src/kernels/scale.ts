import type { ScaleOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks, rowScratchBytes } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { float32, float64 } from '../memory.js';
import { scratchBytes } from '../scratch.js';

export function scale(context: CpuContext, options: ScaleOptions): void {
  const { x, scale: factors, along, out } = options;
  const [rows, width] = matrix('scale', x);
  assertShape('scale', out, x.shape);
  assertShape('scale', factors, [along === 'rows' ? rows : width]);
  if (x.dtype === 'float64') scaleWide(options);
  else if (along === 'rows') scaleEachRow(context, options);
  else scaleEachColumn(context, options);
}

/** Scratch bytes: a chunk of rows, and the columns' factors. */
export function scaleScratchBytes({ x, along }: ScaleOptions): number {
  const [rows, width] = matrix('scale', x);
  return (along === 'rows' ? 0 : scratchBytes(width * 4)) + rowScratchBytes(rows, width, 1);
}

function scaleEachRow({ scratch, wasm }: CpuContext, { x, scale: list, out }: ScaleOptions): void {
  const [rows, width] = matrix('scale', x);
  const [source, factors, target] = [float32(x), float32(list), float32(out)];
  const values = new ChunkBuffer(scratch, chunkRows(rows, width) * width);
  forRowChunks(rows, width, (start, end) => {
    values.load(source, start * width, end * width);
    for (let row = start; row < end; row += 1)
      wasm.scaleRow(values.address + (row - start) * width * 4, width, factors[row] as number);
    values.store(target, start * width, end * width);
  });
}

function scaleEachColumn(
  { scratch, wasm }: CpuContext,
  { x, scale: list, out }: ScaleOptions,
): void {
  const [rows, width] = matrix('scale', x);
  const [source, target] = [float32(x), float32(out)];
  const factors = new ChunkBuffer(scratch, width);
  factors.load(float32(list), 0, width);
  const values = new ChunkBuffer(scratch, chunkRows(rows, width) * width);
  forRowChunks(rows, width, (start, end) => {
    values.load(source, start * width, end * width);
    wasm.scaleColumns(values.address, end - start, width, factors.address);
    values.store(target, start * width, end * width);
  });
}

function scaleWide({ x, scale: factors, along, out }: ScaleOptions): void {
  const [rows, width] = matrix('scale', x);
  const [source, values, target] = [float64(x), float64(factors), float64(out)];
  const [rowStep, columnStep] = along === 'rows' ? [1, 0] : [0, 1];
  for (let row = 0, i = 0; row < rows; row += 1) {
    let factor = row * rowStep;
    for (const end = i + width; i < end; i += 1, factor += columnStep)
      target[i] = (source[i] as number) * (values[factor] as number);
  }
}

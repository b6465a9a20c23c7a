import {
  type AddBiasOptions,
  type AddOptions,
  type CastOptions,
  type FillOptions,
  type ScaleOptions,
  type SquaredNormsOptions,
  type Tensor,
} from '@emloc/device';

import { assertShape, assertSize, matrix } from '../checks.js';
import { convert, elementsOf } from '../convert.js';
import { float32, floats } from '../memory.js';

export function add({ x, out, alpha = 1 }: AddOptions): void {
  assertSize('add', x, out.size);
  const [source, target] = [floats(x), floats(out)];
  for (let i = 0; i < target.length; i += 1)
    target[i] = (target[i] as number) + alpha * (source[i] as number);
}

export function addBias({ bias, out }: AddBiasOptions): void {
  const [rows, width] = matrix('addBias', out);
  assertShape('addBias', bias, [width]);
  const [source, target] = [floats(bias), floats(out)];
  for (let row = 0, i = 0; row < rows; row += 1) {
    for (let column = 0; column < width; column += 1, i += 1)
      target[i] = (target[i] as number) + (source[column] as number);
  }
}

export function fill({ out, value }: FillOptions): void {
  if (out.dtype !== 'bfloat16') return void elements(out).fill(value);
  const rounded = new Uint16Array(1);
  convert(Float32Array.of(value), 'float32', rounded, 'bfloat16');
  elements(out).fill(rounded[0] as number);
}

export function cast({ x, out }: CastOptions): void {
  assertSize('cast', x, out.size);
  convert(elements(x), x.dtype, elements(out), out.dtype);
}

function elements(tensor: Tensor) {
  return elementsOf(
    new Uint8Array(tensor.handle as ArrayBuffer).subarray(...byteRange(tensor)),
    tensor.dtype,
  );
}

function byteRange({ byteLength, elementOffset, size }: Tensor): [start: number, end: number] {
  const start = size === 0 ? 0 : (elementOffset * byteLength) / size;
  return [start, start + byteLength];
}

export function scale({ x, scale: factors, along, out }: ScaleOptions): void {
  const [rows, width] = matrix('scale', x);
  assertShape('scale', out, x.shape);
  assertShape('scale', factors, [along === 'rows' ? rows : width]);
  const [source, values, target] = [floats(x), floats(factors), floats(out)];
  const [rowStep, columnStep] = along === 'rows' ? [1, 0] : [0, 1];
  for (let row = 0, i = 0; row < rows; row += 1) {
    let factor = row * rowStep;
    for (const end = i + width; i < end; i += 1, factor += columnStep)
      target[i] = (source[i] as number) * (values[factor] as number);
  }
}

/** Sums in float64. */
export function squaredNorms({ tensors, out }: SquaredNormsOptions): void {
  assertShape('squaredNorms', out, [tensors.length]);
  const norms = float32(out);
  tensors.forEach((tensor, index) => {
    norms[index] = squaredNorm(floats(tensor));
  });
}

function squaredNorm(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += (values[i] as number) * (values[i] as number);
  return sum;
}

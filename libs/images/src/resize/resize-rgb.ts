import type { ImageSize } from '../image-input.js';
import { resizeWindows, weightBits, type ResizeFilter, type Windows } from './windows.js';

// Looked up once: inner loops would do it for each pixel.
const { imul } = Math;
const half = 2 ** (weightBits - 1);

/**
 * Pillow's `Image.resize` of 8-bit RGB, byte for byte: rows first, rounded to 8 bits, then columns;
 * an axis that stays as long is skipped. Source rows are taken one at a time and added to the
 * outputs that they belong to, so that no more than an output is held, however tall the source is.
 * @param rgb (height, width, 3)
 * @returns (target.height, target.width, 3)
 */
export function resizeRgb(
  rgb: Uint8Array,
  size: ImageSize,
  target: ImageSize,
  filter: ResizeFilter,
): Uint8Array {
  const columns =
    size.width === target.width ? null : resizeWindows(size.width, target.width, filter);
  const rowOf = rowReader(rgb, size, target.width, columns);
  return size.height === target.height
    ? joinRows(rowOf, target)
    : resizeColumns(rowOf, size.height, target, filter);
}

/** A row of the target's width; the next call may overwrite it. */
type RowOf = (y: number) => Uint8Array;

function rowReader(
  rgb: Uint8Array,
  { width }: ImageSize,
  targetWidth: number,
  columns: Windows | null,
): RowOf {
  if (!columns) return (y) => rgb.subarray(y * width * 3, (y + 1) * width * 3);
  const row = new Uint8Array(targetWidth * 3);
  return (y) => {
    resizeRow(rgb, y * width * 3, columns, row);
    return row;
  };
}

function joinRows(rowOf: RowOf, { width, height }: ImageSize): Uint8Array {
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) out.set(rowOf(y), y * width * 3);
  return out;
}

function resizeRow(rgb: Uint8Array, offset: number, windows: Windows, out: Uint8Array): void {
  const { stride, starts, counts, weights } = windows;
  for (let x = 0, to = 0; to < out.length; x++, to += 3) {
    let from = offset + 3 * (starts[x] as number);
    const first = x * stride;
    const end = first + (counts[x] as number);
    let red = half;
    let green = half;
    let blue = half;
    for (let index = first; index < end; index++) {
      const weight = weights[index] as number;
      red = (red + imul(rgb[from] as number, weight)) | 0;
      green = (green + imul(rgb[from + 1] as number, weight)) | 0;
      blue = (blue + imul(rgb[from + 2] as number, weight)) | 0;
      from += 3;
    }
    out[to] = clip(red);
    out[to + 1] = clip(green);
    out[to + 2] = clip(blue);
  }
}

/**
 * Outputs that a source row belongs to are neighbours, and both ends of their range only move
 * forward, as windows are in order.
 */
function resizeColumns(
  rowOf: RowOf,
  sourceHeight: number,
  { width, height }: ImageSize,
  filter: ResizeFilter,
): Uint8Array {
  const { stride, starts, counts, weights } = resizeWindows(sourceHeight, height, filter);
  const length = width * 3;
  const sums = new Int32Array(length * height).fill(half);
  let [first, end] = [0, 0];
  for (let y = 0; y < sourceHeight; y++) {
    while (end < height && (starts[end] as number) <= y) end++;
    while (first < end && (starts[first] as number) + (counts[first] as number) <= y) first++;
    const row = rowOf(y);
    for (let output = first; output < end; output++) {
      const weight = weights[output * stride + y - (starts[output] as number)] as number;
      addRow(sums, output * length, row, weight);
    }
  }
  return clipAll(sums);
}

function addRow(sums: Int32Array, offset: number, row: Uint8Array, weight: number): void {
  for (let index = 0; index < row.length; index++)
    sums[offset + index] =
      ((sums[offset + index] as number) + imul(row[index] as number, weight)) | 0;
}

function clipAll(sums: Int32Array): Uint8Array {
  const out = new Uint8Array(sums.length);
  for (let index = 0; index < sums.length; index++) out[index] = clip(sums[index] as number);
  return out;
}

function clip(sum: number): number {
  const value = sum >> weightBits;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

import { at } from '@emloc/checked';
import { byteLength, type Tensor } from '@emloc/device';

import type { PieceScope } from './piece-scope.js';

/**
 * Row ranges [start, end) of a (rows, columns) tensor whose pieces take at most `scope.pieceBytes`
 * in `dtype`, or are one row.
 */
export function rowChunks(
  { pieceBytes }: PieceScope,
  { rows, columns, dtype }: { rows: number; columns: number; dtype: 'float32' | 'float64' },
): readonly (readonly [start: number, end: number])[] {
  const height = Math.max(1, Math.min(rows, Math.floor(pieceBytes / byteLength([columns], dtype))));
  const chunks: [number, number][] = [];
  for (let start = 0; start < rows; start += height)
    chunks.push([start, Math.min(start + height, rows)]);
  return chunks;
}

/** A piece of consecutive rows in the wanted dtype; valid until the visit returns. */
export type VisitRows = (piece: Tensor, start: number, end: number) => void;

/**
 * Visits x (rows, columns) piece by piece in another dtype, so that it never exists whole in it.
 */
export function forEachConverted(
  scope: PieceScope,
  { x, dtype }: { x: Tensor; dtype: 'float32' | 'float64' },
  visit: VisitRows,
): void {
  const [rows, columns] = [x.dim(0), x.dim(1)];
  const chunks = rowChunks(scope, { rows, columns, dtype });
  if (x.dtype === dtype) {
    for (const [start, end] of chunks) visit(x.rows(start, end), start, end);
    return;
  }
  const height = at(chunks, 0)[1];
  const buffer = scope.allocate({ shape: [height, columns], dtype, label: `rows of ${x.label}` });
  for (const [start, end] of chunks) {
    const piece = end - start === height ? buffer : buffer.rows(0, end - start);
    scope.device.kernels.cast({ x: x.rows(start, end), out: piece });
    visit(piece, start, end);
  }
  scope.free(buffer);
}

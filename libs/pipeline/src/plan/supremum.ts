import { at, get } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import { coveringBatches, type StepBatches } from '@emloc/finetune';
import type { Batch, BatchShape, RowSource } from '@emloc/models';

/**
 * A batch that no batch of a run outdoes in anything that memory depends on, whichever rows come
 * together: of each kind of rows and of integers it has those of the rows that have most.
 */
export function supremum(source: RowSource, batches: StepBatches): BatchShape {
  let count = 0;
  const shapes: BatchShape[] = [];
  for (const rows of coveringBatches(batches)) {
    count = Math.max(count, rows.length);
    for (const row of rows) shapes.push(source.shape([row]));
  }
  const any = at(shapes, 0);
  const layouts = [...any.layouts.keys()].map((name) => {
    const rows = largest(shapes, count, ({ layouts: of }) => get(of, name).at(-1) ?? 0);
    return { name, offsets: rows.map((shape) => get(shape.layouts, name)), rows };
  });
  const grids = layouts.filter(({ name }) => any.grids?.has(name));
  const sum = (size: (shape: BatchShape) => number): number =>
    largest(shapes, count, size).reduce((total, shape) => total + size(shape), 0);
  return {
    ...any,
    layouts: new Map(layouts.map(({ name, offsets }) => [name, inTurn(offsets)])),
    ...(grids.length > 0 && {
      grids: new Map(
        grids.map(({ name, rows }) => [name, rows.flatMap((row) => row.grids?.get(name) ?? [])]),
      ),
    }),
    integers: new Map(
      [...any.integers.keys()].map((name) => [name, sum(({ integers }) => get(integers, name))]),
    ),
    lossWeight: sum((shape) => shape.lossWeight),
    items: sum((shape) => shape.items),
  };
}

function largest(
  shapes: readonly BatchShape[],
  count: number,
  size: (shape: BatchShape) => number,
): BatchShape[] {
  return [...shapes].sort((a, b) => size(b) - size(a)).slice(0, count);
}

/** The sequences of several lists of offsets as one. */
function inTurn(all: readonly (readonly number[])[]): readonly number[] {
  const offsets = [0];
  for (const own of all) {
    const before = offsets.at(-1) ?? 0;
    for (const end of own.slice(1)) offsets.push(before + end);
  }
  return offsets;
}

/** The number of the row that stands for a whole batch of such a shape. */
export const heaviestRow = -1;

/** Rows with one more, `heaviestRow`, whose batch has this shape and zeros; for rehearsals. */
export function withHeaviest(source: RowSource, shape: BatchShape): RowSource {
  const isHeaviest = (rows: readonly number[]): boolean => rows[0] === heaviestRow;
  return {
    shape: (rows) => (isHeaviest(rows) ? shape : source.shape(rows)),
    load: (rows, isWanted) =>
      isHeaviest(rows) ? Promise.resolve(blankBatch(shape)) : source.load(rows, isWanted),
  };
}

function blankBatch(shape: BatchShape): Batch {
  const rowsOf = (layout: string): number => get(shape.layouts, layout).at(-1) ?? 0;
  const blank = (elements: number): HostArray => ({
    bytes: new Uint8Array(elements * Float32Array.BYTES_PER_ELEMENT),
    dtype: 'float32',
  });
  const angles = (elements: number) => ({
    cos: new Float32Array(elements),
    sin: new Float32Array(elements),
  });
  return {
    shape,
    integers: new Map([...shape.integers].map(([name, count]) => [name, new Int32Array(count)])),
    values: new Map(
      [...shape.values].map(([name, { rows, width }]) => [name, blank(rowsOf(rows) * width)]),
    ),
    ropes: new Map(
      [...(shape.ropes ?? [])].map(([name, { rows, width }]) => [
        name,
        angles(rowsOf(rows) * width),
      ]),
    ),
  };
}

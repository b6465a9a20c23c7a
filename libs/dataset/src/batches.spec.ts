import { allocate } from './allocate.js';
import { batchSchedule as scheduleOf, type BatchScheduleOptions } from './batch-schedule.js';
import type { EncodedRow, RowImage } from './encoded-row.js';
import { drawnRows, mixRows, type WeightedRows } from './mixture.js';
import { packBatch } from './pack-batch.js';
import { sourcesOf } from './sources.js';
import {
  heldOutOfFiles,
  sampleCalibration as sampleOf,
  splitValidation as splitFiles,
} from './split.js';

function row(ids: readonly number[], trained: readonly number[], line = 1): EncodedRow {
  return { ids: Int32Array.from(ids), trained: Uint8Array.from(trained), line };
}

function rowsOf(count: number): EncodedRow[] {
  return Array.from({ length: count }, (_, line) => row([1, 2], [0, 1], line + 1));
}

const linesOf = (rows: readonly EncodedRow[]): number[] => rows.map(({ line }) => line);

describe('packBatch', () => {
  it('has the tokens that stand for images', () => {
    const image = (contextStart: number, contextTokens: number): RowImage => ({
      input: { kind: 'file', path: 'a.png', label: 'a.png' },
      ...{ width: 9, height: 9, tiles: 1, maxTiles: 1, contextStart, contextTokens },
    });
    const rows = [
      { ...row([1, 9, 9, 2, 9, 3], [0, 0, 0, 0, 0, 1]), images: [image(1, 2), image(4, 1)] },
      row([4], [0]),
      { ...row([9, 9], [0, 0]), images: [image(0, 2)] },
    ];
    expect(packBatch(rows).imageRows).toEqual(Int32Array.of(1, 2, 4, 7, 8));
  });

  it('puts rows one after the other, each token predicting the next of its own row only', () => {
    const batch = packBatch([row([10, 11, 12], [0, 1, 1]), row([20], [0]), row([30, 31], [0, 1])]);
    expect(batch).toEqual({
      ids: Int32Array.of(10, 11, 12, 20, 30, 31),
      positions: Int32Array.of(0, 1, 2, 0, 0, 1),
      offsets: [0, 3, 4, 6],
      imageRows: new Int32Array(),
      isCut: [false, false, false],
      targetRows: Int32Array.of(0, 1, 4),
      targets: Int32Array.of(11, 12, 31),
      tokens: 6,
      trainedTokens: 3,
    });
  });

  it('never makes the first token of a row a target', () => {
    const batch = packBatch([row([10, 11], [0, 0]), row([20, 21], [1, 1])]);
    expect([...batch.targetRows]).toEqual([2]);
    expect([...batch.targets]).toEqual([21]);
  });

  it('packs no rows into an empty batch', () => {
    expect(packBatch([])).toMatchObject({ offsets: [0], tokens: 0, trainedTokens: 0 });
  });
});

function splitValidation(rows: readonly EncodedRow[], { seed }: { readonly seed: number }) {
  const { train, validation } = splitFiles([{ rows, weight: 1 }], { seed });
  return { train: train.flatMap((file) => file.rows), validation };
}

describe('splitValidation', () => {
  it.each([
    [32, 16],
    [320, 16],
    [1000, 50],
    [2000, 100],
    [6000, 256],
  ])('of %d rows holds out %d', (total, heldOut) => {
    const { train, validation } = splitValidation(rowsOf(total), { seed: 0 });
    expect(validation).toHaveLength(heldOut);
    expect([...linesOf(train), ...linesOf(validation)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: total }, (_, i) => i + 1),
    );
    expect(linesOf(validation)).toEqual([...linesOf(validation)].sort((a, b) => a - b));
  });

  it('chooses by the seed', () => {
    const choose = (seed: number): number[] =>
      linesOf(splitValidation(rowsOf(200), { seed }).validation);
    expect(choose(1)).toEqual(choose(1));
    expect(choose(1)).not.toEqual(choose(2));
  });

  it('keeps the parts of a row on one side, and counts rows of the file', () => {
    const parted = rowsOf(40).flatMap((row) => [1, 2].map((part) => ({ ...row, part })));
    const { train, validation } = splitValidation(parted, { seed: 3 });
    expect([train.length, validation.length]).toEqual([48, 32]);
    const trainLines = new Set(linesOf(train));
    expect(linesOf(validation).some((line) => trainLines.has(line))).toBe(false);
    expect(new Set(linesOf(validation))).toEqual(
      new Set(linesOf(splitValidation(rowsOf(40), { seed: 3 }).validation)),
    );
  });

  it('refuses when too few rows would be left to train on', () => {
    expect(() => splitValidation(rowsOf(31), { seed: 0 })).toThrow(
      expect.objectContaining({ code: 'DATASET_TOO_SMALL' }),
    );
  });
});

function sampleCalibration(
  rows: readonly EncodedRow[],
  options: { readonly count: number; readonly seed: number },
) {
  return sampleOf({ rows, repeats: rows.map(() => 1) }, options);
}

describe('sampleCalibration', () => {
  it('draws distinct rows by the seed, in the order of the file', () => {
    const draw = (seed: number): number[] =>
      linesOf(sampleCalibration(rowsOf(100), { count: 10, seed }));
    expect(new Set(draw(1)).size).toBe(10);
    expect(draw(1)).toEqual([...draw(1)].sort((a, b) => a - b));
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it('takes all rows where there are no more than asked for', () => {
    expect(linesOf(sampleCalibration(rowsOf(3), { count: 64, seed: 0 }))).toEqual([1, 2, 3]);
  });
});

/** All steps, one after another. */
function batchSchedule(options: BatchScheduleOptions) {
  const schedule = scheduleOf(options);
  return Array.from({ length: schedule.length }, (_, step) => schedule.at(step) ?? []);
}

describe('batchSchedule', () => {
  const base = {
    rows: rowsOf(10),
    batchSize: { rows: 2 },
    ...{ gradientAccumulation: 2, epochs: 1, seed: 0 },
  };

  it('visits every row once an epoch, in another order each time', () => {
    const schedule = batchSchedule({ ...base, epochs: 2 });
    expect(schedule.map((step) => step.map((batch) => batch.length))).toEqual([
      [2, 2],
      [2, 2],
      [2],
      [2, 2],
      [2, 2],
      [2],
    ]);
    const [first, second] = [schedule.slice(0, 3).flat(2), schedule.slice(3).flat(2)];
    for (const epoch of [first, second])
      expect([...epoch].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(first).not.toEqual(second);
  });

  it('makes as many steps as asked for, whatever the epochs say', () => {
    expect(batchSchedule({ ...base, steps: 1 })).toEqual(batchSchedule(base).slice(0, 1));
    expect(batchSchedule({ ...base, steps: 7 })).toEqual(
      batchSchedule({ ...base, epochs: 3 }).slice(0, 7),
    );
  });

  it('ends inside an epoch when the epochs are a fraction', () => {
    expect(batchSchedule({ ...base, epochs: 0.5 })).toHaveLength(2);
  });

  it('keeps a batch that is larger than the data set as small as that', () => {
    expect(
      batchSchedule({ ...base, rows: rowsOf(3), batchSize: { rows: 8 }, steps: 2 }).map(
        (step) => step.flat().length,
      ),
    ).toEqual([3, 3]);
  });

  it('keeps the parts of a row together, and the order of rows apart from them', () => {
    const parted = rowsOf(6).flatMap((row) =>
      row.line % 2 === 0 ? [row] : [1, 2, 3].map((part) => ({ ...row, part })),
    );
    const schedule = batchSchedule({
      ...base,
      rows: parted,
      batchSize: { rows: 1 },
      gradientAccumulation: 1,
    });
    const lines = schedule.flat(2).map((index) => parted[index]?.line);
    expect(lines).toHaveLength(12);
    const changes = lines.filter((line, index) => line !== lines[index - 1]);
    expect(changes).toHaveLength(6);
    expect(changes).toEqual(
      batchSchedule({ ...base, rows: rowsOf(6), batchSize: { rows: 1 }, gradientAccumulation: 1 })
        .flat(2)
        .map((index) => index + 1),
    );
  });

  it('gives any step without those before it, however many there are', () => {
    const many = scheduleOf({ ...base, steps: 1e7 });
    const few = batchSchedule({ ...base, steps: 40 });
    for (const step of [37, 0, 38, 1, 37]) expect(many.at(step)).toEqual(few[step]);
    expect(many.at(9_999_999)).toHaveLength(2);
    expect([many.at(-1), many.at(1e7)]).toEqual([undefined, undefined]);
    expect(new Set(few.slice(0, many.covering).flat(2)).size).toBe(10);
    for (const step of [0, 1, 2, 3, 17, 40])
      expect(many.microBatchesBefore(step)).toBe(few.slice(0, step).flat().length);
  });

  it('depends on the seed and nothing else', () => {
    expect(batchSchedule(base)).toEqual(batchSchedule(base));
    expect(batchSchedule(base)).not.toEqual(batchSchedule({ ...base, seed: 1 }));
  });

  it.each([
    { rows: [] },
    { batchSize: { rows: 0 } },
    { batchSize: { tokens: 2.5 } },
    { gradientAccumulation: 1.5 },
    { steps: 0 },
    { epochs: 0 },
    { epochs: Number.NaN },
  ])('refuses %j', (wrong) => {
    expect(() => batchSchedule({ ...base, ...wrong })).toThrow(
      expect.objectContaining({ code: 'DATASET_INVALID_OPTION' }),
    );
  });
});

/** Rows of so many tokens each. */
function rowsOfLengths(lengths: readonly number[]): EncodedRow[] {
  return lengths.map((length, line) => ({
    ids: new Int32Array(length),
    trained: new Uint8Array(length).fill(1, 1),
    line: line + 1,
  }));
}

describe('batches of tokens', () => {
  const lengths = [7, 3, 3, 9, 4, 3, 8, 3, 3, 4, 5, 3];
  const rows = rowsOfLengths(lengths);
  const base = {
    ...{ rows, batchSize: { tokens: 12 }, gradientAccumulation: 1, epochs: 1, seed: 0 },
  };
  const shapeOf = (batch: readonly number[]): string => batch.map((row) => lengths[row]).join('+');

  it('have rows of like length, as many as fit, and every row once an epoch', () => {
    const batches = batchSchedule(base).flat();
    expect(batches.map(shapeOf).sort()).toEqual(['9', '8', '7+5', '4+4+3', '3+3+3+3', '3'].sort());
    expect(batches.flat().sort((a, b) => a - b)).toEqual([...rows.keys()]);
  });

  it('have other rows of equal length and another order in each epoch, and the same lengths', () => {
    const epochs = batchSchedule({ ...base, epochs: 4 }).flat();
    const of = (epoch: number) => epochs.slice(6 * epoch, 6 * epoch + 6);
    expect(epochs).toHaveLength(24);
    for (const epoch of [1, 2, 3])
      expect(of(epoch).map(shapeOf).sort()).toEqual(of(0).map(shapeOf).sort());
    const orders = new Set([0, 1, 2, 3].map((epoch) => of(epoch).map(shapeOf).join(' ')));
    const members = new Set(
      [0, 1, 2, 3].map((epoch) => String(of(epoch).find((batch) => shapeOf(batch) === '3+3+3+3'))),
    );
    expect([orders.size > 1, members.size > 1]).toEqual([true, true]);
    expect(batchSchedule(base)).toEqual(batchSchedule(base));
    expect(batchSchedule(base)).not.toEqual(batchSchedule({ ...base, seed: 1 }));
  });

  it('make steps of several, the last of an epoch of what is left', () => {
    const schedule = scheduleOf({ ...base, gradientAccumulation: 4, epochs: 2 });
    expect(schedule).toMatchObject({ length: 4, covering: 2 });
    expect([0, 1, 2, 3, 4].map((step) => schedule.at(step)?.length)).toEqual([
      4,
      2,
      4,
      2,
      undefined,
    ]);
    expect([0, 1, 2, 3, 4].map((step) => schedule.microBatchesBefore(step))).toEqual([
      0, 4, 6, 10, 12,
    ]);
  });

  it('have rows that repeat as often as they do', () => {
    const repeats = lengths.map((length) => (length === 9 ? 3 : 1));
    const batches = batchSchedule({ ...base, repeats }).flat();
    expect(batches.map(shapeOf).filter((shape) => shape === '9')).toHaveLength(3);
  });

  it('refuse a row that none has room for, with its tokens', () => {
    expect(() => scheduleOf({ ...base, batchSize: { tokens: 8 } })).toThrow(
      expect.objectContaining({
        code: 'DATASET_INVALID_OPTION',
        message: expect.stringContaining('a row has 9 tokens'),
      }),
    );
  });
});

describe('several files', () => {
  const fileOf = (file: number, count: number): EncodedRow[] =>
    rowsOf(count).map((each) => ({ ...each, file }));
  const filesOf = (
    ...sizes: readonly (readonly [rows: number, weight: number])[]
  ): WeightedRows[] =>
    sizes.map(([rows, weight], index) => ({ rows: fileOf(index + 1, rows), weight }));
  const countsOf = (rows: readonly EncodedRow[]): number[] =>
    [1, 2, 3].map((number) => rows.filter(({ file }) => file === number).length);

  it('come as often as their weights say, of a part of a weight the same rows in every epoch', () => {
    const { rows, repeats } = mixRows(filesOf([10, 1], [4, 2.5], [10, 0.3]), { seed: 0 });
    expect(countsOf(rows)).toEqual([10, 4, 3]);
    expect(repeats.slice(0, 10)).toEqual(new Array(10).fill(1));
    expect([...repeats.slice(10, 14)].sort()).toEqual([2, 2, 3, 3]);
    expect(repeats.slice(14)).toEqual([1, 1, 1]);
    const epochs = batchSchedule({
      ...{ rows, repeats, batchSize: { rows: 5 }, gradientAccumulation: 1, epochs: 2, seed: 0 },
    });
    expect(epochs).toHaveLength(10);
    for (const epoch of [epochs.slice(0, 5), epochs.slice(5)]) {
      const seen = epoch.flat(2);
      expect(rows.map((_, row) => seen.filter((each) => each === row).length)).toEqual(repeats);
    }
    expect(mixRows(filesOf([100, 0.5]), { seed: 0 })).not.toEqual(
      mixRows(filesOf([100, 0.5]), { seed: 1 }),
    );
  });

  it.each([
    [10, 1, 10],
    [10, 2.25, 23],
    [10, 0.01, 1],
    [0, 0.5, 0],
  ])('have of %i rows at weight %d %i in an epoch', (rows, weight, drawn) => {
    expect(drawnRows(rows, weight)).toBe(drawn);
    expect(mixRows(filesOf([rows, weight]), { seed: 0 }).repeats.reduce((a, b) => a + b, 0)).toBe(
      drawn,
    );
  });

  it('keep the parts of a row together, also where files have rows of one number', () => {
    const part = (file: number, number: number): EncodedRow => ({
      ...row([1, 2], [0, 1], 1),
      ...{ file, part: number },
    });
    expect(sourcesOf([part(1, 1), part(1, 2), part(2, 3), part(2, 4)])).toEqual([
      [0, 1],
      [2, 3],
    ]);
    const parted = rowsOf(20).flatMap((each) =>
      [1, 2].map((number) => ({ ...each, part: number })),
    );
    const { rows } = mixRows([{ rows: parted, weight: 0.5 }], { seed: 0 });
    expect(rows).toHaveLength(20);
    expect(new Set(linesOf(rows)).size).toBe(10);
  });

  it('hold out and calibrate on as much of each as an epoch has of it', () => {
    const files = filesOf([300, 1], [100, 3], [50, 0.02]);
    const { train, validation } = splitFiles(files, { seed: 0 });
    expect(countsOf(validation)).toEqual([12, 11, 0]);
    expect(
      heldOutOfFiles([300, 100, 50].map((rows, i) => ({ rows, weight: [1, 3, 0.02][i] ?? 0 }))),
    ).toEqual([12, 11, 0]);
    expect(train.map(({ rows }) => rows.length)).toEqual([288, 89, 50]);
    const sample = sampleOf(mixRows(train, { seed: 0 }), { count: 20, seed: 0 });
    expect(countsOf(sample)).toEqual([10, 10, 0]);
    const sorted = [...sample].sort((a, b) => (a.file ?? 0) - (b.file ?? 0) || a.line - b.line);
    expect(sample).toEqual(sorted);
  });

  it('lose no more than half of a small one to validation', () => {
    const { validation } = splitFiles(filesOf([40, 1], [4, 100]), { seed: 0 });
    expect(countsOf(validation)).toEqual([14, 2, 0]);
  });

  it('divide what is whole, and give on what one cannot take', () => {
    const claims = (...all: readonly (readonly [number, number])[]) =>
      all.map(([share, most]) => ({ share, most }));
    expect(allocate(10, claims([1, 9], [1, 9]))).toEqual([5, 5]);
    expect(allocate(10, claims([6, 99], [3, 99], [1, 99]))).toEqual([6, 3, 1]);
    expect(allocate(10, claims([9, 2], [1, 99]))).toEqual([2, 8]);
    expect(allocate(10, claims([1, 2], [1, 3]))).toEqual([2, 3]);
  });
});

test('a row that a list takes again, in parts, is another row', () => {
  const part = (number: number): EncodedRow => ({ ...row([1, 2], [0, 1], 1), part: number });
  expect(sourcesOf([part(1), part(2), part(1), part(2)])).toEqual([
    [0, 1],
    [2, 3],
  ]);
});

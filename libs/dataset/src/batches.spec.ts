import { batchSchedule as scheduleOf, type BatchScheduleOptions } from './batch-schedule.js';
import type { EncodedRow, RowImage } from './encoded-row.js';
import { packBatch } from './pack-batch.js';
import { sourcesOf } from './sources.js';
import { sampleCalibration, splitValidation } from './split.js';

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
  const base = { rows: rowsOf(10), batchSize: 2, gradientAccumulation: 2, epochs: 1, seed: 0 };

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
      batchSchedule({ ...base, rows: rowsOf(3), batchSize: 8, steps: 2 }).map(
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
      batchSize: 1,
      gradientAccumulation: 1,
    });
    const lines = schedule.flat(2).map((index) => parted[index]?.line);
    expect(lines).toHaveLength(12);
    const changes = lines.filter((line, index) => line !== lines[index - 1]);
    expect(changes).toHaveLength(6);
    expect(changes).toEqual(
      batchSchedule({ ...base, rows: rowsOf(6), batchSize: 1, gradientAccumulation: 1 })
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
    { batchSize: 0 },
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

test('a row that a list takes again, in parts, is another row', () => {
  const part = (number: number): EncodedRow => ({ ...row([1, 2], [0, 1], 1), part: number });
  expect(sourcesOf([part(1), part(2), part(1), part(2)])).toEqual([
    [0, 1],
    [2, 3],
  ]);
});

import { dataViolations } from './row-problems.js';

const scan = (rows: number, isWhole = true) => ({ rows, isWhole, problems: [] });
const options = { epochs: 3, batch: 4, gradientAccumulation: 2, steps: null };
const limits = { prefix: 'job.options', maxSteps: 30 };
const of = (
  data: ReturnType<typeof scan>,
  validation: ReturnType<typeof scan> | null,
  changes = {},
) =>
  dataViolations(
    { ...options, ...changes },
    { kind: 'text', data, moreData: [], validation },
    limits,
  );

test('steps of epochs are counted, not those that were asked for', () => {
  expect(of(scan(80), scan(1))).toEqual([]);
  expect(of(scan(81), scan(1))).toEqual([
    {
      field: 'job.options.epochs',
      description: '3 epochs of 81 rows make 33 steps, at most 30 are allowed',
    },
  ]);
  expect(of(scan(81), scan(1), { steps: 5 })).toEqual([]);
  expect(of(scan(96), null)).toEqual([]);
  expect(of(scan(97), null)).toMatchObject([{ field: 'job.options.epochs' }]);
  expect(of(scan(81, false), scan(1))).toEqual([
    {
      field: 'job.options.epochs',
      description: '3 epochs of at least 81 rows make 33 steps, at most 30 are allowed',
    },
  ]);
});

test('rows of several files are counted as an epoch has them, and problems told with their file', () => {
  const several = (moreData: readonly ReturnType<typeof scan>[], changes: object) =>
    dataViolations(
      { ...options, ...changes },
      { kind: 'text', data: scan(40), moreData, validation: scan(1) },
      limits,
    );
  expect(several([scan(20)], { dataWeights: '1,2' })).toEqual([]);
  expect(several([scan(20)], { dataWeights: '1,2.05' })).toMatchObject([
    { description: '3 epochs of 81 rows make 33 steps, at most 30 are allowed' },
  ]);
  expect(several([scan(1), scan(0)], {})).toEqual([
    { field: 'job.options.more_data[1]', description: 'has no rows' },
  ]);
});

test('where tokens decide, a step may be of one row', () => {
  expect(of(scan(10), scan(1), { batchTokens: 64, gradientAccumulation: 1 })).toEqual([]);
  expect(of(scan(11), scan(1), { batchTokens: 64, gradientAccumulation: 1 })).toMatchObject([
    { description: '3 epochs of 11 rows make up to 33 steps, at most 30 are allowed' },
  ]);
});

test('rows must be there, and enough to hold some out', () => {
  expect(of(scan(0), scan(0))).toEqual(
    ['data', 'validation'].map((name) => ({
      field: `job.options.${name}`,
      description: 'has no rows',
    })),
  );
  expect(of(scan(32), null)).toEqual([]);
  expect(of(scan(31), null)).toEqual([
    {
      field: 'job.options.data',
      description: 'has 31 rows, 32 are needed to hold out 16 for validation',
    },
  ]);
  expect(of(scan(31, false), null)).toEqual([]);
  expect(of(scan(0, false), scan(1))).toEqual([]);
});

test('problems are told with their lines', () => {
  const data = {
    rows: 1,
    isWhole: false,
    problems: [
      { line: 2, field: 'prompt', reason: 'is missing' },
      { line: 3, field: null, reason: 'is not valid UTF-8' },
    ],
  };
  expect(
    dataViolations(options, { kind: 'text', data, moreData: [], validation: null }, limits),
  ).toEqual(
    ['line 2: prompt is missing', 'line 3: is not valid UTF-8'].map((description) => ({
      field: 'job.options.data',
      description,
    })),
  );
});

test('problems of folders are told with their options', () => {
  const problems = [
    { option: 'data', description: 'a.png: is empty' },
    { option: 'classData', description: '/dogs/b.png: is empty' },
  ] as const;
  expect(dataViolations(options, { kind: 'pictures', problems }, limits)).toEqual([
    { field: 'job.options.data', description: 'a.png: is empty' },
    { field: 'job.options.class_data', description: '/dogs/b.png: is empty' },
  ]);
});

test('steps that nobody asked for have their limit, too', () => {
  const found = { kind: 'pictures', problems: [] } as const;
  expect(dataViolations({ ...options, steps: 30 }, found, limits)).toEqual([]);
  expect(dataViolations({ ...options, steps: 31 }, found, limits)).toEqual([
    { field: 'job.options.steps', description: '31 is the default, at most 30 is allowed' },
  ]);
});

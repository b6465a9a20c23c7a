import type { JestResult } from '../jest-summary.mjs';
import { recordOf, summarizeRuns, type RunRecord } from '../repeat-summary.mjs';

const run = { at: '2026-01-01T00:00:00.000Z', seconds: 10, root: '/repo' };

const result: JestResult = {
  numPassedTests: 1,
  numFailedTests: 1,
  numRuntimeErrorTestSuites: 1,
  numPendingTests: 0,
  numTodoTests: 0,
  numTotalTests: 2,
  success: false,
  testResults: [
    {
      name: '/repo/libs/a/src/a.spec.ts',
      status: 'failed',
      startTime: 1000,
      endTime: 3500,
      message: 'all of it',
      assertionResults: [
        { fullName: 'a adds', status: 'passed', failureMessages: [] },
        {
          fullName: 'a waits',
          status: 'failed',
          failureMessages: ['\u001b[31mError: too late\u001b[39m\n    at a'],
        },
      ],
    },
    {
      name: '/repo/libs/b/src/b.spec.ts',
      status: 'failed',
      startTime: 0,
      endTime: 500,
      message: '\nCannot find module c\n  at b',
      assertionResults: [],
    },
  ],
};

describe('recordOf', () => {
  it('names tests that failed and files that did not load, with seconds of every file', () => {
    expect(recordOf(result, run)).toEqual({
      at: run.at,
      seconds: 10,
      passed: 1,
      failures: [
        { test: 'libs/a/src/a.spec.ts: a waits', message: 'Error: too late' },
        { test: 'libs/b/src/b.spec.ts', message: 'Cannot find module c' },
      ],
      suites: { 'libs/a/src/a.spec.ts': 2.5, 'libs/b/src/b.spec.ts': 0.5 },
    });
  });

  it('is a failure when jest wrote no result', () => {
    expect(recordOf(null, run)).toMatchObject({ passed: 0, failures: [{ test: 'jest' }] });
  });
});

describe('summarizeRuns', () => {
  const base = { at: run.at, passed: 5 };
  const once = { test: 'x: once', message: 'first words' };
  const twice = { test: 'y: twice', message: 'words' };

  it('counts failures by test, the most frequent first, with their last words', () => {
    const records: RunRecord[] = [
      { ...base, seconds: 9, failures: [], suites: { x: 1, y: 5 } },
      { ...base, seconds: 11, failures: [once, twice], suites: { x: 2, y: 6 } },
      { ...base, seconds: 10, failures: [{ ...twice, message: 'last words' }], suites: { y: 7 } },
    ];
    expect(summarizeRuns(records).split('\n')).toEqual([
      '3 runs: 1 passed, 2 failed; seconds: median 10.0, longest 11.0',
      'failed 2 of 3: y: twice: last words',
      'failed 1 of 3: x: once: first words',
      'y: median 6.0, longest 7.0',
      'x: median 1.0, longest 2.0',
    ]);
  });

  it('lists the twenty slowest files only', () => {
    const suites = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`s${i}`, i]));
    const lines = summarizeRuns([{ ...base, seconds: 1, failures: [], suites }]).split('\n');
    expect(lines).toHaveLength(21);
    expect(lines[1]).toBe('s29: median 29.0, longest 29.0');
  });

  it('sums up an empty log', () => {
    expect(summarizeRuns([])).toBe('0 runs: 0 passed, 0 failed; seconds: none');
  });
});

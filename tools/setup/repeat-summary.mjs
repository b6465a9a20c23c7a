import { relative } from 'node:path';

/**
 * One run of jest, a line of the log. `failures` names each test that failed, and each file that
 * did not load by its path alone; `suites` holds the seconds of each file.
 * @typedef {{ at: string, seconds: number, passed: number,
 *   failures: readonly { test: string, message: string }[],
 *   suites: Readonly<Record<string, number>> }} RunRecord
 */

const slowestCount = 20;

/**
 * @param {import('./jest-summary.mjs').JestResult | null} result null when jest wrote none
 * @param {{ at: string, seconds: number, root: string }} run paths are told relative to `root`
 * @returns {RunRecord}
 */
export function recordOf(result, { at, seconds, root }) {
  if (!result)
    return {
      at,
      seconds,
      passed: 0,
      failures: [{ test: 'jest', message: 'no result' }],
      suites: {},
    };
  const suites = result.testResults.map((suite) => ({
    ...suite,
    path: relative(root, suite.name),
  }));
  return {
    at,
    seconds,
    passed: result.numPassedTests,
    failures: suites.flatMap(failuresOf),
    suites: Object.fromEntries(
      suites.map(({ path, startTime, endTime }) => [path, (endTime - startTime) / 1000]),
    ),
  };
}

/**
 * @param {import('./jest-summary.mjs').JestSuite & { path: string }} suite
 * @returns {RunRecord['failures']}
 */
function failuresOf({ path, status, message, assertionResults }) {
  const failed = assertionResults
    .filter((test) => test.status === 'failed')
    .map(({ fullName, failureMessages }) => ({
      test: `${path}: ${fullName}`,
      message: firstLine(failureMessages.join('\n')),
    }));
  if (failed.length > 0 || status !== 'failed') return failed;
  return [{ test: path, message: firstLine(message) }];
}

/**
 * Several runs together: how many failed, how often each test did and with what words the last
 * time, and the files that take longest.
 * @param {readonly RunRecord[]} records
 * @returns {string}
 */
export function summarizeRuns(records) {
  const failed = records.filter(({ failures }) => failures.length > 0).length;
  const seconds = records.map((record) => record.seconds);
  return [
    `${records.length} runs: ${records.length - failed} passed, ${failed} failed; seconds: ${spread(seconds)}`,
    ...failureLines(records),
    ...slowestLines(records),
  ].join('\n');
}

/** @param {readonly RunRecord[]} records */
function failureLines(records) {
  /** @type {Map<string, { count: number, message: string }>} */
  const tests = new Map();
  for (const { failures } of records)
    for (const { test, message } of failures)
      tests.set(test, { count: (tests.get(test)?.count ?? 0) + 1, message });
  return [...tests]
    .sort(([, a], [, b]) => b.count - a.count)
    .map(
      ([test, { count, message }]) => `failed ${count} of ${records.length}: ${test}: ${message}`,
    );
}

/** @param {readonly RunRecord[]} records */
function slowestLines(records) {
  /** @type {Map<string, number[]>} */
  const times = new Map();
  for (const { suites } of records)
    for (const [path, seconds] of Object.entries(suites))
      times.set(path, [...(times.get(path) ?? []), seconds]);
  return [...times]
    .sort(([, a], [, b]) => median(b) - median(a))
    .slice(0, slowestCount)
    .map(([path, seconds]) => `${path}: ${spread(seconds)}`);
}

/** @param {readonly number[]} seconds */
function spread(seconds) {
  if (seconds.length === 0) return 'none';
  return `median ${median(seconds).toFixed(1)}, longest ${Math.max(...seconds).toFixed(1)}`;
}

/** The lower of the two in the middle. @param {readonly number[]} values not empty */
function median(values) {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN;
}

/** @param {string} text */
function firstLine(text) {
  // eslint-disable-next-line no-control-regex -- jest colours its messages
  const plain = text.replace(/\u001b\[[0-9;]*m/g, '').trim();
  return plain.split('\n')[0] ?? '';
}

import Sequencer from '@jest/test-sequencer';

/** Milliseconds that a suite takes where they are not known. */
const usualMs = { programs: 15_000, others: 2000 };

/**
 * Jest's order (the slowest first, or the largest file where no times are known) within each kind
 * of suites, the kinds side by side.
 */
export default class TestSequencer extends Sequencer {
  /**
   * @param {Parameters<Sequencer['sort']>[0]} tests
   * @override
   */
  async sort(tests) {
    return sideBySide(await super.sort(tests));
  }
}

/**
 * Suites that start programs and the others in the order in which they would start if each kind had
 * a worker of its own. The first wait a good deal, which leaves a processor to the others; two of
 * them at once are many processes.
 * @template {{ path: string, duration?: number }} T `duration` is in milliseconds
 * @param {readonly T[]} tests
 * @returns {T[]}
 */
export function sideBySide(tests) {
  const programs = tests.filter(({ path }) => startsPrograms(path));
  const others = tests.filter(({ path }) => !startsPrograms(path));
  return [...startsOf(programs, usualMs.programs), ...startsOf(others, usualMs.others)]
    .sort((a, b) => a.startMs - b.startMs)
    .map(({ test }) => test);
}

/**
 * When each suite would start on one worker.
 * @template {{ duration?: number }} T
 * @param {readonly T[]} tests
 * @param {number} unknownMs
 */
function startsOf(tests, unknownMs) {
  let startMs = 0;
  return tests.map((test) => {
    const start = { test, startMs };
    startMs += test.duration ?? unknownMs;
    return start;
  });
}

/**
 * Whether a file of tests starts whole programs: those of tools but goldens, of services those of
 * their processes.
 * @param {string} path
 */
export function startsPrograms(path) {
  return [
    /[\\/]tools[\\/](?!goldens[\\/])[^\\/]+[\\/]test[\\/]/,
    /[\\/]services[\\/][^\\/]+[\\/]test[\\/]processes\.spec\.ts$/,
  ].some((pattern) => pattern.test(path));
}

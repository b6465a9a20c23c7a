import Sequencer from '@jest/test-sequencer';

/**
 * Jest's order (the slowest first, or the largest file where no times are known), but unless all
 * times are known what starts programs comes first: it takes longest, and at the end one worker
 * would wait for it.
 */
export default class TestSequencer extends Sequencer {
  /**
   * @param {Parameters<Sequencer['sort']>[0]} tests
   * @override
   */
  async sort(tests) {
    const sorted = await super.sort(tests);
    if (sorted.every(({ duration }) => duration !== undefined)) return sorted;
    return sorted.toSorted(
      (a, b) => Number(startsPrograms(b.path)) - Number(startsPrograms(a.path)),
    );
  }
}

/** Whether a file of tests starts whole programs; goldens do not. @param {string} path */
export function startsPrograms(path) {
  return /[\\/]((tools|services)[\\/](?!goldens[\\/])[^\\/]+[\\/]test[\\/]|kernels\.spec\.ts$)/.test(
    path,
  );
}

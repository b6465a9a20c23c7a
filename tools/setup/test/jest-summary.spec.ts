import { summarize, type JestResult } from '../jest-summary.mjs';

const passing: JestResult = {
  numPassedTests: 7,
  numFailedTests: 0,
  numRuntimeErrorTestSuites: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numTotalTests: 7,
  success: true,
  testResults: [],
};

describe('summarize', () => {
  it('counts passed tests in one line', () => {
    expect(summarize(passing)).toMatchObject({ line: 'tests: 7 passed, 0 failed', ok: true });
  });

  it('counts a suite that did not load as a failure', () => {
    expect(summarize({ ...passing, numRuntimeErrorTestSuites: 1, success: false })).toMatchObject({
      line: 'tests: 7 passed, 1 failed',
      ok: false,
    });
  });

  it('is not ok when jest wrote no result or ran no test', () => {
    expect(summarize(null)).toMatchObject({ line: 'tests: 0 passed, 0 failed', ok: false });
    expect(summarize({ ...passing, numPassedTests: 0, numTotalTests: 0 }).ok).toBe(false);
  });

  it('reports skipped tests apart', () => {
    expect(summarize({ ...passing, numPendingTests: 2, numTodoTests: 1 }).skipped).toBe(3);
  });
});

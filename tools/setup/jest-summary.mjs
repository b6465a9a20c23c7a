/**
 * One file of tests: times are milliseconds since 1970, `message` is what jest prints of failures.
 * @typedef {{ name: string, status: string, startTime: number, endTime: number, message: string,
 *   assertionResults: readonly { fullName: string, status: string,
 *     failureMessages: readonly string[] }[] }} JestSuite
 */

/**
 * The part of `jest --json` that summaries need.
 * @typedef {{ numPassedTests: number, numFailedTests: number, numRuntimeErrorTestSuites: number,
 *   numPendingTests: number, numTodoTests: number, numTotalTests: number, success: boolean,
 *   testResults: readonly JestSuite[] }} JestResult
 */

/**
 * A suite that did not load counts as one failure: none of its tests ran.
 * @param {JestResult | null} result null when jest wrote none
 * @returns {{ passed: number, failed: number, skipped: number, line: string, ok: boolean }}
 */
export function summarize(result) {
  const passed = result?.numPassedTests ?? 0;
  const failed = result ? result.numFailedTests + result.numRuntimeErrorTestSuites : 0;
  const skipped = result ? result.numPendingTests + result.numTodoTests : 0;
  return {
    passed,
    failed,
    skipped,
    line: `tests: ${passed} passed, ${failed} failed`,
    ok: result !== null && result.success && passed > 0 && failed === 0,
  };
}

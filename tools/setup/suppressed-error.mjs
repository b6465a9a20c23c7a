/**
 * What `using` throws in tests where both the work and giving back fail: the transformer's own
 * definition goes by another name than its use of it, and Node 20 has no SuppressedError.
 */
class TestedSuppressedError extends Error {
  /**
   * @param {unknown} error
   * @param {unknown} suppressed
   * @param {string} message
   */
  constructor(error, suppressed, message) {
    super(message);
    Object.assign(this, { name: 'SuppressedError', error, suppressed });
  }
}

Object.assign(globalThis, { _SuppressedError: TestedSuppressedError });

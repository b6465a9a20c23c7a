/**
 * What tests' `using` throws where both the work and giving back fail: the transformer's own
 * definition goes by another name than its use of it, and Node 20 has no SuppressedError.
 */
globalThis._SuppressedError = class extends Error {
  name = 'SuppressedError';

  constructor(error, suppressed, message) {
    super(message);
    Object.assign(this, { error, suppressed });
  }
};

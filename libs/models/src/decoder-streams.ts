/** The streams of a text model: what a batch brings, and what passes from block to block. */
export const streams = Object.freeze({
  ids: 'ids',
  targetRows: 'targetRows',
  targets: 'targets',
  hidden: 'hidden',
});
/** The row layout of everything that has a row a token. */
export const tokens = 'tokens';

import { parseBytes } from '@emloc/device';

import { UsageError } from './usage-error.js';

/** Bytes of `2GiB`, `500 MB` or `1048576`. @throws UsageError */
export function parseSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== null) return bytes;
  throw new UsageError(
    `"${text}" is no size; expected a number of bytes or a unit, as in 16GiB, 500MB`,
  );
}

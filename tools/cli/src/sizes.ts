import { UsageError } from './usage-error.js';

const unitBytes: Readonly<Record<string, number>> = Object.freeze({
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
});

/** Bytes of `2GiB`, `500 MB` or `1048576`. @throws UsageError */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = Object.keys(unitBytes).find(
    (name) => name.toLowerCase() === (match?.[2] || 'B').toLowerCase(),
  );
  const bytes = match && unit ? Math.floor(Number(match[1]) * (unitBytes[unit] ?? 0)) : 0;
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new UsageError(
      `"${text}" is no size; expected a number of bytes or a unit, as in 16GiB, 500MB`,
    );
  }
  return bytes;
}

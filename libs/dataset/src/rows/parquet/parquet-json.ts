import { isUtf8 } from 'node:buffer';

/** A row of a table as JSON. Bytes of a column are text where they are UTF-8. */
export function jsonOfRow(row: Readonly<Record<string, unknown>>): string {
  const columns = Object.entries(row).map(([name, value]) => [name, textOrValue(value)] as const);
  return jsonOfEntries(columns);
}

/** Writers that know no texts write bytes. */
function textOrValue(value: unknown): unknown {
  return value instanceof Uint8Array && isUtf8(value) ? Buffer.from(value).toString() : value;
}

/** Integers keep their digits, times are in ISO 8601, bytes in base64; NaN is null. */
function jsonOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? 'null' : JSON.stringify(value.toISOString());
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(',')}]`;
  if (typeof value === 'object') return jsonOfEntries(Object.entries(value));
  return JSON.stringify(value);
}

function jsonOfEntries(entries: readonly (readonly [string, unknown])[]): string {
  return `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${jsonOf(value)}`).join(',')}}`;
}

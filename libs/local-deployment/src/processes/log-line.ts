import type { ProcessEndpoint } from './managed-process.js';

/** The fields of a line of JSON; null for any other line. */
function parseLogLine(line: string): Readonly<Record<string, unknown>> | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** Where the service listens, if this is the line that says so. */
export function endpointIn(line: string): ProcessEndpoint | null {
  const fields = line.includes('"listening"') ? parseLogLine(line) : null;
  if (fields?.['msg'] !== 'listening' || typeof fields['address'] !== 'string') return null;
  const { address, metricsPort } = fields;
  return { address, metricsPort: typeof metricsPort === 'number' ? metricsPort : null };
}

const shown = new Set(['time', 'level', 'service', 'msg']);

/**
 * A line for people: `14:03:59 trainer warn text field=value`. Lines that are no JSON stay as they
 * are.
 */
export function formatLogLine(process: string, line: string): string {
  const fields = parseLogLine(line);
  if (!fields) return `${' '.repeat(8)} ${process}  ${line}`;
  const time = typeof fields['time'] === 'string' ? fields['time'].slice(11, 19) : ' '.repeat(8);
  const rest = Object.entries(fields)
    .filter(([name]) => !shown.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [`${time} ${process}`, String(fields['level'] ?? ''), String(fields['msg'] ?? ''), ...rest]
    .filter((part) => part !== '')
    .join('  ');
}

import process from 'node:process';

/**
 * Milliseconds that this process has computed: other work on the same cores does not count in what
 * a test allows.
 */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

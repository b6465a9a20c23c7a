import type { RunOutcome } from './run.js';

/** A line for each run as it ends. */
export function outcomeLine({
  name,
  faults,
  seconds,
  acceptedMs,
  retries,
  problems,
}: RunOutcome): string {
  const happened = faults
    .map(
      ({ fault, afterMs }) => `${fault.kind} ${fault.process} at ${(afterMs / 1000).toFixed(1)} s`,
    )
    .join(', ');
  const verdict = problems.length === 0 ? 'identical' : `FAILED: ${problems.join('; ')}`;
  return `${name.padEnd(14)} ${seconds.toFixed(1).padStart(6)} s  accepted in ${acceptedMs.toFixed(0).padStart(4)} ms  ${String(retries).padStart(2)} retries  ${(happened === '' ? 'undisturbed' : happened).padEnd(64)}  ${verdict}`;
}

/** The last line. */
export function summaryLine(outcomes: readonly RunOutcome[]): string {
  const passed = outcomes.filter(({ problems }) => problems.length === 0).length;
  const seconds = outcomes.reduce((sum, outcome) => sum + outcome.seconds, 0);
  return `soak: ${passed} of ${outcomes.length} runs passed, ${seconds.toFixed(0)} s`;
}

import { availableParallelism } from 'node:os';

/**
 * Threads of the linear algebra where none were asked for: `OMP_NUM_THREADS`, as BLAS libraries and
 * PyTorch read it (of a list, the first), but not more than the process may use at once; without
 * it, so many.
 */
export function defaultThreads(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  available = availableParallelism(),
): number {
  const [asked] = /^\s*\d+/.exec(environment['OMP_NUM_THREADS'] ?? '') ?? [];
  const threads = Number(asked ?? 0);
  return threads > 0 ? Math.min(threads, available) : available;
}

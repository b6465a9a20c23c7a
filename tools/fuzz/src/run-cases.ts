import { CaseThread } from './case-thread.js';
import { runHere } from './run-here.js';
import type { TargetResult } from './summary.js';
import type { Workplace } from './target.js';
import { threadTargets } from './targets/index.js';
import type { CaseReport, CaseRequest } from './thread-messages.js';

export interface CaseOptions {
  readonly targets: readonly string[];
  readonly minutes: number;
  readonly seed: number;
  /** The first case of each target. */
  readonly from: number;
}

/** Problems of a target after which it is left alone. */
const mostProblems = 20;

interface Progress extends TargetResult {
  cases: number;
  taken: number;
  slowestMs: number;
  spentMs: number;
  readonly problems: { index: number; problem: string }[];
}

/**
 * Runs cases until the time is over, one of each target at least: always the next one of the target
 * that had the least time.
 */
export async function runCases(
  place: Workplace,
  { targets, minutes, seed, from }: CaseOptions,
): Promise<readonly TargetResult[]> {
  const endMs = performance.now() + minutes * 60_000;
  const results = targets.map((target): Progress => ({
    target,
    cases: 0,
    taken: 0,
    slowestMs: 0,
    spentMs: 0,
    problems: [],
  }));
  const thread = new CaseThread(place);
  await using here = runHere(place);
  const run = (request: CaseRequest): Promise<CaseReport> =>
    Object.hasOwn(threadTargets, request.target) ? thread.run(request) : here.run(request);
  try {
    for (;;) {
      const next = leastServed(results);
      if (!next || (next.cases > 0 && performance.now() >= endMs)) break;
      const request = { target: next.target, seed, index: from + next.cases };
      await countCase(next, request, run);
    }
  } finally {
    await thread.close();
  }
  return results;
}

function leastServed(results: readonly Progress[]): Progress | undefined {
  return results
    .filter(({ problems }) => problems.length < mostProblems)
    .sort((a, b) => a.spentMs - b.spentMs)
    .at(0);
}

async function countCase(
  result: Progress,
  request: CaseRequest,
  run: (request: CaseRequest) => Promise<CaseReport>,
): Promise<void> {
  const startMs = performance.now();
  const { isTaken, problem } = await run(request);
  const ms = performance.now() - startMs;
  result.cases += 1;
  result.spentMs += ms;
  result.slowestMs = Math.max(result.slowestMs, ms);
  if (problem !== null) result.problems.push({ index: request.index, problem });
  else if (isTaken) result.taken += 1;
}

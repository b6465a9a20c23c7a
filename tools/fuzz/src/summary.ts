/** What came of one target's cases. */
export interface TargetResult {
  readonly target: string;
  readonly cases: number;
  readonly taken: number;
  readonly slowestMs: number;
  readonly problems: readonly { readonly index: number; readonly problem: string }[];
}

export function summaryOf(results: readonly TargetResult[], seed: number): string {
  const lines = results.flatMap(({ target, cases, taken, slowestMs, problems }) => [
    `${target}: ${cases} cases, ${taken} taken, ${cases - taken - problems.length} refused, ${problems.length} wrong, slowest ${(slowestMs / 1000).toFixed(1)} s`,
    ...problems.map(
      ({ index, problem }) =>
        `  wrong: --seed ${seed} --only ${target} --from ${index}: ${JSON.stringify(problem)}`,
    ),
  ]);
  const total = results.reduce((sum, { cases }) => sum + cases, 0);
  const wrong = results.reduce((sum, { problems }) => sum + problems.length, 0);
  return `${[...lines, `fuzz: ${total} cases, ${wrong} wrong`].join('\n')}\n`;
}

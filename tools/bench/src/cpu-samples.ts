import process from 'node:process';

import { median } from './gpu-table.js';

/** What one call took. */
export interface Sample {
  /** By the clock. */
  readonly seconds: number;
  /** Of all threads of the process: other programs on the same cores count less. */
  readonly processorSeconds: number;
}

/** The second side's times over the first's. */
export interface Comparison {
  /** Of processor time. */
  readonly medianSeconds: readonly [first: number, second: number];
  readonly ratio: number;
  /** Of the shortest times by the clock. */
  readonly shortestRatio: number;
}

/** A batch lasts so long that `process.cpuUsage` counts it exactly enough. */
const batchSeconds = 0.02;

/** Seconds of a call: the mean of a batch. */
export async function sampleSide(call: () => void): Promise<Sample> {
  let calls = 0;
  const before = process.cpuUsage();
  const started = performance.now();
  let seconds = 0;
  do {
    call();
    calls += 1;
    seconds = (performance.now() - started) / 1000;
  } while (seconds < batchSeconds);
  const { user, system } = process.cpuUsage(before);
  return { seconds: seconds / calls, processorSeconds: (user + system) / 1e6 / calls };
}

/** Samples both in turn, after two rounds that do not count. */
export async function compareSides(
  samplers: readonly [first: () => Promise<Sample>, second: () => Promise<Sample>],
  rounds: number,
): Promise<Comparison> {
  const samples: [Sample[], Sample[]] = [[], []];
  for (let round = -2; round < rounds; round += 1) {
    for (const side of [0, 1] as const) {
      const sample = await samplers[side]();
      if (round >= 0) samples[side].push(sample);
    }
  }
  return compare(samples);
}

/** @throws RangeError when a side has no sample */
export function compare([first, second]: readonly [
  readonly Sample[],
  readonly Sample[],
]): Comparison {
  const medianOf = (samples: readonly Sample[]) =>
    median(samples.map(({ processorSeconds }) => processorSeconds));
  const shortestOf = (samples: readonly Sample[]) =>
    Math.min(...samples.map(({ seconds }) => seconds));
  const medianSeconds = [medianOf(first), medianOf(second)] as const;
  return {
    medianSeconds,
    ratio: medianSeconds[1] / medianSeconds[0],
    shortestRatio: shortestOf(second) / shortestOf(first),
  };
}

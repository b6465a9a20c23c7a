import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { at } from '@emloc/checked';
import { cardUsage } from '@emloc/device-cuda';

/** What was taken on a card while something ran, as the driver sees it. */
export interface CardPeak {
  /** By everybody before. */
  readonly beforeBytes: number;
  readonly peakBytes: number;
  readonly samples: number;
}

/** Runs `run` while another process samples the card, thousands of times a second. */
export async function watchCard<T>(
  ordinal: number,
  run: () => Promise<T>,
): Promise<{ readonly result: T; readonly peak: CardPeak }> {
  const watcher = spawn(
    process.execPath,
    [at(process.argv, 1), 'robustness', '--sample', String(ordinal)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let output = '';
  watcher.stdout.on('data', (text) => (output += String(text)));
  const exited = once(watcher, 'exit');
  await once(watcher.stdout, 'data');
  try {
    const result = await run();
    watcher.stdin.end();
    await exited;
    return { result, peak: JSON.parse(at(output.split('\n'), 1)) as CardPeak };
  } finally {
    watcher.kill();
  }
}

/** The other process: says that it has begun, samples until its input ends, and prints the peak. */
export async function sampleCard(ordinal: number): Promise<number> {
  const usage = cardUsage(ordinal);
  const beforeBytes = usage?.() ?? null;
  if (!usage || beforeBytes === null) {
    process.stderr.write('the management library (NVML) does not tell what is taken on the card\n');
    return 1;
  }
  let hasEnded = false;
  process.stdin.on('end', () => (hasEnded = true)).resume();
  process.stdout.write('sampling\n');
  let [peakBytes, samples] = [beforeBytes, 0];
  for (; !hasEnded; samples += 1) {
    peakBytes = Math.max(peakBytes, usage() ?? 0);
    await new Promise(setImmediate);
  }
  process.stdout.write(
    `${JSON.stringify({ beforeBytes, peakBytes, samples } satisfies CardPeak)}\n`,
  );
  return 0;
}

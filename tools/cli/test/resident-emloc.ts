import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { command, type Run } from './run-emloc.js';

const resident = fileURLToPath(new URL('./resident.mjs', import.meta.url));
const runtime = fileURLToPath(new URL('../bin/runtime.cjs', import.meta.url));

/** What tells a run from others. */
export interface RunPlace {
  readonly folder: string;
  /** Added to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * The built command in a process that stays, for tests of what a run says and writes: a run takes
 * the time of its work alone. How a process ends (signals, outputs that nobody takes) is for
 * `runEmloc`. To be called where a file or a `describe` begins; the process ends after its tests.
 * @returns runs one after another, in the order of the calls
 */
export function useResidentEmloc(): (args: readonly string[], place: RunPlace) => Promise<Run> {
  let child: ChildProcess | null = null;
  let last: Promise<unknown> = Promise.resolve();

  afterAll(async () => {
    if (child === null || child.exitCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  });

  const runNext = async (args: readonly string[], { folder, env }: RunPlace): Promise<Run> => {
    child ??= fork(resident, { execArgv: ['--require', runtime], stdio: 'inherit' });
    child.send({ command, args, folder, env: env ?? {} });
    const ended = new AbortController();
    try {
      return await Promise.race([
        once(child, 'message', { signal: ended.signal }).then(([run]) => run as Run),
        once(child, 'exit', { signal: ended.signal }).then(([code]) => {
          throw new Error(`emloc ${args.join(' ')}: the process ended (${String(code)})`);
        }),
      ]);
    } finally {
      ended.abort();
    }
  };
  return (args, place) => {
    const run = last.then(() => runNext(args, place));
    last = run.catch(() => undefined);
    return run;
  };
}

import process from 'node:process';
import { systemClock, type Clock } from '@emloc/time';

/**
 * Names, in `EMLOC_PARENT_WATCH`, what ends with the process that started this one. Without it a
 * service runs on by itself.
 */
const stdinWatch = 'stdin';
/** The parent's NATS ends with it, so there is little left to save. */
const defaultWithinMs = 3000;

export interface ParentWatchOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks for an orderly end. */
  readonly end: (reason: string) => void;
  /** Ends the process; replaced in tests. */
  readonly exit?: (code: number) => void;
  readonly stdin?: NodeJS.ReadableStream;
  readonly withinMs?: number;
  readonly clock?: Clock;
}

/**
 * Ends a process whose parent died without stopping it: orderly within `withinMs`, else at once.
 */
export function watchParent({
  env,
  end,
  exit = (code) => process.exit(code),
  stdin = process.stdin,
  withinMs = defaultWithinMs,
  clock = systemClock,
}: ParentWatchOptions): void {
  if (env['EMLOC_PARENT_WATCH'] !== stdinWatch) return;
  let isGone = false;
  const onGone = (): void => {
    if (isGone) return;
    isGone = true;
    clock.after(withinMs, () => exit(1));
    end('the process that started it is gone');
  };
  stdin.on('end', onGone).on('close', onGone).on('error', onGone);
  stdin.resume();
}

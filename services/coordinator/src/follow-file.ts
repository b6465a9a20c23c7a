import { stat } from 'node:fs/promises';
import { ServiceError, type Logger } from '@emloc/service';
import { systemClock, type Clock } from '@emloc/time';
import { readRegularFile } from '@emloc/untrusted';

/** A file of settings that may change while the process runs. */
export interface FollowedFile<T> {
  readonly path: string;
  /** The option that names it. */
  readonly option: string;
  /** @throws ServiceError OPTION_INVALID */
  readonly parse: (text: string) => T;
}

export interface FollowOptions {
  readonly logger: Logger;
  /** Ends the following. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

const checkMs = 1000;
/** Those of a million tokens. */
const mostBytes = 100_000_000;

/**
 * What a file says, as of at most a second ago. One that cannot be read any more is logged, and
 * what it said before holds.
 * @throws ServiceError OPTION_INVALID for a file that cannot be read at the start
 */
export async function followFile<T>(
  file: FollowedFile<T>,
  { logger, signal, clock = systemClock }: FollowOptions,
): Promise<() => T> {
  const { path, option } = file;
  let known = await versionOf(path);
  let value = await read(file);
  const refresh = async (): Promise<void> => {
    const version = await versionOf(path);
    if (version === known) return;
    known = version;
    value = await read(file);
    logger.info({ path }, `${option} read again`);
  };
  const timer = clock.every(
    checkMs,
    () =>
      void refresh().catch((error: unknown) =>
        logger.error({ path, error }, `${option} cannot be read: what it said before holds`),
      ),
    { holdsProcess: false },
  );
  const stop = (): void => timer.end();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  return () => value;
}

/**
 * JSON of an option's file. The parser's message would show a part of the text.
 * @throws ServiceError OPTION_INVALID, which names the place
 */
export function parseOptionJson(option: string, text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ServiceError('OPTION_INVALID', `options: ${option}: ${place} is no JSON`);
  }
}

async function read<T>({ path, option, parse }: FollowedFile<T>): Promise<T> {
  const bytes = await readRegularFile(path, mostBytes).catch((cause: Error) => {
    throw new ServiceError('OPTION_INVALID', `options: ${option}: ${cause.message}`, { cause });
  });
  return parse(bytes.toString('utf8'));
}

async function versionOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  return found ? `${found.mtimeMs} ${found.size} ${found.ino}` : '';
}

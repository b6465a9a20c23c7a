import { firstError } from '@emloc/checked';
import pino, { type Logger as PinoLogger } from 'pino';

/** Levels as everywhere: a service logs what an operator must know at `info` and above. */
type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LoggerOptions {
  /** In every line. */
  readonly service: string;
  readonly level?: LogLevel;
  /** Texts that no line may hold, whatever field they stand in. */
  readonly secrets?: readonly string[];
  /** Takes whole lines; standard error when left out. */
  readonly write?: (line: string) => void;
}

type LogFields = Readonly<Record<string, unknown>>;

/** Structured lines of JSON: `time`, `level`, `service`, `msg` and the fields. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  /**
   * An error goes in as `error`: its type, code, message and causes are logged, its stack at
   * `debug` level only.
   */
  error(fields: LogFields, message: string): void;
  /** The same logger with fields in every line. */
  with(fields: LogFields): Logger;
}

const secretKey = /token|secret|passw|authorization|credential|cookie|seed|private|api[-_]?key/i;
const removed = '[removed]';
const maxDepth = 6;
const minSecretLength = 6;

export function createLogger({
  service,
  level = 'info',
  secrets = [],
  write = (line) => void process.stderr.write(line),
}: LoggerOptions): Logger {
  // A secret inside a JSON string is written with escapes.
  const hidden = secrets
    .filter(({ length }) => length >= minSecretLength)
    .map((secret) => JSON.stringify(secret).slice(1, -1));
  const destination = {
    write: (line: string) =>
      write(hidden.reduce((text, secret) => text.replaceAll(secret, removed), line)),
  };
  const logger = pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redact(fields, level === 'debug', 0) as Record<string, unknown>,
        bindings: (fields) => redact(fields, false, 0) as Record<string, unknown>,
      },
    },
    destination,
  );
  return wrap(logger);
}

function wrap(logger: PinoLogger): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    with: (fields) => wrap(logger.child(fields)),
  };
}

/**
 * Values under names that sound secret are removed, at any depth; errors and binary data become
 * what may be read.
 */
function redact(given: unknown, withStacks: boolean, depth: number): unknown {
  const value = firstError(given);
  if (value instanceof Error) return describeError(value, withStacks, depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (typeof value !== 'object' || value === null)
    return typeof value === 'bigint' ? String(value) : value;
  if (depth >= maxDepth) return '[deeper]';
  if (Array.isArray(value)) return value.map((item) => redact(item, withStacks, depth + 1));
  if (value instanceof Date) return value.toISOString();
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      secretKey.test(key) && typeof item !== 'number'
        ? removed
        : redact(item, withStacks, depth + 1),
    ]),
  );
}

function describeError(error: Error, withStacks: boolean, depth: number): Record<string, unknown> {
  return {
    type: error.name,
    ...('code' in error ? { code: error.code } : {}),
    message: error.message,
    ...(withStacks ? { stack: error.stack } : {}),
    ...(error.cause === undefined || depth >= maxDepth
      ? {}
      : { cause: redact(error.cause, withStacks, depth + 1) }),
  };
}

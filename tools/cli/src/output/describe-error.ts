import { DatasetError } from '@emloc/dataset';

/** The work was stopped by a signal before it had anything to keep. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly code = 'CLI_INTERRUPTED';
}

/** What the system says where no library had a word of its own for it. */
class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code = 'CLI_SYSTEM_ERROR';
}

/** Whether an error has a code of docs/errors.md, or one of gRPC's. */
export function isCoded(error: unknown): error is Error & { readonly code: string } {
  if (!(error instanceof Error) || !('code' in error)) return false;
  const { code } = error;
  return typeof code === 'string' && !isSystemCode(code) && /^[A-Z][A-Z0-9_]*$/.test(code);
}

/** `ENOENT`, `ERR_INVALID_ARG_VALUE` and `ABORT_ERR` are the system's and the runtime's words. */
function isSystemCode(code: string): boolean {
  return /^(E[A-Z0-9]+|ERR_\w+|ABORT_ERR)$/.test(code);
}

/** `error: CODE: message`, with the messages of the causes that say more. */
export function describeError(thrown: unknown): string {
  const error = ofTheSystem(thrown) ?? thrown;
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  const causes: string[] = [];
  let above = error;
  for (let cause = error.cause; cause instanceof Error && causes.length < 4; cause = cause.cause) {
    // The same with more or less around it says nothing new.
    if (!error.message.includes(cause.message) && !cause.message.endsWith(above.message))
      causes.push(`  because: ${cause.message}`);
    above = cause;
  }
  const unexpected = isCoded(error) ? [] : [(error.stack ?? '').split('\n').slice(1, 6).join('\n')];
  return [
    `error: ${isCoded(error) ? `${error.code}: ` : ''}${messageOf(error)}`,
    ...causes,
    ...unexpected,
  ]
    .filter(Boolean)
    .join('\n');
}

/** Null for what is no error of a system call. */
function ofTheSystem(error: unknown): SystemError | null {
  if (!(error instanceof Error) || !('syscall' in error)) return null;
  return new SystemError(error.message, { cause: error });
}

/** What whoever runs the command may see, which a log may not: a template's words about a row. */
function messageOf(error: Error): string {
  return error instanceof DatasetError ? error.messageForOwner : error.message;
}

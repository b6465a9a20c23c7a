/** What was to be read could not be written. */
export class OutputError extends Error {
  override readonly name = 'OutputError';
  readonly code = 'CLI_OUTPUT_FAILED';
}

export interface WatchedOutput {
  /**
   * Resolves when the system has taken all that was written.
   * @throws OutputError where it did not
   */
  finish(): Promise<void>;
}

/**
 * Hears when a stream takes no more (its reader has gone, its disk is full), which would end the
 * process with a stack otherwise. Written to after that, it swallows all.
 * @param onFailure called once, when there is somebody to stop
 */
export function watchOutput(
  stream: NodeJS.WritableStream,
  onFailure: (error: OutputError) => void,
): WatchedOutput {
  let failure: OutputError | null = null;
  const fail = (cause: Error): void => {
    if (failure) return;
    const reason = (cause as NodeJS.ErrnoException).code ?? cause.message;
    failure = new OutputError(`what was to be printed could not be written (${reason})`, { cause });
    onFailure(failure);
  };
  stream.on('error', fail);
  return {
    finish: async () => {
      await new Promise<void>((resolve) => {
        stream.write('', (error) => {
          if (error) fail(error);
          resolve();
        });
      });
      if (failure) throw failure;
    },
  };
}

/** Progress and messages that nobody can read any more change nothing of the work. */
export function ignoreFailures(stream: NodeJS.WritableStream): void {
  stream.on('error', () => undefined);
}

import process from 'node:process';
import { firstError } from '@emloc/checked';
import type { Command } from 'commander';

import { applyConfigFile } from './config-file.js';
import { exitCodeOf, exitCodes, signalExitCode } from './exit-code.js';
import type { FlagValues } from './flags.js';
import { describeError, InterruptedError, isCoded } from './output/describe-error.js';
import { createProgress, type Progress } from './output/progress.js';
import { told, visible } from './output/visible.js';
import { watchOutput } from './output/watch-output.js';
import { UsageError } from './usage-error.js';

/** What a command works with. */
export interface CommandContext {
  /** What was given without a flag. */
  readonly args: readonly string[];
  readonly values: FlagValues;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** A line on stdout before the result, for commands whose `--json` is lines. */
  printLine(document: unknown): void;
}

/**
 * What a command has to say: a document for machines, a text for people, which is empty where it
 * was shown already.
 */
export interface CommandResult {
  readonly document: unknown;
  readonly text: string;
  /** Work done, but with an answer that a script should stop at. Default 0. */
  readonly exitCode?: number;
}

/**
 * Runs a command: reads its config file, stops it at SIGINT, SIGTERM or SIGHUP or when nobody takes
 * what it prints, prints the result or the error, sets the exit code.
 */
export function runCommand(
  required: readonly string[],
  run: (context: CommandContext) => Promise<CommandResult>,
) {
  return async (...given: readonly unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    const abort = new AbortController();
    const stdout = watchOutput(process.stdout, (error) => abort.abort(error));
    using stop = stopAtSignals(abort);
    const progress = createProgress({ stream: process.stderr });
    try {
      applyConfigFile(command);
      const values: FlagValues = command.opts();
      assertRequired(values, required);
      const context = { args: command.args, values, progress, signal: abort.signal, printLine };
      const result = await run(context);
      progress.stop();
      if (values['json'] === true) printLine(result.document);
      else if (result.text !== '') process.stdout.write(`${visible(result.text)}\n`);
      await stdout.finish();
      process.exitCode = result.exitCode ?? exitCodes.done;
    } catch (thrown) {
      progress.stop();
      const { error, code } = endingOf(firstError(thrown), { abort, by: stop.by });
      process.stderr.write(`${told(describeError(error))}\n`);
      process.exitCode = code;
    }
  };
}

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function stopAtSignals(
  abort: AbortController,
): Disposable & { readonly by: NodeJS.Signals | null } {
  let by: NodeJS.Signals | null = null;
  const stop = (signal: NodeJS.Signals): void => {
    by ??= signal;
    abort.abort(new InterruptedError(`stopped by ${signal}`));
  };
  for (const signal of stopSignals) process.on(signal, stop);
  return {
    get by() {
      return by;
    },
    [Symbol.dispose]: () => {
      for (const signal of stopSignals) process.off(signal, stop);
    },
  };
}

/** What is said of an error, and the exit code: what stopped the work goes before what followed. */
function endingOf(
  error: unknown,
  { abort, by }: { readonly abort: AbortController; readonly by: NodeJS.Signals | null },
): { readonly error: unknown; readonly code: number } {
  if (by !== null)
    return { error: isCoded(error) ? error : abort.signal.reason, code: signalExitCode(by) };
  const reason: unknown = abort.signal.aborted ? abort.signal.reason : error;
  return { error: reason, code: exitCodeOf(reason) };
}

function printLine(document: unknown): void {
  process.stdout.write(`${visible(JSON.stringify(document))}\n`);
}

/** A text that is empty is as good as none. */
function assertRequired(values: FlagValues, required: readonly string[]): void {
  const missing = required
    .filter((name) => values[name] === undefined || values[name] === '')
    .map((name) => `--${name}`);
  if (missing.length > 0) throw new UsageError(`missing: ${missing.join(', ')} (see --help)`);
}

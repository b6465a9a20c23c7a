import { constants } from 'node:os';
import process from 'node:process';
import { firstError } from '@emloc/checked';
import { DatasetError } from '@emloc/dataset';
import type { Command } from 'commander';

import { applyConfigFile } from './config-file.js';
import type { FlagValues } from './flags.js';
import { createProgress, type Progress } from './output/progress.js';
import { told, visible } from './output/visible.js';
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
 * Runs a command: reads its config file, stops it at SIGINT, SIGTERM or SIGHUP, prints the
 * result or the error, sets the exit code.
 */
export function runCommand(
  required: readonly string[],
  run: (context: CommandContext) => Promise<CommandResult>,
) {
  return async (...given: readonly unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    const abort = new AbortController();
    let stoppedBy: NodeJS.Signals | null = null;
    const stop = (signal: NodeJS.Signals): void => {
      stoppedBy ??= signal;
      abort.abort(new Error(`stopped by ${signal}`));
    };
    const progress = createProgress({ stream: process.stderr });
    for (const signal of stopSignals) process.on(signal, stop);
    try {
      applyConfigFile(command);
      const values: FlagValues = command.opts();
      assertRequired(values, required);
      const result = await run({
        args: command.args,
        values,
        progress,
        signal: abort.signal,
        printLine,
      });
      progress.stop();
      if (values['json'] === true) printLine(result.document);
      else if (result.text !== '') process.stdout.write(`${visible(result.text)}\n`);
      process.exitCode = result.exitCode ?? 0;
    } catch (thrown) {
      progress.stop();
      const error = firstError(thrown);
      process.stderr.write(`${told(describeError(error))}\n`);
      process.exitCode = stoppedBy ? stopCode(stoppedBy) : error instanceof UsageError ? 2 : 1;
    } finally {
      for (const signal of stopSignals) process.off(signal, stop);
    }
  };
}

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** As shells tell it: 130, 143, 129. */
function stopCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

function printLine(document: unknown): void {
  process.stdout.write(`${visible(JSON.stringify(document))}\n`);
}

function assertRequired(values: FlagValues, required: readonly string[]): void {
  const missing = required.filter((name) => values[name] === undefined).map((name) => `--${name}`);
  if (missing.length > 0) throw new UsageError(`missing: ${missing.join(', ')} (see --help)`);
}

/** `error: CODE: message`, with the messages of the causes that say more. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  const code = (error as { code?: unknown }).code;
  const causes: string[] = [];
  let above = error;
  for (let cause = error.cause; cause instanceof Error && causes.length < 4; cause = cause.cause) {
    // The same with more or less around it says nothing new.
    if (!error.message.includes(cause.message) && !cause.message.endsWith(above.message))
      causes.push(`  because: ${cause.message}`);
    above = cause;
  }
  const unexpected =
    typeof code === 'string' ? [] : [(error.stack ?? '').split('\n').slice(1, 6).join('\n')];
  return [
    `error: ${typeof code === 'string' ? `${code}: ` : ''}${messageOf(error)}`,
    ...causes,
    ...unexpected,
  ]
    .filter(Boolean)
    .join('\n');
}

/** What whoever runs the command may see, which a log may not: a template's words about a row. */
function messageOf(error: Error): string {
  return error instanceof DatasetError ? error.messageForOwner : error.message;
}

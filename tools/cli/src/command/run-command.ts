import process from 'node:process';
import { firstError } from '@emloc/checked';
import type { Command } from 'commander';

import { applyConfigFile } from '../config-file.js';
import { exitCodeOf, exitCodes, signalExitCode, stopSignals } from '../exit-code.js';
import { describeError, InterruptedError, isCoded } from '../output/describe-error.js';
import { createProgress } from '../output/progress.js';
import { told, visible } from '../output/visible.js';
import { watchOutput } from '../output/watch-output.js';
import { UsageError } from '../usage-error.js';
import type { CommandTools, DefinedCommand, RawValues, ShownResult } from './define-command.js';

/**
 * Runs a command: reads its config file, stops it at SIGINT, SIGTERM or SIGHUP or when nobody takes
 * what it prints, prints the result or the error, sets the exit code.
 */
export async function runCommand(
  defined: DefinedCommand,
  command: Command,
  everyCommand: CommandTools['everyCommand'],
): Promise<void> {
  const [abort, hurry] = [new AbortController(), new AbortController()];
  const stdout = watchOutput(process.stdout, (error) => abort.abort(error));
  using stop = stopAtSignals(abort, hurry);
  const progress = createProgress({ stream: process.stderr });
  try {
    applyConfigFile(command, defined);
    const raw: RawValues = command.opts();
    assertRequired(raw, defined);
    assertOneSource(command, defined);
    const json = raw['json'] === true;
    const show = showerOf(json);
    const { signal } = abort;
    const tools = { json, progress, signal, hurry: hurry.signal, everyCommand, show };
    const result = await defined.run(raw, command.args, tools);
    progress.stop();
    if (result.text !== undefined) show(result);
    await stdout.finish();
    process.exitCode = result.exitCode ?? exitCodes.done;
  } catch (thrown) {
    progress.stop();
    const { error, code } = endingOf(firstError(thrown), { abort, by: stop.by });
    process.stderr.write(`${told(withFlag(describeError(error), defined))}\n`);
    process.exitCode = code;
  }
}

/** Libraries name an option as they know it: who typed its flag is told that, too. */
function withFlag(description: string, { flagOf }: DefinedCommand): string {
  return description.replace(/^(error: [A-Z_]+: option (\w+)):/, (whole, head, name) => {
    const flag = flagOf(String(name));
    return flag === undefined ? whole : `${String(head)} (${flag}):`;
  });
}

/** Shows the document to machines, the text to people. */
function showerOf(json: boolean): (result: ShownResult) => void {
  return ({ document, text }) => {
    if (json) process.stdout.write(`${visible(JSON.stringify(document))}\n`);
    else if (text !== '') process.stdout.write(`${visible(text)}\n`);
  };
}

/** Signals stop the work; those that come when it is over end the process as it would end. */
function stopAtSignals(
  abort: AbortController,
  hurry: AbortController,
): Disposable & { readonly by: NodeJS.Signals | null } {
  let by: NodeJS.Signals | null = null;
  const stop = (signal: NodeJS.Signals): void => {
    if (by !== null && signal === 'SIGINT') hurry.abort(new InterruptedError('stopped by SIGINT'));
    by ??= signal;
    abort.abort(new InterruptedError(`stopped by ${signal}`));
  };
  for (const signal of stopSignals) process.on(signal, stop);
  return {
    get by() {
      return by;
    },
    [Symbol.dispose]: () => {
      for (const signal of stopSignals) process.off(signal, stop).on(signal, () => process.exit());
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

/** An argument goes before what a config file says, not before flags beside it. */
function assertOneSource(command: Command, { argument }: DefinedCommand): void {
  if (!argument || command.args.length === 0) return;
  const rival = command.options.find(
    (option) =>
      argument.standsFor?.includes(option.attributeName()) === true &&
      command.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (rival)
    throw new UsageError(
      `${rival.long ?? rival.flags} beside ${argument.name}: one of them is expected`,
    );
}

/** A text that is empty is as good as none, as is a list that begins with one. */
function assertRequired(raw: RawValues, { required }: DefinedCommand): void {
  const first = (value: unknown): unknown => (Array.isArray(value) ? value.at(0) : value);
  const missing = required
    .filter(({ attribute }) => [undefined, ''].includes(first(raw[attribute]) as undefined))
    .map(({ long }) => long);
  if (missing.length > 0) throw new UsageError(`missing: ${missing.join(', ')} (see --help)`);
}

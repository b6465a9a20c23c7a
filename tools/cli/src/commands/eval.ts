import { openDatasetThread, pictureWarnings } from '@emloc/dataset';
import { ImagePool } from '@emloc/images';
import {
  evaluateModel,
  evaluatePictures,
  modelKind,
  resolveEvaluateOptions,
} from '@emloc/pipeline';
import type { Command } from 'commander';

import { checkOptions } from '../exit-code.js';
import { addFlags, commonFlags, deviceFlags, optionFlags, optionValues } from '../flags.js';
import { withModelFolder } from '../model-folder.js';
import { rowsSummary } from '../output/rows-summary.js';
import { evaluateTable, picturesTable } from '../output/tables.js';
import { runCommand, type CommandContext, type CommandResult } from '../run-command.js';
import { targetOf } from './tune.js';

export function addEvalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description(
      'loss, accuracy and exact match of a model, or its squared error on pictures, with an adapter or without',
    );
  addFlags(command, optionFlags('eval'), deviceFlags, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc eval --model ./base --adapter ./my-adapter --data test.jsonl',
    )
    .action(
      runCommand(['model', 'data'], async (context) => {
        const given = optionValues('eval', context.values) as RequiredPaths;
        const resolved = checkOptions(() => resolveEvaluateOptions(given));
        const target = targetOf(context.values);
        const options = await withModelFolder(resolved, context);
        const kind = await modelKind(options.model);
        return kind === 'pictures'
          ? onPictures(options, target, context)
          : onText(options, target, context);
      }),
    );
}

type Options = ReturnType<typeof resolveEvaluateOptions>;
type Target = ReturnType<typeof targetOf>;

async function onText(
  options: Options,
  target: Target,
  { progress, signal }: CommandContext,
): Promise<CommandResult> {
  const report = await evaluateModel(options, {
    target,
    signal,
    openDataset: openDatasetThread,
    openImages: () => new ImagePool(),
    onRows: (rows) => progress.note(rowsSummary(rows).join('\n')),
    onNotice: (message) => progress.observe({ type: 'notice', message }),
    onProgress: (done, total) => progress.update('evaluating', done, total),
  });
  return { document: report, text: evaluateTable(report) };
}

async function onPictures(
  options: Options,
  target: Target,
  { progress, signal }: CommandContext,
): Promise<CommandResult> {
  const report = await evaluatePictures(options, {
    target,
    signal,
    openImages: () => new ImagePool(),
    onPictures: (folder) => {
      for (const warning of pictureWarnings(folder, { withNames: true }))
        progress.note(`warning: ${warning}`);
    },
    onNotice: (message) => progress.observe({ type: 'notice', message }),
    onProgress: (task, done, total) => progress.update(task, done, total),
  });
  return { document: report, text: picturesTable(report) };
}

type RequiredPaths = Parameters<typeof resolveEvaluateOptions>[0];

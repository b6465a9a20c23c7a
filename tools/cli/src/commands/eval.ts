import { openDatasetThread } from '@emloc/dataset';
import { ImagePool } from '@emloc/images';
import { evaluateModel, resolveEvaluateOptions } from '@emloc/pipeline';
import type { Command } from 'commander';

import { addFlags, commonFlags, deviceFlags, optionFlags, optionValues } from '../flags.js';
import { withModelFolder } from '../model-folder.js';
import { rowsSummary } from '../output/rows-summary.js';
import { evaluateTable } from '../output/tables.js';
import { runCommand } from '../run-command.js';
import { targetOf } from './tune.js';

export function addEvalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description('loss, accuracy and exact match of a model, with an adapter or without');
  addFlags(command, optionFlags('eval'), deviceFlags, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc eval --model ./base --adapter ./my-adapter --data test.jsonl',
    )
    .action(
      runCommand(['model', 'data'], async ({ values, progress, signal }) => {
        const given = resolveEvaluateOptions(optionValues('eval', values) as RequiredPaths);
        const options = await withModelFolder(given, { progress, signal });
        const report = await evaluateModel(options, {
          target: targetOf(values),
          signal,
          openDataset: openDatasetThread,
          openImages: () => new ImagePool(),
          onRows: (rows) => progress.note(rowsSummary(rows).join('\n')),
          onNotice: (message) => progress.observe({ type: 'notice', message }),
          onProgress: (done, total) => progress.update('evaluating', done, total),
        });
        return { document: report, text: evaluateTable(report) };
      }),
    );
}

type RequiredPaths = Parameters<typeof resolveEvaluateOptions>[0];

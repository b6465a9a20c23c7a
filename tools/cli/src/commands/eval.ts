import { openDatasetThread, pictureWarnings } from '@emloc/dataset';
import { ImagePool } from '@emloc/images';
import {
  evaluateModel,
  evaluatePictures,
  modelKind,
  resolveEvaluateOptions,
} from '@emloc/pipeline';

import { defineCommand, type CommandResult, type CommandTools } from '../command/define-command.js';
import { checkOptions } from '../exit-code.js';
import { deviceFlags, targetOf } from '../flags/device.js';
import { tableOptions } from '../flags/options.js';
import { withModelFolder } from '../model-folder.js';
import { rowsSummary } from '../output/rows-summary.js';
import { evaluateTable, picturesTable } from '../output/tables.js';

export const command = defineCommand({
  options: tableOptions('eval', 'model', 'data'),
  flags: deviceFlags,
  examples: ['eval --model ./base --adapter ./my-adapter --data test.jsonl'],
  run: async (context) => {
    const resolved = checkOptions(() => resolveEvaluateOptions(context.options));
    const target = targetOf(context.values);
    const options = await withModelFolder(resolved, context);
    const kind = await modelKind(options.model);
    return kind === 'pictures'
      ? onPictures(options, target, context)
      : onText(options, target, context);
  },
});

type Options = ReturnType<typeof resolveEvaluateOptions>;
type Target = ReturnType<typeof targetOf>;

async function onText(
  options: Options,
  target: Target,
  { progress, signal }: CommandTools,
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
  { progress, signal }: CommandTools,
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

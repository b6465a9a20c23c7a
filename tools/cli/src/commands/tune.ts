import { openDatasetThread } from '@emloc/dataset';
import { ImagePool } from '@emloc/images';
import { assertOutputFree, findDoneJob, resolveTuneOptions, tune } from '@emloc/pipeline';
import type { Command } from 'commander';

import { deviceTarget } from '../device-target.js';
import { checkOptions, endingCode, runTraining } from '../exit-code.js';
import {
  addFlags,
  commonFlags,
  deviceFlags,
  optionFlags,
  optionValues,
  progressFlags,
  refusedPlanFlags,
  startMode,
  type FlagValues,
} from '../flags.js';
import { withModelFolder } from '../model-folder.js';
import { countedBy, type Counted } from '../output/counted.js';
import { tuneTable } from '../output/tables.js';
import { runCommand } from '../run-command.js';
import { EventFiles } from '../tensorboard/event-files.js';
import { programVersion } from '../version.js';

export function addTuneCommand(program: Command): void {
  const command = program
    .command('tune')
    .description('fine-tune a model within a memory budget and write a PEFT adapter');
  addFlags(command, optionFlags('tune')).option(
    '--overwrite',
    'replace an adapter that is there already',
  );
  addFlags(command, progressFlags, deviceFlags, commonFlags, refusedPlanFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc tune --model ./base --data train.jsonl --out ./my-adapter --vram 16GiB' +
        '\n  emloc tune --resume --model ./base --data train.jsonl --out ./my-adapter --vram 16GiB',
    )
    .action(
      runCommand(['model', 'data', 'out'], async ({ values, progress, signal }) => {
        const given = checkOptions(() =>
          resolveTuneOptions(optionValues('tune', values) as RequiredPaths),
        );
        const [mode, overwrite] = [startMode(values), values['overwrite'] === true];
        const target = targetOf(values);
        await assertOutputFree(given.out, { mode, overwrite });
        const options = await withModelFolder(given, { progress, signal });
        const done =
          mode === 'resume' && !overwrite
            ? await findDoneJob(options, { openDataset: openDatasetThread, signal })
            : null;
        if (done) {
          const text = `job ${done.job} is done: its adapter is in ${done.adapter}`;
          return { document: done, text };
        }
        using curves = eventFilesIn(values['tensorboard'] as string | undefined);
        let counted: Counted = 'tokens';
        const observer: typeof progress.observe = (event) => {
          if (event.type === 'prepared') counted = countedBy(event.report);
          curves?.observe(event);
          progress.observe(event);
        };
        const report = await runTraining(() =>
          tune(options, {
            target,
            signal,
            openDataset: openDatasetThread,
            openImages: () => new ImagePool(),
            observer,
            estimates: true,
            overwrite,
            mode,
            checkpointSteps: values['checkpointSteps'] as number | undefined,
            provenance: { program: `emloc ${programVersion}`, device: target.description },
          }),
        );
        const exitCode = endingCode(report.ending);
        return { document: report, text: tuneTable(report, counted), exitCode };
      }),
    );
}

function eventFilesIn(folder: string | undefined): EventFiles | null {
  return folder === undefined ? null : new EventFiles(folder);
}

export type RequiredPaths = Parameters<typeof resolveTuneOptions>[0];

export function targetOf(values: FlagValues): ReturnType<typeof deviceTarget> {
  return deviceTarget(
    values['device'] as string | undefined,
    values['threads'] as number | undefined,
  );
}

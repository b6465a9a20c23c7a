import { openDatasetThread } from '@emloc/dataset';
import { planTuneWays, resolveTuneOptions } from '@emloc/pipeline';
import type { Command } from 'commander';

import { checkOptions } from '../exit-code.js';
import {
  addFlags,
  cardFlag,
  commonFlags,
  deviceFlags,
  optionFlags,
  optionValues,
  progressFlags,
  startMode,
} from '../flags.js';
import { withModelFolder } from '../model-folder.js';
import { planTable } from '../output/tables.js';
import { cardReport, planPlace } from '../plan-place.js';
import { runCommand } from '../run-command.js';
import { type RequiredPaths } from './tune.js';

export function addPlanCommand(program: Command): void {
  const command = program
    .command('plan')
    .description('peak memory and time of each stage, before anything runs');
  addFlags(command, optionFlags('plan')).option('--overwrite', 'as for tune');
  addFlags(command, progressFlags, deviceFlags, [cardFlag], commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc plan --model ./base --data train.jsonl --vram 16GiB --ratio 0.25',
    )
    .action(
      runCommand(['model', 'data'], async ({ values, progress, signal }) => {
        const given = checkOptions(() =>
          resolveTuneOptions({ out: '', ...optionValues('plan', values) } as RequiredPaths),
        );
        startMode(values);
        const { target, vramBytes, card } = planPlace(values, given.vramBytes);
        const resolved = { ...given, vramBytes };
        const options = await withModelFolder(resolved, { progress, signal });
        const {
          plan: planned,
          auto,
          choice,
        } = await planTuneWays(options, target, {
          openDataset: openDatasetThread,
          signal,
          onNotice: (message) => progress.observe({ type: 'notice', message }),
        });
        const { fits, budgetBytes, neededBytes, stages } = planned;
        const plan = {
          fits,
          budgetBytes,
          neededBytes,
          stages: stages.map(({ name, peakDeviceBytes, seconds }) => ({
            name,
            peakDeviceBytes,
            seconds,
          })),
          ...(auto && { ways: auto.inputs.ways, auto }),
          ...(choice && { choice }),
          ...(card && { card: cardReport(card) }),
        };
        return { document: plan, text: planTable(plan) };
      }),
    );
}

import { openDatasetThread } from '@emloc/dataset';
import { cardNames } from '@emloc/device-registry';
import { planTuneWays, resolveTuneOptions } from '@emloc/pipeline';

import { defineCommand } from '../command/define-command.js';
import { choiceFlag, switchFlag } from '../command/flag.js';
import { checkOptions } from '../exit-code.js';
import { deviceFlags } from '../flags/device.js';
import { tableOptions } from '../flags/options.js';
import { progressFlags, startMode } from '../flags/progress.js';
import { withModelFolder } from '../model-folder.js';
import { planTable } from '../output/tables.js';
import { cardReport, planPlace } from '../plan-place.js';

export const command = defineCommand({
  options: tableOptions('plan', 'model', 'data'),
  flags: {
    overwrite: switchFlag('--overwrite', 'as for tune'),
    ...progressFlags,
    ...deviceFlags,
    card: choiceFlag(
      '--card <name>',
      'plan for a card that is not there, from its data sheet; the budget is then what it has',
      cardNames,
    ),
  },
  examples: ['plan --model ./base --data train.jsonl --vram 16GiB --ratio 0.25'],
  run: async ({ options: asked, values, progress, signal }) => {
    const given = checkOptions(() => resolveTuneOptions({ out: '', ...asked }));
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
    const { fits, budgetBytes, neededBytes, stages, anchors } = planned;
    const plan = {
      fits,
      budgetBytes,
      neededBytes,
      stages: stages.map(({ name, peakDeviceBytes, seconds }) => ({
        name,
        peakDeviceBytes,
        seconds,
      })),
      ...(anchors && { anchors }),
      ...(auto && { ways: auto.inputs.ways, auto }),
      ...(choice && { choice }),
      ...(card && { card: cardReport(card) }),
    };
    return { document: plan, text: planTable(plan) };
  },
});

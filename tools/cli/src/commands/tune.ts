import { findPlace } from '@emloc/checkpoint';
import { openDatasetThread } from '@emloc/dataset';
import { ImagePool } from '@emloc/images';
import { assertOutputFree, findDoneJob, resolveTuneOptions, tune } from '@emloc/pipeline';

import { defineCommand } from '../command/define-command.js';
import { refusedFlag, switchFlag } from '../command/flag.js';
import { checkOptions, endingCode, runTraining } from '../exit-code.js';
import { deviceFlags, targetOf } from '../flags/device.js';
import { tableOptions } from '../flags/options.js';
import { progressFlags, startMode } from '../flags/progress.js';
import { withModelFolder } from '../model-folder.js';
import { countedBy, type Counted } from '../output/counted.js';
import { tuneTable } from '../output/tables.js';
import { reportRun } from '../run-report.js';
import { EventFiles } from '../tensorboard/event-files.js';
import { programVersion } from '../version.js';

export const command = defineCommand({
  options: tableOptions('tune', 'model', 'data', 'out'),
  flags: {
    overwrite: switchFlag('--overwrite', 'replace an adapter that is there already'),
    ...progressFlags,
    ...deviceFlags,
    card: refusedFlag(
      '--card <name>',
      'It is an option of plan: a job runs on a device that is there.',
    ),
  },
  examples: [
    'tune --model ./base --data train.jsonl --out ./my-adapter --vram 16GiB',
    'tune --resume --model ./base --data train.jsonl --out ./my-adapter --vram 16GiB',
  ],
  run: async ({ options: asked, values, progress, signal }) => {
    const given = checkOptions(() => resolveTuneOptions(asked));
    const [mode, { overwrite, checkpointSteps }] = [startMode(values), values];
    const target = targetOf(values);
    await assertOutputFree(given.out, { mode, overwrite });
    const curvesPlace =
      values.tensorboard === undefined ? null : await findPlace(values.tensorboard);
    const options = await withModelFolder(given, { progress, signal });
    const done =
      mode === 'resume' && !overwrite
        ? await findDoneJob(options, { openDataset: openDatasetThread, signal })
        : null;
    if (done) {
      const text = `job ${done.job} is done: its adapter is in ${done.adapter}`;
      return { document: done, text };
    }
    using curves = curvesPlace && new EventFiles(curvesPlace.folder);
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
        checkpointSteps,
        provenance: { program: `emloc ${programVersion}`, device: target.description },
      }),
    );
    await reportRun(report.adapter, report, (message) =>
      progress.observe({ type: 'notice', message }),
    );
    const exitCode = endingCode(report.ending);
    return { document: report, text: tuneTable(report, counted), exitCode };
  },
});

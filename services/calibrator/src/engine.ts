import { pathOfBlock } from '@emloc/models';
import {
  calibrate,
  divideEmulation,
  statisticsToRecord,
  type PlanInputs,
  type ProcessMemory,
} from '@emloc/pipeline/stages';
import { serveWorker } from '@emloc/service/worker';
import { inLayer, ownedBuffers, preparedMemory, runEngineStage } from '@emloc/stage/engine';

import type { CalibrateContract } from './contract.js';

serveWorker<CalibrateContract>((task, context) =>
  runEngineStage(task, context, {
    divide,
    uses: ['calibration'],
    run: async (run) => {
      const { job, environment } = run;
      environment.clock.enter('calibrate');
      let layer = pathOfBlock(job.model.layout, 0);
      const blocks = calibrate(run, {
        skip: new Set(task.skip),
        onBlock: (block) => {
          layer = pathOfBlock(job.model.layout, block);
        },
      });
      let sending: Promise<unknown> = Promise.resolve();
      for (;;) {
        const next = await inLayer(
          () => layer,
          () => blocks.next(),
        );
        if (next.done) break;
        // One block's statistics are on their way while the next block is calibrated.
        await sending;
        const record = statisticsToRecord(next.value);
        const { block } = next.value;
        sending = inLayer(pathOfBlock(job.model.layout, block), () =>
          context.request({ type: 'statistics', block, record }, ownedBuffers(record)),
        );
        sending.catch(() => undefined);
      }
      await sending;
      environment.clock.finish('calibrate');
      const tokens = job.calibration.rows.reduce(
        (sum, rows) => sum + job.calibration.source.shape(rows).items,
        0,
      );
      return { layers: new Set(job.emulated.map(({ block }) => block)).size, tokens };
    },
  }),
);

/** A job whose later stages do not fit fails before anything is computed. */
async function divide(inputs: PlanInputs): Promise<ProcessMemory> {
  await preparedMemory(inputs);
  return (await divideEmulation(inputs)).calibrate;
}

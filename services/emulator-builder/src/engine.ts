import type { LayerReport } from '@emloc/job-storage';
import { pathOfBlock } from '@emloc/models';
import {
  divideEmulation,
  emulateBlock,
  emulatorReport,
  factorsToRecord,
  statisticsFromRecord,
  type JobRun,
} from '@emloc/pipeline/stages';
import { serveWorker } from '@emloc/service/worker';
import { inLayer, namedBlocks, ownedBuffers, runEngineStage } from '@emloc/stage/engine';

import type { BuildContract, CalibratedBlock } from './contract.js';

serveWorker<BuildContract>((task, context) =>
  runEngineStage(task, context, {
    divide: async (inputs) => {
      const { calibrate, emulate } = await divideEmulation(inputs);
      return { ...emulate, leave: { stage: 'calibrate', bytes: calibrate.budgetBytes } };
    },
    run: async (run) => {
      const { job, environment } = run;
      await context.request({
        type: 'blocks',
        blocks: namedBlocks(job.model.layout, new Set(job.emulated.map(({ block }) => block))),
      });
      let storing: Promise<unknown> = Promise.resolve();
      for (;;) {
        const next = (await context.request({ type: 'next' })) as CalibratedBlock | null;
        if (!next) break;
        environment.clock.enter('emulate');
        const layer = pathOfBlock(job.model.layout, next.block);
        const { record, reports } = await inLayer(layer, () => factorsOf(run, next));
        environment.clock.leave();
        // One block's factors are on their way while the next block is factorised.
        await storing;
        storing = inLayer(layer, () =>
          context.request(
            { type: 'factors', block: next.block, record, reports },
            ownedBuffers(record),
          ),
        );
        storing.catch(() => undefined);
      }
      await storing;
      const layers = (await context.request({ type: 'reports' })) as readonly LayerReport[];
      return { emulator: emulatorReport(job, layers) };
    },
  }),
);

async function factorsOf(run: JobRun, { record }: CalibratedBlock) {
  const statistics = statisticsFromRecord(record);
  const { factors, reports } = await emulateBlock(run, statistics);
  return {
    record: factorsToRecord(
      { block: statistics.block, factors, reports },
      run.environment.device.profile,
    ),
    reports,
  };
}

import { TrainerService } from '@emloc/contracts';
import { runStageService } from '@emloc/stage';

import { trainerOptions } from './options.js';
import { refineStage, trainStage } from './train.js';

/** Trains LoRA adapters on the emulator, and refines them on the original. */
await runStageService({
  name: 'trainer',
  options: trainerOptions,
  engine: new URL('./engine.js', import.meta.url),
  service: TrainerService,
  handlers: (calls, settings) => ({
    train: (request, context) => calls.serve(trainStage(settings), request, context),
    refine: (request, context) => calls.serve(refineStage(settings), request, context),
  }),
});

import { CalibratorService } from '@emloc/contracts';
import { runStageService } from '@emloc/stage';

import { calibrateStage } from './calibrate.js';
import { calibratorOptions } from './options.js';

/** Measures the inputs of every linear layer on the original model. */
await runStageService({
  name: 'calibrator',
  options: calibratorOptions,
  engine: new URL('./engine.js', import.meta.url),
  service: CalibratorService,
  handlers: (calls) => ({
    calibrate: (request, context) => calls.serve(calibrateStage, request, context),
  }),
});

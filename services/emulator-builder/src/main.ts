import { EmulatorBuilderService } from '@emloc/contracts';
import { runStageService } from '@emloc/stage';

import { buildEmulatorStage } from './build-emulator.js';
import { builderOptions } from './options.js';

/** Turns layer statistics into low-rank factors; replicas share the layers of a job. */
await runStageService({
  name: 'emulator-builder',
  options: builderOptions,
  engine: new URL('./engine.js', import.meta.url),
  service: EmulatorBuilderService,
  handlers: (calls) => ({
    buildEmulator: (request, context) => calls.serve(buildEmulatorStage, request, context),
  }),
});

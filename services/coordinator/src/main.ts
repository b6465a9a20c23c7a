import { runService } from '@emloc/service';

import { startCoordinator } from './coordinator.js';
import { coordinatorOptions, serverLimits } from './options.js';
import { startEngine } from './outcome/worker-engine.js';

/** Owns jobs, serves the job service, and drives the stages. */
await runService({
  name: 'coordinator',
  options: coordinatorOptions,
  serverLimits,
  setup: (context, options) => startCoordinator(context, options, startEngine(options)),
});

import { CorrectorService } from '@emloc/contracts';
import { runStageService } from '@emloc/stage';

import { correctStage } from './correct.js';
import { mergeStage } from './merge.js';
import { correctorOptions } from './options.js';

/** Moves adapters from the emulator to the original, and merges them into checkpoints. */
await runStageService({
  name: 'corrector',
  options: correctorOptions,
  engine: new URL('./engine.js', import.meta.url),
  service: CorrectorService,
  handlers: (calls) => ({
    correct: (request, context) => calls.serve(correctStage, request, context),
    merge: (request, context) => calls.serve(mergeStage, request, context),
  }),
});

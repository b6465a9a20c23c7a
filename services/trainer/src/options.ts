import { defaultCheckpointSteps } from '@emloc/pipeline';
import { integerOption } from '@emloc/service';
import { stageOptions } from '@emloc/stage';

/** Options of the trainer. */
export const trainerOptions = {
  ...stageOptions,
  port: { ...stageOptions.port, default: 7073 },
  metricsPort: { ...stageOptions.metricsPort, default: 7173 },
  checkpointSteps: integerOption({
    description: 'optimizer steps between two saved states',
    default: defaultCheckpointSteps,
    min: 1,
  }),
};

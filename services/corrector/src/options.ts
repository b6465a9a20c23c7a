import { stageOptions } from '@emloc/stage';

/** Options of the corrector. */
export const correctorOptions = {
  ...stageOptions,
  port: { ...stageOptions.port, default: 7074 },
  metricsPort: { ...stageOptions.metricsPort, default: 7174 },
};

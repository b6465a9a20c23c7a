import { stageOptions } from '@emloc/stage';

/** Options of the calibrator. */
export const calibratorOptions = {
  ...stageOptions,
  port: { ...stageOptions.port, default: 7071 },
  metricsPort: { ...stageOptions.metricsPort, default: 7171 },
};

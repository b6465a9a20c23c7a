import { stageOptions } from '@emloc/stage';

/** Options of the emulator builder. */
export const builderOptions = {
  ...stageOptions,
  port: { ...stageOptions.port, default: 7072 },
  metricsPort: { ...stageOptions.metricsPort, default: 7172 },
};

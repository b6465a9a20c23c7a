import { layerParameters, type LoraAdapter } from '@emloc/checkpoint';
import type { Device, Tensor } from '@emloc/device';

import { Adamw, type AdamwConfig } from './adamw.js';
import type { Optimizer } from './optimizer.js';
import { Prodigy, type ProdigyConfig } from './prodigy.js';

export type OptimizerConfig = AdamwConfig | ProdigyConfig;

/** @param start the adapter before the first step of all, whose parameters these are */
export function createOptimizer(
  config: OptimizerConfig,
  {
    device,
    parameters,
    start,
  }: {
    readonly device: Device;
    readonly parameters: readonly Tensor[];
    readonly start: LoraAdapter;
  },
): Optimizer {
  if (config.kind === 'adamw') return new Adamw(device, parameters, config);
  const starts = [...start.layers.values()].flatMap(layerParameters);
  return new Prodigy(device, parameters, { config, starts });
}

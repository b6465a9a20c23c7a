import type { ConfigReader } from '../config.js';
import type { DynamicShift, NoiseSchedule } from '../diffusion-limits.js';

/** Far above every scheduler's. */
const mostLevels = 1_000_000;
const mostShift = 1000;

/** Other ways to space noise levels, which diffusers' class offers. */
const switches = [
  'invert_sigmas',
  'stochastic_sampling',
  'use_beta_sigmas',
  'use_exponential_sigmas',
  'use_karras_sigmas',
];

/**
 * scheduler/scheduler_config.json
 * @throws ModelError naming any key whose value would change the result and is not supported
 */
export function readSchedule(config: ConfigReader): NoiseSchedule {
  config.only('_class_name', ['FlowMatchEulerDiscreteScheduler']);
  for (const key of switches) config.only(key, [false]);
  const isDynamic = config.boolean('use_dynamic_shifting', false);
  const positive = { least: Number.MIN_VALUE, most: mostShift };
  return {
    levels: config.positiveInteger('num_train_timesteps', 1000, { most: mostLevels }),
    shift: config.number('shift', 1, positive),
    dynamic: isDynamic ? readDynamic(config) : null,
    shiftTerminal: config.has('shift_terminal')
      ? config.number('shift_terminal', undefined, { least: Number.MIN_VALUE, most: 1 })
      : null,
  };
}

function readDynamic(config: ConfigReader): DynamicShift {
  const key = 'time_shift_type';
  config.only(key, ['exponential', 'linear']);
  const baseRows = config.positiveInteger('base_image_seq_len', 256);
  const maxRows = config.positiveInteger('max_image_seq_len', 4096);
  if (maxRows <= baseRows)
    throw config.unsupported('max_image_seq_len', `only above base_image_seq_len, ${baseRows}`);
  return {
    baseShift: config.number('base_shift', 0.5, { most: mostShift }),
    maxShift: config.number('max_shift', 1.15, { most: mostShift }),
    baseRows,
    maxRows,
    kind: config.get(key) === 'linear' ? 'linear' : 'exponential',
  };
}

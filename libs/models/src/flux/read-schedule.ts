import type { ConfigReader } from '../config.js';
import type { NoiseSchedule } from '../diffusion-limits.js';

/** Far above every scheduler's. */
const mostSteps = 1_000_000;
const shifts = { least: Number.MIN_VALUE, most: 1000 };

/**
 * scheduler/scheduler_config.json
 * @throws ModelError naming any key whose value would change the result and is not supported
 */
export function readSchedule(config: ConfigReader): NoiseSchedule {
  config.only('_class_name', ['FlowMatchEulerDiscreteScheduler']);
  for (const key of [
    'invert_sigmas',
    'stochastic_sampling',
    'use_beta_sigmas',
    'use_exponential_sigmas',
    'use_karras_sigmas',
  ])
    config.only(key, [false]);
  config.absent('shift_terminal');
  config.only('time_shift_type', ['exponential', 'linear']);
  const trainSteps = config.positiveInteger('num_train_timesteps', 1000, { most: mostSteps });
  if (!config.boolean('use_dynamic_shifting', false))
    return { trainSteps, shift: { kind: 'constant', shift: config.number('shift', 1, shifts) } };
  return {
    trainSteps,
    shift: {
      kind: 'byRows',
      baseShift: config.number('base_shift', 0.5, {}),
      maxShift: config.number('max_shift', 1.15, {}),
      baseRows: config.positiveInteger('base_image_seq_len', 256),
      maxRows: config.positiveInteger('max_image_seq_len', 4096),
      form: config.get('time_shift_type') === 'linear' ? 'linear' : 'exponential',
    },
  };
}

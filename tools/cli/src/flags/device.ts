import { parsedFlag, textFlag } from '../command/flag.js';
import { deviceTarget } from '../device-target.js';
import { integer } from './numbers.js';

/** Flags of every command that runs a model on this machine. */
export const deviceFlags = {
  device: textFlag(
    '--device <name>',
    'auto, cpu, cuda, cuda:N or tfjs (default: auto, CUDA where it can be had)',
  ),
  threads: parsedFlag(
    '--threads <n>',
    'CPU threads, at most 1024 (default: OMP_NUM_THREADS, else all cores)',
    integer,
  ),
};

/** What was given of `deviceFlags`. */
export interface DeviceValues {
  readonly device?: string | undefined;
  readonly threads?: number | undefined;
}

/** The device that the flags name. @throws UsageError */
export function targetOf({ device, threads }: DeviceValues): ReturnType<typeof deviceTarget> {
  return deviceTarget(device, threads);
}

import { DeviceError, type DType, type HostDType, type StreamName } from '@emloc/device';

import type { Launcher } from './launcher.js';
import { shapeFor } from './shape-for.js';
import { isWide } from './wide.js';

export interface CastLaunch {
  readonly from: HostDType;
  readonly to: DType;
  /** Device addresses, elements of `from` and of `to`. */
  readonly source: number;
  readonly target: number;
  readonly count: number;
  readonly stream?: StreamName;
}

/** Elements that one thread of the wide kernels converts. */
const castWidths: Readonly<Record<string, number>> = {
  float32_bfloat16: 4,
  float32_float64: 2,
  bfloat16_float32: 4,
  bfloat16_float64: 2,
  float64_float32: 2,
  float64_bfloat16: 2,
  float16_float32: 4,
  float16_bfloat16: 8,
  float16_float64: 2,
};

/** @throws DeviceError DEVICE_UNSUPPORTED for a pair of dtypes that has no conversion. */
export function launchCast(
  launcher: Launcher,
  { from, to, source, target, count, stream = 'compute' }: CastLaunch,
): void {
  const pair = `${from}_${to}`;
  const wide = castWidths[pair];
  if (wide === undefined)
    throw new DeviceError('DEVICE_UNSUPPORTED', `cuda: no conversion from ${from} to ${to}`);
  const width = isWide(count, wide, source, target) ? wide : 1;
  launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(count)
    .launch('cast', `cast_${pair}${width > 1 ? '_wide' : ''}`, {
      ...shapeFor(count, width),
      stream,
    });
}

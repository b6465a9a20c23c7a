import { DeviceError, type CastOptions } from '@emloc/device';
import { assertSize } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

/** float32 and int32 to themselves: there are no other dtypes here. */
export function cast({ memory }: TfjsContext, { x, out }: CastOptions): void {
  assertSize('cast', x, out.size);
  if (x.dtype !== out.dtype)
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `tfjs device: no conversion from ${x.dtype} to ${out.dtype}`,
    );
  memory.write(out, memory.read(x));
}

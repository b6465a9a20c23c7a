import { assertShape } from '../checks.js';
import { DeviceError } from '../errors.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out (+)= x · mask / (1 − probability): each element is 0 with that probability. Element i,
 * counted row by row, is kept where word i mod 2 of Threefry-2x32 with 13 rounds (Salmon et al.,
 * "Parallel random numbers: as easy as 1, 2, 3", 2011), of the key and the counter
 * (⌊i / 2⌋, stream), is at least probability · 2³², rounded: the same elements on every device.
 */
export interface DropoutOptions {
  readonly x: Tensor;
  /** Shape of x. May be `x` where nothing is added. */
  readonly out: Tensor;
  /** At least 0 and below 1. */
  readonly probability: number;
  /** int32 (2). Read when the kernel runs, so that a recorded launch has another mask each time. */
  readonly key: Tensor;
  /** An unsigned 32-bit integer: which of the masks of a key. */
  readonly stream: number;
  readonly accumulate?: boolean;
}

export const dropout: LaunchedKernel<DropoutOptions> = {
  work({ x, out, probability, key, accumulate }) {
    assertShape('dropout', out, x.shape);
    assertShape('dropout', key, [2]);
    assertProbability(probability);
    return streaming(x, 40, [x, out, key, ...(accumulate ? [out] : [])]);
  },
};

function assertProbability(probability: number): void {
  if (probability >= 0 && probability < 1) return;
  throw new DeviceError(
    'DEVICE_UNSUPPORTED',
    `dropout: the probability ${probability} is not at least 0 and below 1`,
  );
}

/** What a random word must have at least for its element to be kept. */
export function dropoutThreshold(probability: number): number {
  return Math.min(2 ** 32 - 1, Math.round(probability * 2 ** 32));
}

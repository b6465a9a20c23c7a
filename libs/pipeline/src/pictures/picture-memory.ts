import {
  Device,
  formatBytes,
  MemoryBudget,
  type DeviceProfile,
  type MemoryCategory,
} from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import {
  allDeviceBytes,
  minimumDeviceBytes,
  openPager,
  type LayerSource,
  type Pager,
} from '@emloc/weight-pager';

import { PipelineError } from '../errors.js';

/** A null device, and pagers on it with as little for weights as they can work with. */
export interface Rehearsal {
  readonly device: Device;
  openPager(source: LayerSource): Pager;
}

/** The peak of a run on a null device, without what is booked as `exclude`. */
export async function rehearsedBytes(
  profile: DeviceProfile,
  run: (rehearsal: Rehearsal) => Promise<unknown>,
  exclude: readonly MemoryCategory[] = [],
): Promise<number> {
  await using device = countingDevice(profile);
  const scope = device.budget.openPeakScope(exclude);
  await run({
    device,
    openPager: (source) =>
      openPager({
        ...{ device, source, reads: 'none', hostBytes: Number.POSITIVE_INFINITY },
        deviceBytes: minimumDeviceBytes(source, device),
      }),
  });
  return scope.close();
}

/** What the models of a folder take, which are on the device one after another. */
export interface PictureNeeds {
  /** What it is that needs it, in errors. */
  readonly what: string;
  /** Peaks of the encoders and of the decoder, each with as few weights as it can work with. */
  readonly encoderBytes: number;
  readonly decoderBytes: number;
  readonly transformer: {
    readonly allBytes: number;
    readonly leastBytes: number;
    readonly besideBytes: number;
  };
}

/** Weights of a transformer, in all and at least, and what a run takes beside them. */
export async function transformerNeeds(
  source: LayerSource,
  profile: DeviceProfile,
  run: (rehearsal: Rehearsal) => Promise<unknown>,
): Promise<PictureNeeds['transformer']> {
  await using device = countingDevice(profile);
  return {
    allBytes: allDeviceBytes(source, device),
    leastBytes: minimumDeviceBytes(source, device),
    besideBytes: await rehearsedBytes(profile, run, ['weights']),
  };
}

export interface PictureMemory {
  readonly budgetBytes: number;
  /** What the transformer's weights may take. */
  readonly pagerBytes: number;
}

/**
 * Divides a budget.
 * @param given null: what it takes with the transformer resident
 * @throws PipelineError PIPELINE_DOES_NOT_FIT with the least budget
 */
export function pictureMemory(needs: PictureNeeds, given: number | null): PictureMemory {
  const { encoderBytes, decoderBytes, transformer } = needs;
  const { allBytes, besideBytes } = transformer;
  const budgetBytes = given ?? Math.max(encoderBytes, allBytes + besideBytes, decoderBytes);
  assertFits(needs, budgetBytes);
  return { budgetBytes, pagerBytes: Math.min(allBytes, budgetBytes - besideBytes) };
}

function assertFits(
  { what, encoderBytes, decoderBytes, transformer }: PictureNeeds,
  budgetBytes: number,
): void {
  const parts = [
    ['the encoders', encoderBytes],
    ['the transformer', transformer.leastBytes + transformer.besideBytes],
    ['the image decoder', decoderBytes],
  ] as const;
  const [part, bytes] = parts.reduce((most, next) => (next[1] > most[1] ? next : most));
  if (bytes <= budgetBytes) return;
  throw new PipelineError(
    'PIPELINE_DOES_NOT_FIT',
    `${what} does not fit into ${formatBytes(budgetBytes)}: at least ${formatBytes(bytes)} (${bytes} bytes) are needed, for ${part}`,
  );
}

function countingDevice(profile: DeviceProfile): Device {
  return new Device(createNullBackend(profile), new MemoryBudget(Number.POSITIVE_INFINITY));
}

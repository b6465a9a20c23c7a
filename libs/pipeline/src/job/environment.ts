import { freemem } from 'node:os';
import process from 'node:process';
import type { Device, MemoryCategory } from '@emloc/device';
import type { ImageReader } from '@emloc/images';
import {
  allDeviceBytes,
  minimumDeviceBytes,
  openPager,
  streamingHostBytes,
  type LayerSource,
  type Pager,
  type PagerObserver,
} from '@emloc/weight-pager';

import type { FactorStore } from './factor-store.js';
import type { JobObserver, StageName } from './observer.js';
import type { StageClock } from './stage-clock.js';
import type { TrainingStore } from './training-store.js';

/**
 * How a stage divides its budget: what weights may take, and for how many blocks the backward finds
 * its tensors kept.
 */
export interface StageMemory {
  /** null: as little as the pager can work with. */
  readonly pagerBytes: number | null;
  readonly keptBlocks: number;
  /**
   * What the original's weights may take beside an emulator's, where training has anchors; absent:
   * as little as their pager can work with.
   */
  readonly originalBytes?: number;
}

/** Stages that page a model; calibration and emulation take turns within one. */
export type MemoryPhase = 'front' | 'emulate' | 'train' | 'correct' | 'refine';

export type MemoryPlan = { readonly [P in MemoryPhase]: StageMemory };

/** As little for weights as possible, nothing kept: what planning starts from. */
export const leanMemoryPlan: MemoryPlan = Object.freeze({
  front: { pagerBytes: null, keptBlocks: 0 },
  emulate: { pagerBytes: null, keptBlocks: 0 },
  train: { pagerBytes: null, keptBlocks: 0 },
  correct: { pagerBytes: null, keptBlocks: 0 },
  refine: { pagerBytes: null, keptBlocks: 0 },
});

/** How the images of rows are read. */
export interface ImageAccess {
  readonly reader: ImageReader;
  /** Keeps what is made of them; may have some of it from an earlier run of the same job. */
  readonly folder: string;
  /** Hears an image's contents, by its number, before anything that is made of it is used. */
  readonly onImage?: (image: number, sha256: string) => Promise<void>;
}

/** What stages run on. */
export interface JobEnvironment {
  readonly device: Device;
  readonly clock: StageClock;
  readonly memory: MemoryPlan;
  readonly factors: FactorStore;
  readonly training: TrainingStore;
  /** null: on a null device, where no image is needed. */
  readonly images: ImageAccess | null;
  /** none: on a null device, where no weight is needed. */
  readonly reads: 'real' | 'none';
  readonly hostBytes: number;
  readonly prefetch: boolean;
  readonly observer: JobObserver;
  /** Makes the observer of a pager that is opened. */
  readonly openPagerObserver?: () => PagerObserver;
  /** Steps of each training that a rehearsal has at most; absent: all. */
  readonly mostSteps?: number;
  /** Told in a rehearsal when a part is over that a stage may have often. */
  readonly onPart?: (stage: StageName, part: StagePart) => void;
  /** Told in a rehearsal: what was done since it was told last counts so often in all. */
  readonly onTimes?: (times: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * What a stage does again and again: optimizer steps, those that are anchors apart, validations and
 * samples between them, and changes of the model.
 */
export type StagePart = 'step' | 'anchor' | 'validation' | 'sample' | 'change';

/**
 * Phases that ask for every layer once, or once for each of a few passes, while up to two pagers of
 * linear layers may be open.
 */
const streamingPhases: readonly MemoryPhase[] = ['front', 'emulate', 'correct'];

/**
 * A pager over a whole model, within what the plan gives this phase.
 * @param given.hostBytes of one that is open beside another; absent: the phase's
 */
export function openModelPager(
  environment: JobEnvironment,
  source: LayerSource,
  phase: MemoryPhase,
  given: { readonly hostBytes?: number } = {},
): Pager {
  const { device } = environment;
  const planned = environment.memory[phase].pagerBytes;
  // A phase that pages several models has what the largest takes, and at least what each needs.
  const least = minimumDeviceBytes(source, device);
  const bytes =
    planned === null ? least : Math.max(least, Math.min(planned, allDeviceBytes(source, device)));
  const hostBytes = streamingPhases.includes(phase)
    ? streamingHostBytes(source, environment.hostBytes, 1 / 2)
    : (given.hostBytes ?? environment.hostBytes);
  return open(environment, source, { bytes, hostBytes, category: 'weights' });
}

/** A pager over the original beside that of the emulator that is trained. */
export function openAnchorPager(
  environment: JobEnvironment,
  source: LayerSource,
  { hostBytes }: { readonly hostBytes: number },
): Pager {
  const { device, memory } = environment;
  const least = minimumDeviceBytes(source, device);
  const bytes = memory.train.originalBytes ?? least;
  return open(environment, source, { bytes, hostBytes, category: 'weights' });
}

/**
 * Host memory of the two pagers of anchored training: half for each, or where the emulator stays on
 * the device, nearly all for the original.
 */
export function anchoredHostBytes(
  { device, memory, hostBytes }: Pick<JobEnvironment, 'device' | 'memory' | 'hostBytes'>,
  { emulator, original }: { readonly emulator: LayerSource; readonly original: LayerSource },
): { readonly ofEmulator: number; readonly ofOriginal: number } {
  const limit = Number.isFinite(hostBytes) ? hostBytes : affordableHostBytes(original, device);
  const staysBytes = memory.train.pagerBytes ?? 0;
  const streaming = streamingHostBytes(emulator, limit, 1 / 4);
  const stays = staysBytes >= allDeviceBytes(emulator, device);
  const ofEmulator = stays ? streaming : Math.max(streaming, limit / 2);
  return {
    ofEmulator,
    ofOriginal: Math.max(streamingHostBytes(original, limit, 0), limit - ofEmulator),
  };
}

/** A pager over single linear layers, with just the slots that it needs. */
export function openLinearPager(environment: JobEnvironment, source: LayerSource): Pager {
  const hostBytes = streamingHostBytes(source, environment.hostBytes, 1 / 4);
  return open(environment, source, {
    bytes: minimumDeviceBytes(source, environment.device),
    hostBytes,
    category: 'factors',
  });
}

interface Shares {
  readonly bytes: number;
  readonly hostBytes: number;
  readonly category: MemoryCategory;
}

function open(
  environment: JobEnvironment,
  source: LayerSource,
  { bytes, hostBytes: limitBytes, category }: Shares,
): Pager {
  const { device, prefetch, reads, openPagerObserver, signal } = environment;
  const hostBytes = Number.isFinite(limitBytes) ? limitBytes : affordableHostBytes(source, device);
  // For the job's next pager.
  device.keepHostMemory(Number.isFinite(environment.hostBytes) ? environment.hostBytes : hostBytes);
  return openPager({
    device,
    source,
    deviceBytes: bytes,
    hostBytes,
    prefetch,
    category,
    reads,
    observer: openPagerObserver?.(),
    signal,
  });
}

/**
 * Where no limit is given: half of the memory that is free, since page-locked memory cannot be
 * swapped out; at least what streaming needs.
 */
export function affordableHostBytes(
  source: LayerSource,
  device: Pick<Device, 'spareHostBytes'> | null = null,
): number {
  const constrainedBytes = process.constrainedMemory();
  // What is spare is given back before more is taken.
  const free = freemem() + (device?.spareHostBytes ?? 0);
  const availableBytes = constrainedBytes > 0 ? Math.min(free, constrainedBytes) : free;
  return Math.max(availableBytes / 2, streamingHostBytes(source, Number.POSITIVE_INFINITY));
}

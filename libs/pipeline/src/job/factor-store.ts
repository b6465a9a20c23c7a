import type { DeviceProfile, HostDType } from '@emloc/device';
import { factorNames, overlaySource, type TensorOverlay } from '@emloc/models';
import type { LayerSource, TensorSpec } from '@emloc/weight-pager';

import type { EmulatedLayerReport } from './emulated-layer-report.js';
import { paddedRank, type EmulatedLinear } from './emulated-linear.js';
import { heldSource, type HoldingJob } from './storage.js';

/** One linear layer's factors as they are trained on: raw bytes in the device's compute dtype. */
export interface StoredFactors {
  readonly linear: EmulatedLinear;
  /** U (out, padded rank) */
  readonly u: Uint8Array;
  /** V (padded rank, in) */
  readonly v: Uint8Array;
}

/**
 * The factors of one block, with what is reported of them; both in the order of the job's emulated
 * layers.
 */
export interface BlockFactors {
  readonly block: number;
  readonly factors: readonly StoredFactors[];
  readonly reports: readonly EmulatedLayerReport[];
}

/** Where an emulator's factors live between the stages. A block is stored whole or not at all. */
export interface FactorStore {
  /** Blocks that are stored, with their reports. */
  finished(): Promise<ReadonlyMap<number, readonly EmulatedLayerReport[]>>;
  put(
    block: number,
    factors: readonly StoredFactors[],
    reports: readonly EmulatedLayerReport[],
  ): Promise<void>;
  read(block: number, tensor: string, destination: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Keeps nothing: for planning, where no weight is ever read. */
export const plannedFactorStore: FactorStore = {
  finished: () => Promise.resolve(new Map()),
  put: () => Promise.resolve(),
  read: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** The tensors U and V of a linear layer, named within its page. */
export function factorSpecs(
  { name, inFeatures, outFeatures, rank }: EmulatedLinear,
  profile: DeviceProfile,
): readonly [TensorSpec, TensorSpec] {
  const names = factorNames(name);
  const padded = paddedRank(rank, profile);
  const dtype: HostDType = profile.computeDType;
  return [
    { name: names.u, shape: [outFeatures, padded], dtype },
    { name: names.v, shape: [padded, inFeatures], dtype },
  ];
}

/**
 * The emulator as training reads it: the original with factors in place of the weights that have
 * them, held as the job's storage says.
 */
export function emulatorSource(
  job: HoldingJob,
  emulated: readonly EmulatedLinear[],
  { store, profile }: { store: Pick<FactorStore, 'read'>; profile: DeviceProfile },
): LayerSource {
  const { model } = job;
  const overlays = new Map<number, TensorOverlay>();
  for (const { index, page } of model.layout.blocks) {
    const inBlock = emulated.filter(({ block }) => block === index);
    if (inBlock.length === 0) continue;
    overlays.set(page, {
      removes: new Set(inBlock.map(({ name }) => `${name}.weight`)),
      adds: inBlock.flatMap((linear) => factorSpecs(linear, profile)),
      read: (tensor, destination) => store.read(index, tensor, destination),
    });
  }
  return heldSource(job, overlaySource(model.source, overlays));
}

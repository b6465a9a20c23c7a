import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openSafetensors, type SafetensorsFile, writeSafetensors } from '@emloc/checkpoint';
import { byteLength, type DeviceProfile, type HostDType } from '@emloc/device';
import { factorNames, type Model, overlaySource, type TensorOverlay } from '@emloc/models';
import type { LayerSource, TensorSpec } from '@emloc/weight-pager';
import { type EmulatedLinear, paddedRank } from './job.js';

/** One linear layer's factors as they are trained on: raw bytes in the device's compute dtype. */
export interface StoredFactors {
  readonly linear: EmulatedLinear;
  /** U (out, padded rank) */
  readonly u: Uint8Array;
  /** V (padded rank, in) */
  readonly v: Uint8Array;
}

/** Where an emulator's factors live between the stages. A block is stored whole or not at all. */
export interface FactorStore {
  put(block: number, factors: readonly StoredFactors[]): Promise<void>;
  read(block: number, tensor: string, destination: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** One safetensors file per block in a folder. */
export class DiskFactorStore implements FactorStore {
  readonly #files = new Map<number, Promise<SafetensorsFile>>();

  constructor(
    private readonly folder: string,
    private readonly profile: DeviceProfile,
  ) {}

  async put(block: number, factors: readonly StoredFactors[]): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    const entries = factors.flatMap(({ linear, u, v }) => {
      const [uSpec, vSpec] = factorSpecs(linear, this.profile);
      return [{ ...uSpec, data: () => u }, { ...vSpec, data: () => v }];
    });
    await writeSafetensors(this.#path(block), entries, {});
  }

  async read(block: number, tensor: string, destination: Uint8Array): Promise<void> {
    let file = this.#files.get(block);
    if (!file) {
      file = openSafetensors(this.#path(block));
      this.#files.set(block, file);
    }
    await (await file).read(tensor, destination);
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(files.map(async (file) => (await file).close()));
  }

  #path(block: number): string {
    return join(this.folder, `block-${String(block).padStart(5, '0')}.safetensors`);
  }
}

/** Keeps nothing: for planning, where no weight is ever read. */
export const plannedFactorStore: FactorStore = {
  put: () => Promise.resolve(),
  read: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** The tensors U and V of a linear layer, named within its unit. */
export function factorSpecs({ linear, rank }: EmulatedLinear, profile: DeviceProfile): readonly [TensorSpec, TensorSpec] {
  const names = factorNames(linear.name);
  const padded = paddedRank(rank, profile);
  const dtype: HostDType = profile.computeDType;
  return [
    { name: names.u, shape: [linear.outFeatures, padded], dtype },
    { name: names.v, shape: [padded, linear.inFeatures], dtype },
  ];
}

/** The emulator as a source of units: the original with factors in place of the weights that have them. */
export function emulatorSource(model: Model, emulated: readonly EmulatedLinear[], { store, profile }: { store: FactorStore; profile: DeviceProfile }): LayerSource {
  const overlays = new Map<number, TensorOverlay>();
  for (let block = 0; block < model.layout.blockCount; block += 1) {
    const inBlock = emulated.filter((linear) => linear.block === block);
    if (inBlock.length === 0) continue;
    overlays.set(model.layout.blockUnit(block), {
      removes: new Set(inBlock.map(({ linear }) => `${linear.name}.weight`)),
      adds: inBlock.flatMap((linear) => factorSpecs(linear, profile)),
      read: (tensor, destination) => store.read(block, tensor, destination),
    });
  }
  return overlaySource(model.source, overlays);
}

/** Bytes of all factors on disk. */
export function factorBytes(emulated: readonly EmulatedLinear[], profile: DeviceProfile): number {
  return emulated.flatMap((linear) => factorSpecs(linear, profile)).reduce((sum, { shape, dtype }) => sum + byteLength(shape, dtype), 0);
}

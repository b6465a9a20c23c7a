import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ByteHasher, openSafetensors, type SafetensorsFile } from '@emloc/checkpoint';
import type { DeviceProfile } from '@emloc/device';

import type { EmulatedLayerReport } from '../job/emulated-layer-report.js';
import type { EmulatedLinear } from '../job/emulated-linear.js';
import type { FactorStore, StoredFactors } from '../job/factor-store.js';
import { factorsFromRecord, factorsToRecord } from '../records/factors.js';
import { readTensorFile, writeTensorFile } from './tensor-file.js';
import { intactOrNull } from './training-store.js';

/**
 * One safetensors file per block in a folder, which may have blocks of an earlier run of the same
 * job on the same device.
 */
export class DiskFactorStore implements FactorStore {
  readonly #files = new Map<number, Promise<SafetensorsFile>>();
  readonly #hasher = new ByteHasher();

  constructor(
    private readonly folder: string,
    private readonly inputs: {
      readonly emulated: readonly EmulatedLinear[];
      readonly profile: DeviceProfile;
    },
  ) {}

  /** Reads every block; files that are damaged or are no block of the job count as absent. */
  async finished(): Promise<ReadonlyMap<number, readonly EmulatedLayerReport[]>> {
    const names = new Set(await readdir(this.folder).catch(() => []));
    const finished = new Map<number, readonly EmulatedLayerReport[]>();
    for (const block of new Set(this.inputs.emulated.map((linear) => linear.block))) {
      if (!names.has(fileOf(block))) continue;
      const reports = await this.#reportsOf(block);
      if (reports) finished.set(block, reports);
    }
    return finished;
  }

  async put(
    block: number,
    factors: readonly StoredFactors[],
    reports: readonly EmulatedLayerReport[],
  ): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await writeTensorFile(
      this.#path(block),
      factorsToRecord({ block, factors, reports }, this.inputs.profile),
      this.#hasher,
    );
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
    await this.#hasher[Symbol.asyncDispose]();
    await Promise.all(files.map(async (file) => (await file).close()));
  }

  async #reportsOf(block: number): Promise<readonly EmulatedLayerReport[] | null> {
    const stored = await intactOrNull(this.#path(block), async () =>
      factorsFromRecord(await readTensorFile(this.#path(block)), this.inputs),
    );
    return stored?.block === block ? stored.reports : null;
  }

  #path(block: number): string {
    return join(this.folder, fileOf(block));
  }
}

function fileOf(block: number): string {
  return `block-${String(block).padStart(5, '0')}.safetensors`;
}

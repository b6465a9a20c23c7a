import { fileURLToPath } from 'node:url';
import type { EncodedRow } from '@emloc/dataset';
import { Device, MemoryBudget, type Backend } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import type { PagedModel } from '@emloc/finetune';
import { openModel, type Model } from '@emloc/models';
import { allDeviceBytes, minimumDeviceBytes, openPager, type Pager } from '@emloc/weight-pager';

import { TextRows, type TextBatches } from '../src/text/text-rows.js';

export interface Fixture {
  readonly model: Model;
  readonly device: Device;
  readonly pager: Pager;
  readonly paged: PagedModel;
  /** Asserts that nothing is left on the device. */
  close(): Promise<void>;
}

export interface FixtureOptions {
  /** Weights on the device: all of them, or as few as the pager can work with. */
  readonly weights?: 'all' | 'least';
  readonly prefetch?: boolean;
  readonly backend?: Backend;
}

/** Opens one of the example models on the CPU device. */
export async function openFixture(
  name: 'demo-5m' | 'tiny-qwen2',
  options: FixtureOptions = {},
): Promise<Fixture> {
  const model = await openModel(
    fileURLToPath(new URL(`../../../examples/models/${name}`, import.meta.url)),
  );
  const device = new Device(options.backend ?? createCpuBackend(), new MemoryBudget(2 ** 32));
  const { source } = model;
  const bytes =
    options.weights === 'least'
      ? minimumDeviceBytes(source, device)
      : allDeviceBytes(source, device);
  const pager = openPager({
    device,
    source,
    deviceBytes: bytes,
    hostBytes: 2 ** 32,
    prefetch: options.prefetch,
  });
  return {
    model,
    device,
    pager,
    paged: { device, layout: model.layout, pager },
    close: async () => {
      await pager.close();
      expect(device.liveTensors).toBe(0);
      expect(device.budget.inUseBytes).toBe(cpuProfile.reserveBytes);
      await device.close();
      await model.close();
    },
  };
}

/** A row whose every token but the first is a target. */
export function fullRow(ids: readonly number[]): EncodedRow {
  return {
    ids: Int32Array.from(ids),
    trained: Uint8Array.from(ids, (_, index) => (index > 0 ? 1 : 0)),
    line: 1,
  };
}

/** One batch of these rows. */
export function oneBatch(rows: readonly EncodedRow[]): TextBatches {
  return { source: new TextRows(rows), rows: [[...rows.keys()]] };
}

/** Seeded rows of these lengths, all of them targets but the first token of each. */
export function syntheticRows(lengths: readonly number[], vocabulary = 4096): EncodedRow[] {
  return lengths.map((length, row) =>
    fullRow(Array.from({ length }, (_, index) => (row * 7919 + index * 104_729 + 17) % vocabulary)),
  );
}

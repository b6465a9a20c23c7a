import { rm } from 'node:fs/promises';
import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import type { EncodedRow } from '@emloc/dataset';
import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { deviceTarget } from '@emloc/device-registry';
import { defaultAdamw, initialAdapter, train, type PagedModel } from '@emloc/finetune';
import {
  compareGolden,
  fixtureNames,
  LogitRecorder,
  unpackFixture,
  type GoldenFixture,
} from '@emloc/golden-models';
import { openModel } from '@emloc/models';
import { evaluateText, TextRows, TextTables } from '@emloc/tasks';
import { allDeviceBytes, minimumDeviceBytes, openPager, type Pager } from '@emloc/weight-pager';

import { measureFolder } from '../src/measure-folder.js';
import { writeDeepTwin } from './deep-twin.js';

/** A row whose every token but the first is a target. */
function fullRow(ids: readonly number[]): EncodedRow {
  const trained = Uint8Array.from(ids, (_, index) => (index > 0 ? 1 : 0));
  return { ids: Int32Array.from(ids), trained, line: 1 };
}

type OpenedModel = PagedModel & { readonly pager: Pager; readonly tables: TextTables };

/** Runs a model on the CPU, its weights in the memory that they take or in the least. */
async function onCpu<T>(
  folder: string,
  { weights, longestRow }: { weights: 'all' | 'least'; longestRow: number },
  use: (model: OpenedModel, recorder: LogitRecorder) => Promise<T>,
): Promise<T> {
  const { layout, source, tables: reader, close } = await openModel(folder);
  const tables = new TextTables(layout, reader);
  const backend = createCpuBackend();
  const recorder = new LogitRecorder(backend);
  const device = new Device(backend, new MemoryBudget(2 ** 32));
  const all = allDeviceBytes(source, device);
  const bytes = weights === 'all' ? all : minimumDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes: bytes, hostBytes: 2 ** 32 });
  try {
    return await use({ device, layout, pager, longestRow, tables }, recorder);
  } finally {
    await pager.close();
    expect(device.liveTensors).toBe(0);
    await device.close();
    await close();
  }
}

describe.each(fixtureNames())('%s', (name) => {
  let fixture: GoldenFixture;
  beforeAll(async () => {
    fixture = await unpackFixture(name);
  });
  afterAll(() => fixture.close());

  it('computes what transformers does', async () => {
    const { folder, golden } = fixture;
    const target = deviceTarget('cpu');
    const measured = await measureFolder(folder, golden, { target, vramBytes: null });
    expect(compareGolden(golden, measured).wrong).toEqual([]);
  });

  it('gives rows that are packed the logits that they have alone', async () => {
    const [first, second] = fixture.golden.sequences.map(({ ids }) => ids);
    const lists = [at(second ?? [], 3), ...(first ?? [])];
    const rows = [first ?? [], lists.slice(0, 5), second ?? [], lists.slice(0, 17)].map(fullRow);
    const longestRow = Math.max(...rows.map(({ ids }) => ids.length));
    const [packed, alone] = await onCpu(
      fixture.folder,
      { weights: 'all', longestRow },
      async (model, recorder) => {
        const logits = async (batches: readonly (readonly number[])[]) => {
          recorder.begin();
          const source = new TextRows(rows, null, model.tables);
          await evaluateText({ model, batches: { source, rows: batches }, variants: [null] });
          return recorder.end();
        };
        return [await logits([[0, 1, 2, 3]]), await logits([[0], [1], [2], [3]])] as const;
      },
    );
    expect(packed.length).toBeGreaterThan(20 * 384);
    expect(packed).toHaveLength(alone.length);
    const largest = alone.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const farthest = packed.reduce(
      (most, value, index) => Math.max(most, Math.abs(value - at(alone, index))),
      0,
    );
    expect(farthest / largest).toBeLessThan(1e-5);
  });

  it('trains a twin of twelve layers in pages to the bytes that it has without', async () => {
    const twin = `${fixture.folder}-deep`;
    await writeDeepTwin(fixture.folder, twin, 12);
    const rows = fixture.golden.sequences.map(({ ids }) => fullRow(ids.slice(0, 12)));
    const trained = (weights: 'all' | 'least') =>
      onCpu(twin, { weights, longestRow: 12 }, async (model) => {
        const { layout, pager, tables } = model;
        const options = { rank: 2, alpha: 4, useRslora: false, targets: null };
        const { adapter } = await train({
          model,
          adapter: initialAdapter(layout, options, 5),
          rows: new TextRows(rows, null, tables),
          batches: [[[0, 1]], [[0]]],
          optimizer: defaultAdamw,
          keptBlocks: 0,
          schedule: { kind: 'constant', learningRate: 1e-2, steps: 2, warmupRatio: 0 },
        });
        return { adapter, statistics: pager.statistics };
      });
    const [whole, paged] = [await trained('all'), await trained('least')];
    await rm(twin, { recursive: true });
    const { deviceBudgetBytes, pageOuts } = paged.statistics;
    expect(deviceBudgetBytes).toBeLessThanOrEqual(whole.statistics.deviceBudgetBytes / 2);
    expect(pageOuts).toBeGreaterThan(12);
    expect(whole.statistics.pageOuts).toBe(0);
    expect(bitsOf(paged.adapter)).toBe(bitsOf(whole.adapter));
  });
});

function bitsOf({ layers }: LoraAdapter): string {
  return [...layers].flatMap(([path, { a, b }]) => [path, hexOf(a), hexOf(b)]).join();
}

function hexOf({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
}

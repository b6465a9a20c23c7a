import type { LoraAdapter } from '@emloc/checkpoint';
import type { EncodedRow } from '@emloc/dataset';
import {
  defaultAdamw,
  DeviceAdapter,
  initialAdapter,
  train,
  type TrainResult,
} from '@emloc/finetune';

import { fullRow, openFixture, syntheticRows, type FixtureOptions } from '../../test/fixtures.js';
import { TextRows } from './text-rows.js';
import { evaluateText } from './text-score.js';

const rows: readonly EncodedRow[] = Array.from({ length: 8 }, (_, row) =>
  fullRow(Array.from({ length: 5 + 3 * row }, (_, index) => (row * 31 + index * 17 + 3) % 2048)),
);
const batches = [
  [
    [0, 1, 2],
    [3, 4],
  ],
  [
    [5, 6],
    [7, 1],
  ],
  [[2, 3, 4], [0]],
];

async function trainTiny(
  options: FixtureOptions & {
    keptBlocks: number;
    targets?: string | null;
    dropout?: number;
    dropoutSeed?: number;
  },
): Promise<TrainResult> {
  const fixture = await openFixture('tiny-qwen2', options);
  const adapter = initialAdapter(
    fixture.model.layout,
    { rank: 4, alpha: 8, useRslora: false, targets: options.targets ?? null },
    3,
  );
  const result = await train({
    model: fixture.paged,
    adapter,
    rows: new TextRows(rows),
    batches,
    optimizer: defaultAdamw,
    keptBlocks: options.keptBlocks,
    dropout: options.dropout
      ? { probability: options.dropout, seed: options.dropoutSeed ?? 0, run: 'test' }
      : null,
    schedule: { kind: 'cosine', learningRate: 1e-2, steps: batches.length, warmupRatio: 0 },
  });
  await fixture.close();
  return result;
}

function bitsOf({ layers }: LoraAdapter): string {
  return [...layers]
    .map(
      ([path, { a, b }]) =>
        `${path} ${Buffer.from(a.buffer, a.byteOffset, a.byteLength).toString('base64')} ${Buffer.from(b.buffer, b.byteOffset, b.byteLength).toString('base64')}`,
    )
    .join('\n');
}

describe('training through the pager', () => {
  it.each([
    ['least weights, prefetch', { weights: 'least', prefetch: true, keptBlocks: 0 }],
    ['least weights, no prefetch', { weights: 'least', prefetch: false, keptBlocks: 0 }],
    ['all weights, all blocks kept', { weights: 'all', prefetch: true, keptBlocks: 99 }],
    ['all weights, one block kept', { weights: 'all', prefetch: true, keptBlocks: 1 }],
  ] as const)(
    'gives the same bits with %s as with everything resident and recomputed',
    async (_name, options) => {
      const resident = await trainTiny({ weights: 'all', keptBlocks: 0 });
      const paged = await trainTiny(options);
      expect(paged.finalLoss).toBe(resident.finalLoss);
      expect(bitsOf(paged.adapter)).toBe(bitsOf(resident.adapter));
    },
  );

  it('has the same masks of dropout paged, kept or recomputed, and others by the seed', async () => {
    const dropped = { weights: 'all', keptBlocks: 0, dropout: 0.3 } as const;
    const resident = bitsOf((await trainTiny(dropped)).adapter);
    const paged = await trainTiny({ ...dropped, weights: 'least', prefetch: true, keptBlocks: 1 });
    expect(bitsOf(paged.adapter)).toBe(resident);
    const kept = await trainTiny({ ...dropped, keptBlocks: 99 });
    expect(bitsOf(kept.adapter)).toBe(resident);
    for (const other of [{ dropout: 0 }, { dropout: 0.31 }, { dropoutSeed: 1 }])
      expect(bitsOf((await trainTiny({ ...dropped, ...other })).adapter)).not.toBe(resident);
  });

  it('changes every adapted layer and lowers the loss', async () => {
    const fixture = await openFixture('tiny-qwen2');
    const start = initialAdapter(
      fixture.model.layout,
      { rank: 4, alpha: 8, useRslora: false, targets: null },
      3,
    );
    await fixture.close();
    const { adapter, steps, tokens } = await trainTiny({ keptBlocks: 0 });
    expect(steps).toBe(3);
    expect(tokens).toBe(
      batches.flat(2).reduce((sum, row) => sum + (rows[row]?.ids.length ?? 0), 0),
    );
    for (const [path, { a, b }] of adapter.layers) {
      expect(b.some((value) => value !== 0)).toBe(true);
      expect(a).not.toEqual(start.layers.get(path)?.a);
    }
  });

  it('adapts only the layers that the pattern names, and goes no further down than it must', async () => {
    const { adapter } = await trainTiny({
      keptBlocks: 0,
      targets: String.raw`model\.layers\.1\.self_attn\.[qv]_proj`,
    });
    expect([...adapter.layers.keys()]).toEqual([
      'model.layers.1.self_attn.q_proj',
      'model.layers.1.self_attn.v_proj',
    ]);
  });

  it('stops at a NaN with the step and the layer', async () => {
    const fixture = await openFixture('tiny-qwen2');
    const fresh = initialAdapter(
      fixture.model.layout,
      { rank: 4, alpha: 8, useRslora: false, targets: null },
      3,
    );
    const layer = fresh.layers.get('model.layers.1.mlp.up_proj');
    if (!layer) throw new Error('no such layer');
    const layers = new Map(fresh.layers).set('model.layers.1.mlp.up_proj', {
      ...layer,
      b: layer.b.map(() => Number.NaN),
    });
    const run = train({
      model: fixture.paged,
      adapter: { ...fresh, layers },
      rows: new TextRows(rows),
      batches,
      optimizer: defaultAdamw,
      keptBlocks: 0,
      schedule: { kind: 'constant', learningRate: 1e-3, steps: 3, warmupRatio: 0 },
    });
    await expect(run).rejects.toMatchObject({
      code: 'FINETUNE_NON_FINITE',
      layer: 'model.layers.1',
      message: expect.stringMatching(/step 1: .*model\.layers\.1/),
    });
    await fixture.close();
  });

  it('stops when aborted and leaves nothing on the device', async () => {
    const fixture = await openFixture('tiny-qwen2');
    const abort = new AbortController();
    const run = train({
      model: fixture.paged,
      rows: new TextRows(rows),
      batches,
      optimizer: defaultAdamw,
      keptBlocks: 0,
      signal: abort.signal,
      adapter: initialAdapter(
        fixture.model.layout,
        { rank: 4, alpha: 8, useRslora: false, targets: null },
        3,
      ),
      schedule: { kind: 'constant', learningRate: 1e-3, steps: 3, warmupRatio: 0 },
      onStep: () => abort.abort(new Error('enough')),
    });
    await expect(run).rejects.toThrow('enough');
    await fixture.close();
  });
});

describe('evaluation', () => {
  it('scores several adapters in one pass as it scores each alone', async () => {
    const fixture = await openFixture('tiny-qwen2', { weights: 'least' });
    const { adapter } = await trainTiny({ keptBlocks: 0 });
    const variant = DeviceAdapter.load(fixture.device, fixture.model.layout, adapter, {
      trainable: false,
    });
    const inputs = {
      model: fixture.paged,
      batches: {
        source: new TextRows(syntheticRows([9, 30, 1, 4, 12], 2048)),
        rows: [[0, 1, 2, 3], [4]],
      },
    };
    const [base, tuned] = await evaluateText({ ...inputs, variants: [null, variant] });
    expect(await evaluateText({ ...inputs, variants: [null] })).toEqual([base]);
    expect(await evaluateText({ ...inputs, variants: [variant] })).toEqual([tuned]);
    expect(tuned?.loss).not.toBe(base?.loss);
    variant.dispose();
    await fixture.close();
  });
});

import { fileURLToPath } from 'node:url';
import { at } from '@emloc/checked';
import { Device, MemoryBudget } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import { generate, type PagedModel } from '@emloc/finetune';
import {
  fixtureNames,
  goldenRows,
  readTiles,
  unpackFixture,
  type Golden,
  type GoldenTiles,
} from '@emloc/golden-models';
import { openModel } from '@emloc/models';
import { evaluateText, Prompts, TextTables } from '@emloc/tasks';
import { minimumDeviceBytes, openPager } from '@emloc/weight-pager';

const tokens = 16;
const ofImages = fileURLToPath(
  new URL('../../../libs/golden-models/fixtures/images', import.meta.url),
);

interface Fixture {
  readonly model: PagedModel;
  readonly golden: Golden;
  readonly tiles: GoldenTiles | null;
  readonly tables: TextTables;
}

/** Runs with a fixture's model, as little of it as possible on the device at a time. */
async function withFixture<T>(
  name: string,
  from: string | undefined,
  use: (fixture: Fixture) => Promise<T>,
): Promise<T> {
  const fixture = await unpackFixture(name, { from });
  const { layout, source, tables: reader, close } = await openModel(fixture.folder);
  const { golden } = fixture;
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
  const deviceBytes = minimumDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: 2 ** 30 });
  const longestRow = Math.max(...golden.sequences.map(({ ids }) => ids.length)) + tokens;
  try {
    const tiles = await readTiles(layout, golden);
    const tables = new TextTables(layout, reader);
    return await use({ model: { device, layout, pager, longestRow }, golden, tiles, tables });
  } finally {
    await pager.close();
    expect(device.budget.inUseBytes).toBe(cpuProfile.reserveBytes);
    await device.close();
    await close();
    await fixture.close();
  }
}

/** The share of greedy tokens that are the most likely ones of whole forward passes. */
async function agreement({ model, golden, tiles, tables }: Fixture): Promise<unknown> {
  const given = golden.sequences.map(({ ids }) => ids);
  // One more, without an image: the end of the first.
  const prompts = [...given, at(given, 0).slice(-9)];
  const rows = [...prompts.keys()];
  const untrained = prompts.map((ids) => rowOf(ids, ids.length));
  const answers = await generate({
    ...{ model, adapter: null, stopIds: new Set<number>() },
    source: new Prompts(goldenRows(untrained, tiles, tables)),
    group: { batches: [rows.slice(0, 1), rows.slice(1)], maxTokens: () => tokens },
    sampling: { temperature: 0, topP: 1, seed: 0 },
  });
  const whole = rows.map((row) => {
    const prompt = at(prompts, row);
    return rowOf([...prompt, ...(answers.get(row)?.ids ?? [])], prompt.length);
  });
  const batches = { source: goldenRows(whole, tiles, tables), rows: [rows] };
  const [score] = await evaluateText({ model, batches, variants: [null] });
  return { tokens: score?.tokens, share: score?.tokenAccuracy };
}

function rowOf(ids: readonly number[], start: number) {
  const trained = Uint8Array.from(ids, (_, index) => (index < start ? 0 : 1));
  return { ids: Int32Array.from(ids), trained, line: 0 };
}

const fixtures = [
  ...fixtureNames().map((name) => [name, undefined] as const),
  ...fixtureNames(ofImages).map((name) => [name, ofImages] as const),
];

test.each(fixtures)(
  'generation with %s gives the most likely token of a whole forward pass everywhere',
  (name, from) =>
    withFixture(name, from, async (fixture) => {
      const count = tokens * (fixture.golden.sequences.length + 1);
      expect(await agreement(fixture)).toEqual({ tokens: count, share: 1 });
    }),
);

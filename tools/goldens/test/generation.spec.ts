import { at } from '@emloc/checked';
import { Device, MemoryBudget } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import { generate, type PagedModel } from '@emloc/finetune';
import { fixtureNames, unpackFixture } from '@emloc/golden-models';
import { openModel } from '@emloc/models';
import { evaluateText, TextPrompts, TextRows } from '@emloc/tasks';
import { minimumDeviceBytes, openPager } from '@emloc/weight-pager';

const tokens = 16;

/** Runs with a fixture's model, as little of it as possible on the device at a time. */
async function withModel<T>(
  name: string,
  use: (model: PagedModel, ids: readonly number[][]) => Promise<T>,
): Promise<T> {
  const fixture = await unpackFixture(name);
  const model = await openModel(fixture.folder);
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
  try {
    const { source, layout } = model;
    const deviceBytes = minimumDeviceBytes(source, device);
    const pager = openPager({ device, source, deviceBytes, hostBytes: 2 ** 30 });
    const prompts = fixture.golden.sequences.map(({ ids }) => [...ids]);
    const longestRow = Math.max(...prompts.map(({ length }) => length)) + tokens;
    try {
      return await use({ device, layout, pager, longestRow }, prompts);
    } finally {
      await pager.close();
      expect(device.budget.inUseBytes).toBe(cpuProfile.reserveBytes);
    }
  } finally {
    await device.close();
    await model.close();
    await fixture.close();
  }
}

describe.each(fixtureNames())('generation with %s', (name) => {
  test('gives the most likely token of a whole forward pass everywhere', async () => {
    await withModel(name, async (model, prompts) => {
      const rows = [...prompts.keys()];
      const answers = await generate({
        ...{ model, adapter: null, stopIds: new Set<number>() },
        source: new TextPrompts(prompts.map((ids) => Int32Array.from(ids))),
        group: { batches: [rows], maxTokens: () => tokens },
        sampling: { temperature: 0, topP: 1, seed: 0 },
      });
      const whole = rows.map((row) => {
        const ids = [...at(prompts, row), ...(answers.get(row)?.ids ?? [])];
        const start = at(prompts, row).length;
        const trained = Uint8Array.from(ids, (_, index) => (index < start ? 0 : 1));
        return { ids: Int32Array.from(ids), trained, line: 0 };
      });
      const batches = { source: new TextRows(whole), rows: [rows] };
      const [score] = await evaluateText({ model, batches, variants: [null] });
      expect(score).toMatchObject({ tokens: tokens * rows.length, tokenAccuracy: 1 });
    });
  });
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSafetensors, type SafetensorsEntry } from '@emloc/checkpoint';
import { deviceTarget } from '@emloc/device-registry';
import { fixtureNames, unpackFixture, type GoldenFixture } from '@emloc/golden-models';

import { compareDeltaRuleFolder } from './delta-rule-folder.js';

const from = fileURLToPath(
  new URL('../../../libs/golden-models/fixtures/operations', import.meta.url),
);
const check = { target: deviceTarget('cpu'), vramBytes: null };

describe.each(fixtureNames(from))('%s', (name) => {
  let fixture: GoldenFixture;
  beforeAll(async () => {
    fixture = await unpackFixture(name, { from });
  });
  afterAll(() => fixture.close());

  it('computes what transformers does', async () => {
    const comparison = await compareDeltaRuleFolder(fixture.folder, check);
    expect(comparison?.wrong).toEqual([]);
    expect(comparison?.worst.outputs).toBeGreaterThan(0);
    expect(comparison?.worst.gradients).toBeGreaterThan(0);
  });

  it('computes the same within a budget', async () => {
    const whole = await compareDeltaRuleFolder(fixture.folder, check);
    const paged = await compareDeltaRuleFolder(fixture.folder, { ...check, vramBytes: 2 ** 21 });
    expect(paged).toEqual(whole);
  });
});

describe('compareDeltaRuleFolder', () => {
  it('takes no folder of a model for one of operations', async () => {
    const model = await unpackFixture('phi4-mini');
    expect(await compareDeltaRuleFolder(model.folder, check)).toBeNull();
    await model.close();
  });

  it('says what is wrong, in several value heads of a key head', async () => {
    const fixture = await unpackFixture('gated-delta-rule', { from });
    await writeProblem(fixture.folder);
    const comparison = await compareDeltaRuleFolder(fixture.folder, check);
    // With no strength nothing is written: the state is zeros, and so are outputs.
    expect(comparison?.wrong.map(({ what }) => what)).toEqual(['other.output']);
    await fixture.close();
  });
});

/** Two rows, a key head and two value heads of strength 0, with an output that is not zeros. */
async function writeProblem(folder: string): Promise<void> {
  const entry = (name: string, shape: readonly number[], value: number): SafetensorsEntry => {
    const values = new Float32Array(shape.reduce((size, extent) => size * extent, 1)).fill(value);
    return { name, shape, dtype: 'float32', data: () => new Uint8Array(values.buffer) };
  };
  const [keys, values, gates] = [
    [1, 2, 1, 3],
    [1, 2, 2, 4],
    [1, 2, 2],
  ];
  await writeFile(join(folder, 'golden.json'), JSON.stringify({ lengths: [2] }));
  await writeSafetensors(
    join(folder, 'tensors.safetensors'),
    [
      ...['q', 'k'].map((name) => entry(`other.${name}`, keys, 1)),
      ...['d_q', 'd_k'].map((name) => entry(`other.${name}`, keys, 0)),
      entry('other.v', values, 1),
      entry('other.output', values, 1),
      ...['d_v', 'd_output'].map((name) => entry(`other.${name}`, values, 0)),
      entry('other.g', gates, -1),
      ...['beta', 'd_beta', 'd_g'].map((name) => entry(`other.${name}`, gates, 0)),
    ],
    {},
  );
}

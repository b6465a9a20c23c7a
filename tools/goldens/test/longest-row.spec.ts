import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deviceTarget } from '@emloc/device-registry';
import { unpackFixture, type GoldenFixture } from '@emloc/golden-models';
import { evaluateModel, resolveEvaluateOptions, resolveTuneOptions, tune } from '@emloc/pipeline';

const target = deviceTarget('cpu');
const date = '2026-01-31';

/** Its rotation is another one in jobs with rows of more than 32 tokens. */
const name = 'phi3-longrope';

let fixture: GoldenFixture;
beforeAll(async () => {
  fixture = await unpackFixture(name, { tokenizer: true });
});
afterAll(async () => {
  await fixture.close();
  for (const rest of ['-long', '-short'])
    for (const kind of ['', '.jsonl'])
      await rm(`${fixture.folder}${rest}${kind}`, { recursive: true, force: true });
});

/** Trains on rows of so many words beside one short one. */
async function trained(kind: 'long' | 'short', words: number): Promise<string> {
  const out = `${fixture.folder}-${kind}`;
  const row = (count: number) => ({ prompt: 'what is it', completion: ' a'.repeat(count) });
  const rows = [row(words), row(4)].map((each) => JSON.stringify(each));
  await writeFile(`${out}.jsonl`, `${rows.join('\n')}\n`);
  const data = `${out}.jsonl`;
  const options = {
    data,
    validation: data,
    out,
    date,
    ratios: ['1'],
    steps: 1,
    vramBytes: 2 ** 24,
  };
  await tune(resolveTuneOptions({ ...options, model: fixture.folder, refineSteps: 0 }), {
    target,
    provenance: { program: 'test', device: 'cpu' },
  });
  return out;
}

/** Loss on the short rows. */
async function lossOf(adapter: string): Promise<number> {
  const data = `${fixture.folder}-short.jsonl`;
  const options = { model: fixture.folder, adapter, data, date, vramBytes: 2 ** 24 };
  return (await evaluateModel(resolveEvaluateOptions(options), { target })).loss;
}

it('short rows are scored with the rotation of the long rows that an adapter was trained on', async () => {
  const [short, long] = [await trained('short', 5), await trained('long', 60)];
  const read = async () =>
    JSON.parse(await readFile(join(long, 'emloc.json'), 'utf8')) as {
      data: { longestRow: number };
    };
  const record = await read();
  expect(record.data.longestRow).toBeGreaterThan(32);
  const asTrained = await lossOf(long);
  // An adapter of another program says nothing: so the rows that are scored decide.
  await rm(join(long, 'emloc.json'));
  const asShort = await lossOf(long);
  expect(Math.abs(asTrained - asShort)).toBeGreaterThan(1e-3);
  // Nor does a shorter row, or nonsense.
  for (const longestRow of [3, -1, 1e300, '60', null]) {
    await writeFile(
      join(long, 'emloc.json'),
      JSON.stringify({ ...record, data: { ...record.data, longestRow } }),
    );
    expect(await lossOf(long)).toBe(asShort);
  }
  expect(await lossOf(short)).not.toBe(asShort);
});

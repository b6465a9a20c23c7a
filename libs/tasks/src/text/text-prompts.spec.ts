import { at } from '@emloc/checked';
import { generate, type GenerateOptions } from '@emloc/finetune';

import { openFixture, type FixtureOptions } from '../../test/fixtures.js';
import { generateByPasses } from '../../test/generate-by-passes.js';
import { TextPrompts } from './text-prompts.js';

const tokens = 12;
const prompts = [5, 1, 31, 12, 70].map((length, row) =>
  Int32Array.from({ length }, (_, index) => (row * 31 + index * 17 + 3) % 2048),
);
const together = {
  batches: [
    [0, 1, 2],
    [3, 4],
  ],
  maxTokens: () => tokens,
};

async function answer(
  change: Partial<GenerateOptions> = {},
  fixtureOptions: FixtureOptions = {},
): Promise<{ ids: number[][]; finish: string[] }> {
  const fixture = await openFixture('tiny-qwen2', fixtureOptions);
  const answers = await generate({
    model: fixture.paged,
    adapter: null,
    source: new TextPrompts(prompts),
    group: together,
    sampling: { temperature: 0, topP: 1, seed: 0 },
    stopIds: new Set(),
    ...change,
  }).finally(() => fixture.close());
  const sorted = [...answers].sort(([a], [b]) => a - b).map(([, each]) => each);
  return { ids: sorted.map(({ ids }) => [...ids]), finish: sorted.map(({ finish }) => finish) };
}

describe('generation', () => {
  it('gives the tokens of a whole forward pass for each', async () => {
    const fixture = await openFixture('tiny-qwen2');
    const expected: number[][] = [];
    for (const prompt of prompts)
      expected.push(await generateByPasses(fixture.paged, prompt, { tokens }));
    await fixture.close();
    expect(await answer()).toEqual({ ids: expected, finish: prompts.map(() => 'length') });
  });

  it.each([
    ['least weights, prefetch', { weights: 'least', prefetch: true }],
    ['least weights, no prefetch', { weights: 'least', prefetch: false }],
  ] as const)('gives the same tokens with %s', async (_name, options) => {
    expect(await answer({}, options)).toEqual(await answer());
  });

  it.each([0, 0.8])(
    'gives a prompt the same answer alone, at temperature %d',
    async (temperature) => {
      const sampling = { temperature, topP: 0.9, seed: 7 };
      const all = await answer({ sampling });
      for (const row of prompts.keys()) {
        const group = { batches: [[row]], maxTokens: () => tokens };
        expect((await answer({ sampling, group })).ids).toEqual([at(all.ids, row)]);
      }
    },
  );

  it('draws other tokens with another seed, the same with the same', async () => {
    const draw = (seed: number) => answer({ sampling: { temperature: 1.5, topP: 1, seed } });
    const [first, again, other] = [await draw(1), await draw(1), await draw(2)];
    expect(again).toEqual(first);
    expect(other.ids).not.toEqual(first.ids);
  });

  it('draws the most likely token where nothing else is in the nucleus', async () => {
    const { ids } = await answer({ sampling: { temperature: 1, topP: 1e-9, seed: 3 } });
    expect(ids).toEqual((await answer()).ids);
  });

  it('ends at a stop id without it, and goes on with the others', async () => {
    const all = await answer();
    const stop = at(at(all.ids, 2), 4);
    const expected = all.ids.map((ids) =>
      ids.includes(stop) ? ids.slice(0, ids.indexOf(stop)) : ids,
    );
    const streamed = prompts.map((): number[] => []);
    const stopped = await answer({
      stopIds: new Set([stop]),
      onToken: (row, id) => void at(streamed, row).push(id),
    });
    expect(stopped.ids).toEqual(expected);
    expect(streamed).toEqual(expected);
    expect(stopped.finish[2]).toBe('stop');
  });

  it('ends an answer where whoever is told of its tokens says so', async () => {
    const all = await answer();
    const seen = prompts.map(() => 0);
    const ended = await answer({
      onToken: (row) => {
        seen[row] = (seen[row] ?? 0) + 1;
        return row === 1 && seen[row] === 3;
      },
    });
    expect(ended.ids).toEqual(all.ids.map((ids, row) => (row === 1 ? ids.slice(0, 3) : ids)));
    expect(ended.finish[1]).toBe('stop');
  });

  it('gives each prompt as many tokens as it may have', async () => {
    const all = await answer();
    const group = { ...together, maxTokens: (row: number) => row + 1 };
    expect((await answer({ group })).ids).toEqual(all.ids.map((ids, row) => ids.slice(0, row + 1)));
  });

  it('stops when aborted and leaves nothing on the device', async () => {
    const abort = new AbortController();
    const run = answer({ signal: abort.signal, onToken: () => abort.abort(new Error('enough')) });
    await expect(run).rejects.toThrow('enough');
  });
});

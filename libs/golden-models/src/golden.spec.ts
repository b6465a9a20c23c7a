import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parseGolden, readGolden } from './golden.js';

const sequence = {
  ids: [7, 5, 9],
  nll_mean: 6.5,
  logsumexp: [1, 2, 3],
  argmax: [0, 1, 2],
  first_first_8: [0.5],
  last_first_32: [0.25, 0.75],
};

const lora = {
  value: 6.75,
  grads: { 'model.layers.0.mlp.up_proj': { A_norm: 1, B_norm: 2, A_first: [3], B_first: [4] } },
};

describe('parseGolden', () => {
  it('reads sequences with all logits that are known', () => {
    const rows = { 1: [1, 2, 3, 4] };
    const golden = parseGolden({ how: 'x', sequences: [sequence, { ...sequence, rows }], lora });

    expect(golden.sequences[0]).toEqual({
      ids: [7, 5, 9],
      labels: undefined,
      nllMean: 6.5,
      logSumExp: [1, 2, 3],
      argmax: [0, 1, 2],
      logits: [
        { row: 0, values: [0.5] },
        { row: 2, values: [0.25, 0.75] },
      ],
    });
    expect(golden.sequences[1]?.logits).toContainEqual({ row: 1, values: [1, 2, 3, 4] });
    expect(golden.lora.loss).toBe(6.75);
    expect(golden.lora.gradients.get('model.layers.0.mlp.up_proj')).toEqual({
      a: { norm: 1, first: [3] },
      b: { norm: 2, first: [4] },
    });
  });

  it('reads the one sequence of a golden with images', () => {
    const golden = parseGolden({
      how: 'x',
      ...sequence,
      nll_mean: undefined,
      labels: [-100, -100, 9],
      image_features: { shape: [1, 4, 8], first_16: [0.5], norm: 3 },
      lora,
    });

    expect(golden.sequences).toHaveLength(1);
    expect(golden.sequences[0]).toMatchObject({ labels: [-100, -100, 9], nllMean: undefined });
    expect(golden.imageFeatures).toEqual({ shape: [1, 4, 8], first: [0.5], norm: 3 });
  });

  it('finds the LoRA of a training step', () => {
    const golden = parseGolden({ how: 'x', train: { sigma: 0.5, lora } });

    expect(golden.sequences).toEqual([]);
    expect(golden.lora.loss).toBe(6.75);
  });

  it('names the field that is not what it should be', () => {
    const sequences = [sequence, { ...sequence, logsumexp: [1, 'x'] }];

    expect(() => parseGolden({ how: 'x', sequences, lora })).toThrow(
      new Error('sequences[1].logsumexp[1] is not a number'),
    );
    expect(() => parseGolden({ how: 'x', sequences: [sequence] })).toThrow(
      new Error('lora is not an object'),
    );
  });
});

describe('readGolden', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'emloc-golden-'));
    await Promise.all([mkdir(join(root, 'a')), mkdir(join(root, 'a-original-layout'))]);
  });
  afterEach(() => rm(root, { recursive: true }));

  const write = (folder: string, how: unknown): Promise<void> =>
    writeFile(join(root, folder, 'golden.json'), JSON.stringify({ how, sequences: [], lora }));

  it('takes the golden beside a folder of the original layout', async () => {
    await write('a', 'beside');

    await expect(readGolden(join(root, 'a-original-layout'))).resolves.toHaveProperty(
      'how',
      'beside',
    );
  });

  it("prefers the folder's own", async () => {
    await write('a', 'beside');
    await write('a-original-layout', 'own');

    await expect(readGolden(join(root, 'a-original-layout/'))).resolves.toHaveProperty(
      'how',
      'own',
    );
  });

  it('names the file that is missing or wrong', async () => {
    await expect(readGolden(join(root, 'a'))).rejects.toThrow(join(root, 'a', 'golden.json'));
    await write('a', 3);
    await expect(readGolden(join(root, 'a'))).rejects.toThrow(
      `${join(root, 'a', 'golden.json')}: how is not a text`,
    );
  });
});

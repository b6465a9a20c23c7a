import {
  llamaConfig,
  qwen2Config,
  seededValues,
  writeCheckpoint,
  type CheckpointChanges,
  type Config,
  type TestCheckpoint,
} from '../test/checkpoints.js';
import { layoutOf } from './layout-of.js';
import { linearModules, lossBlock } from './layout.js';
import { openModel } from './open-model.js';
import { overlaySource, sliceSource } from './sources.js';

async function withCheckpoint<T>(
  config: Config,
  changes: CheckpointChanges,
  run: (checkpoint: TestCheckpoint) => Promise<T>,
): Promise<T> {
  const checkpoint = await writeCheckpoint(config, changes);
  try {
    return await run(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

describe('openModel refuses', () => {
  it.each([
    [
      'a missing norm',
      qwen2Config,
      { without: ['model.norm.weight'] },
      'MODEL_TENSOR_MISSING',
      'model.norm.weight',
    ],
    [
      'a missing bias',
      qwen2Config,
      { without: ['model.layers.1.self_attn.k_proj.bias'] },
      'MODEL_TENSOR_MISSING',
      'k_proj.bias',
    ],
    [
      'a missing untied head',
      llamaConfig,
      { without: ['lm_head.weight'] },
      'MODEL_TENSOR_MISSING',
      'lm_head.weight',
    ],
    [
      'a transposed weight',
      llamaConfig,
      { shapes: { 'model.layers.0.mlp.up_proj.weight': [24, 40] } },
      'MODEL_TENSOR_MISMATCH',
      '[24, 40], config.json says [40, 24]',
    ],
    [
      'a vocabulary of another size',
      qwen2Config,
      { shapes: { 'model.embed_tokens.weight': [55, 24] } },
      'MODEL_TENSOR_MISMATCH',
      '[55, 24]',
    ],
    [
      'integer weights',
      llamaConfig,
      { dtypes: { 'model.layers.0.mlp.up_proj.weight': 'int32' } },
      'MODEL_TENSOR_MISMATCH',
      'int32',
    ],
  ] as const)('%s', async (_name, config, changes, code, part) => {
    await withCheckpoint(config, changes, async ({ folder }) => {
      await expect(openModel(folder)).rejects.toMatchObject({
        code,
        message: expect.stringContaining(part),
      });
    });
  });
});

describe('openModel says what is there instead of a missing tensor', () => {
  it.each([
    ['_orig_mod.', (name: string) => `_orig_mod.${name}`, '_orig_mod.model.embed_tokens.weight'],
    ['module.', (name: string) => `module.${name}`, 'module.model.embed_tokens.weight'],
    [
      'a prefix of any kind',
      (name: string) => `a.b.${name}`,
      'the prefix a.b. in place of no prefix',
    ],
    [
      'a prefix after the root',
      (name: string) => name.replace('model.', 'model.language_model.'),
      'the prefix model.language_model. in place of the prefix model.',
    ],
    [
      'no root',
      (name: string) => name.replace('model.', ''),
      'no prefix in place of the prefix model.',
    ],
    [
      'a prefix of the last block alone',
      (name: string) => name.replace('model.layers.1.', 'module.model.layers.1.'),
      'the prefix module. in place of no prefix',
    ],
    [
      'a part in the middle of the blocks',
      (name: string) => name.replace('layers.1.', 'layers.1._orig_mod.'),
      'model.layers.1._orig_mod.input_layernorm.weight: with _orig_mod in it',
    ],
    [
      'a part before the last',
      (name: string) => name.replace('_proj.', '_proj.base_layer.'),
      'q_proj.base_layer.weight: with base_layer in it',
    ],
    ['nothing like it', (name: string) => `x${name}x`, /; it has 21 others, such as x/],
  ])('behind %s', async (_name, rename, part) => {
    await withCheckpoint(llamaConfig, { rename }, async ({ folder }) => {
      await expect(openModel(folder)).rejects.toMatchObject({
        code: 'MODEL_TENSOR_MISSING',
        message:
          typeof part === 'string' ? expect.stringContaining(part) : expect.stringMatching(part),
      });
    });
  });

  it('where there are fewer layers', async () => {
    const without = layoutOf(llamaConfig)
      .pages.flatMap(({ tensors }) => tensors.map(({ checkpointName }) => checkpointName))
      .filter((name) => name.startsWith('model.layers.1.'));
    await withCheckpoint(llamaConfig, { without }, async ({ folder }) => {
      await expect(openModel(folder)).rejects.toThrow(
        'it has 1 layers, config.json says 2 (num_hidden_layers)',
      );
    });
  });
});

describe('openModel with tensors that the architecture does not use', () => {
  const norm = (layer: number) => ({
    name: `model.layers.${layer}.self_attn.q_norm.weight`,
    shape: [6],
  });

  it('names the first of them, and how many there are', async () => {
    const extra = ['a', 'b', 'c', 'd', 'e\u001b[31m', 'f', 'g'].map((name) => ({
      name,
      shape: [1],
    }));
    await withCheckpoint(llamaConfig, { extra }, async ({ folder }) => {
      const model = await openModel(folder);
      expect(model.notices).toEqual([
        'warning: 7 tensors are not used by this architecture: a, b, c, d, "e\\u001b[31m" and 2 more',
      ]);
      await model.close();
    });
  });

  it('says nothing of tables that every reader computes, and of a tied head that is stored too', async () => {
    const changes = {
      extra: [
        { name: 'model.layers.0.self_attn.rotary_emb.inv_freq', shape: [3] },
        { name: 'lm_head.weight', shape: [56, 24] },
      ],
      valuesOf: { 'lm_head.weight': 'model.embed_tokens.weight' },
    };
    await withCheckpoint(qwen2Config, changes, async ({ folder }) => {
      const model = await openModel(folder);
      expect([model.notices, lossBlock(model.layout).page]).toEqual([[], 0]);
      await model.close();
    });
  });

  it('refuses whole layers, unless they are allowed', async () => {
    await withCheckpoint(
      llamaConfig,
      { extra: [norm(1), norm(2), norm(11)] },
      async ({ folder }) => {
        await expect(openModel(folder)).rejects.toMatchObject({
          code: 'MODEL_UNUSED_LAYERS',
          message: expect.stringMatching(
            /has model\.layers\.2, model\.layers\.11, but .* says 2 layers .*--allow-unused-layers/,
          ),
        });
        const model = await openModel(folder, { allowUnusedLayers: true });
        expect(model.layout.numbered).toMatchObject([{ count: 2 }]);
        expect(model.notices).toEqual([expect.stringContaining('3 tensors are not used')]);
        await model.close();
      },
    );
  });
});

describe('openModel of a tied head that the file has, too', () => {
  const head = { extra: [{ name: 'lm_head.weight', shape: [56, 24] }] };

  it.each([qwen2Config, { ...llamaConfig, tie_word_embeddings: true }])(
    'uses it where it differs, and says so',
    async (config) => {
      await withCheckpoint(config, head, async ({ folder }) => {
        const model = await openModel(folder);
        const { page } = lossBlock(model.layout);
        expect(page).toBe(3);
        expect(model.notices).toEqual([
          expect.stringMatching(
            /^warning: lm_head\.weight differs from model\.embed_tokens\.weight/,
          ),
        ]);
        const bytes = new Uint8Array(56 * 24 * 4);
        await model.source.read(page, 'lm_head.weight', bytes);
        expect(new Float32Array(bytes.buffer)).toEqual(seededValues('lm_head.weight', 56 * 24));
        await model.close();
      });
    },
  );

  it('refuses it by name where it has another shape', async () => {
    const changes = { extra: [{ name: 'lm_head.weight', shape: [57, 24] }] };
    await withCheckpoint(qwen2Config, changes, async ({ folder }) => {
      await expect(openModel(folder)).rejects.toThrow(
        'lm_head.weight has shape [57, 24], config.json says [56, 24]',
      );
    });
  });
});

describe('the weights of a model', () => {
  const config = { ...qwen2Config, tie_word_embeddings: false };
  const names = layoutOf(config).pages.flatMap(({ tensors }) =>
    tensors.map(({ checkpointName }) => checkpointName),
  );

  /** What reading every tensor of a model ends with, where it does not end well. */
  async function failuresOf(folder: string): Promise<unknown[]> {
    const { source, close } = await openModel(folder);
    const reads = source.layers.flatMap(({ tensors }, layer) =>
      tensors.map(({ name, shape, dtype }) => {
        const size = shape.reduce((product, extent) => product * extent, 1);
        const bytes = new Uint8Array(size * (dtype === 'float32' ? 4 : 2));
        return source.read(layer, name, bytes);
      }),
    );
    const ends = await Promise.allSettled(reads);
    await close();
    return ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  }

  it.each(['float32', 'bfloat16', 'float16'] as const)(
    'in %s are refused where one of them is not finite, by tensor and file',
    async (dtype) => {
      expect(names.length).toBeGreaterThan(20);
      for (const name of names) {
        const changes = { dtypes: { [name]: dtype }, last: { [name]: Number.NaN } };
        await withCheckpoint(config, changes, async ({ folder }) => {
          expect(await failuresOf(folder)).toEqual([
            expect.objectContaining({
              code: 'CHECKPOINT_NOT_FINITE',
              message: expect.stringContaining(`${name} in ${folder}/model.safetensors holds NaN`),
            }),
          ]);
        });
      }
    },
  );

  it('are fine in tensors that are not used', async () => {
    const changes = { extra: [{ name: 'x', shape: [2] }], last: { x: Number.NaN } };
    await withCheckpoint(config, changes, async ({ folder }) => {
      expect(await failuresOf(folder)).toEqual([]);
    });
  });
});

describe('openModel', () => {
  it('reads pages by their names', async () => {
    await withCheckpoint(llamaConfig, {}, async ({ folder }) => {
      const model = await openModel(folder);
      const bytes = new Uint8Array(40 * 24 * 4);
      await model.source.read(2, 'mlp.gate_proj.weight', bytes);
      expect(new Float32Array(bytes.buffer)).toEqual(
        seededValues('model.layers.1.mlp.gate_proj.weight', 40 * 24),
      );
      expect([...linearModules(model.layout).keys()]).toHaveLength(14);
      await model.close();
    });
  });

  it('lays tensors over its source and cuts slices out of it', async () => {
    await withCheckpoint(llamaConfig, {}, async ({ folder }) => {
      const model = await openModel(folder);
      const overlaid = overlaySource(
        model.source,
        new Map([
          [
            1,
            {
              removes: new Set(['mlp.up_proj.weight']),
              adds: [{ name: 'mlp.up_proj.u', shape: [2], dtype: 'float32' as const }],
              read: (_tensor: string, destination: Uint8Array) =>
                Promise.resolve(void destination.fill(7)),
            },
          ],
        ]),
      );
      expect(overlaid.layers[1]?.tensors.map(({ name }) => name)).not.toContain(
        'mlp.up_proj.weight',
      );
      expect(overlaid.layers[2]).toBe(model.source.layers[2]);
      const added = new Uint8Array(8);
      await overlaid.read(1, 'mlp.up_proj.u', added);
      expect([...added]).toEqual(Array<number>(8).fill(7));

      const sliced = sliceSource(model.source, [
        { name: 'slice', page: 2, tensors: ['self_attn.o_proj.weight'] },
      ]);
      expect(sliced.layers).toEqual([
        {
          name: 'slice',
          tensors: [{ name: 'self_attn.o_proj.weight', shape: [24, 24], dtype: 'float32' }],
        },
      ]);
      const part = new Uint8Array(24 * 24 * 4);
      await sliced.read(0, 'self_attn.o_proj.weight', part);
      expect(new Float32Array(part.buffer)).toEqual(
        seededValues('model.layers.1.self_attn.o_proj.weight', 24 * 24),
      );
      expect(() =>
        sliceSource(model.source, [{ name: 'none', page: 2, tensors: ['absent'] }]),
      ).toThrow(expect.objectContaining({ code: 'MODEL_TENSOR_MISSING' }));
      await model.close();
    });
  });
});

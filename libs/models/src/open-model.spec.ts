import {
  llamaConfig,
  qwen2Config,
  seededValues,
  writeCheckpoint,
  type CheckpointChanges,
  type Config,
  type TestCheckpoint,
} from '../test/checkpoints.js';
import { linearModules } from './layout.js';
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

describe('openModel', () => {
  it('reads units by their names', async () => {
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
        { name: 'slice', unit: 2, tensors: ['self_attn.o_proj.weight'] },
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
        sliceSource(model.source, [{ name: 'none', unit: 2, tensors: ['absent'] }]),
      ).toThrow(expect.objectContaining({ code: 'MODEL_TENSOR_MISSING' }));
      await model.close();
    });
  });
});

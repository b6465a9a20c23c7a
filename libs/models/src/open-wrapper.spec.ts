import { llamaConfig, writeCheckpoint, type CheckpointChanges } from '../test/checkpoints.js';
import { lossBlock } from './layout.js';
import { openModel, type Model } from './open-model.js';

const config = {
  architectures: ['Mistral3ForConditionalGeneration'],
  text_config: { ...llamaConfig, model_type: 'mistral' },
  tie_word_embeddings: true,
};

const current = 'model.language_model';
const former = 'language_model.model';

/** Names that the test gives are those of today; `naming` says what the file has. */
async function opened(
  naming: string,
  changes: Omit<CheckpointChanges, 'rename'>,
  use: (model: Model) => void | Promise<void>,
  options: Parameters<typeof openModel>[1] = {},
): Promise<void> {
  const rename = (name: string): string => {
    if (naming === current) return name;
    if (name === 'lm_head.weight') return `language_model.${name}`;
    return name.replace(`${current}.`, `${former}.`);
  };
  const { folder, close } = await writeCheckpoint(config, { ...changes, rename });
  try {
    const model = await openModel(folder, options);
    await use(model);
    await model.close();
  } finally {
    await close();
  }
}

const never = (): never => {
  throw new Error('it opens');
};

describe.each([
  [current, 'lm_head'],
  [former, 'language_model.lm_head'],
])('a wrapper whose language model is %s', (naming, headName) => {
  const head = [{ name: 'lm_head.weight', shape: [56, 24] }];

  it('says nothing of a tied head that is stored too, and nothing of other parts', () =>
    opened(
      naming,
      {
        extra: [...head, { name: 'vision_tower.layers.9.x', shape: [2] }],
        valuesOf: { 'lm_head.weight': `${current}.embed_tokens.weight` },
      },
      ({ notices, layout }) => expect([notices, lossBlock(layout).page]).toEqual([[], 0]),
    ));

  it('has a head of its own where the file has another', () =>
    opened(naming, { extra: head }, ({ notices, layout }) => {
      expect(lossBlock(layout).page).toBe(3);
      expect(notices).toEqual([
        expect.stringContaining(`${headName}.weight differs from ${naming}.embed_tokens.weight`),
      ]);
    }));

  it.each(['embed_tokens.weight', 'norm.weight', 'layers.1.mlp.up_proj.weight'])(
    'is refused without its %s',
    async (tensor) => {
      const changes = { without: [`${current}.${tensor}`] };
      await expect(opened(naming, changes, never)).rejects.toMatchObject({
        code: 'MODEL_TENSOR_MISSING',
        message: expect.stringContaining(`lacks the tensor ${naming}.${tensor}`),
      });
    },
  );

  it('is refused with layers beyond its text_config, unless they are allowed', async () => {
    const extra = [{ name: `${current}.layers.5.input_layernorm.weight`, shape: [24] }];
    await expect(opened(naming, { extra }, never)).rejects.toMatchObject({
      code: 'MODEL_UNUSED_LAYERS',
      message: expect.stringContaining(`has ${naming}.layers.5, but config.json says 2 layers`),
    });
    const allowed = { allowUnusedLayers: true };
    await opened(naming, { extra }, ({ notices }) => expect(notices).toHaveLength(1), allowed);
  });
});

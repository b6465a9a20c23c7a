import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '@emloc/checked';

import {
  contentsOf,
  expectRefusal,
  inFolder,
  seeded,
  tinyAdapter,
  tinyDora,
  tinyLinears,
} from '../test/fixtures.js';
import type { CheckpointErrorCode } from './errors.js';
import { fromFloat32, toFloat32 } from './floats.js';
import { adapterScale, assertFitsModel, type LoraAdapter } from './lora-adapter.js';
import { targetExpressionOf, targetModulesOf } from './peft-config.js';
import { readPeftAdapter } from './read-peft.js';
import { openSafetensors } from './safetensors-file.js';
import { writePeftAdapter } from './write-peft.js';
import { writeSafetensors, type SafetensorsEntry } from './write-safetensors.js';

const readConfig = async (folder: string) =>
  JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')) as Record<
    string,
    unknown
  >;

async function changeConfig(folder: string, change: Record<string, unknown>): Promise<void> {
  await writeFile(
    join(folder, 'adapter_config.json'),
    JSON.stringify({ ...(await readConfig(folder)), ...change }),
  );
}

/** Writes tensors in place of an adapter's own. */
async function replaceTensors(folder: string, entries: readonly SafetensorsEntry[]): Promise<void> {
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), entries, {});
}

const zeros = (name: string, shape: [number, number]): SafetensorsEntry => ({
  name,
  shape,
  dtype: 'float32',
  data: () => new Uint8Array(shape[0] * shape[1] * 4),
});

const path0 = 'model.layers.0.self_attn.q_proj';

/** The modules that PEFT selects among a model's: an exact name, or a whole-component suffix. */
function selectedBy(targetModules: readonly string[], modules: Iterable<string>): Set<string> {
  return new Set(
    [...modules].filter((path) =>
      targetModules.some((target) => path === target || path.endsWith(`.${target}`)),
    ),
  );
}

it('scales by alpha / rank, or by alpha / √rank with rsLoRA', () => {
  expect(adapterScale({ alpha: 16, rank: 4, useRslora: false })).toBe(4);
  expect(adapterScale({ alpha: 16, rank: 4, useRslora: true })).toBe(8);
});

describe('writing', () => {
  it('round-trips every field', () =>
    inFolder(async (folder) => {
      const adapter = tinyAdapter({ baseModel: 'owner/model-1.5B', useRslora: true, alpha: 3.5 });
      await writePeftAdapter(folder, adapter, { linearModules: tinyLinears });
      const read = await readPeftAdapter(folder, { linearModules: tinyLinears });
      expect({ ...read, layers: new Map([...read.layers].sort()) }).toEqual({
        ...adapter,
        layers: new Map([...adapter.layers].sort()),
      });
    }));

  it('round-trips DoRA, under the names of PEFT', () =>
    inFolder(async (folder) => {
      const adapter = tinyDora();
      await writePeftAdapter(folder, adapter, { linearModules: tinyLinears });
      const read = await readPeftAdapter(folder, { linearModules: tinyLinears });
      expect(new Map([...read.layers].sort())).toEqual(new Map([...adapter.layers].sort()));
      expect(await readConfig(folder)).toMatchObject({ use_dora: true });
      await using file = await openSafetensors(join(folder, 'adapter_model.safetensors'));
      expect(file.tensors.size).toBe(3 * tinyLinears.size);
      expect(file.tensors.get(`base_model.model.${path0}.lora_magnitude_vector`)).toMatchObject({
        dtype: 'float32',
        shape: [8],
      });
    }));

  it.each<[string, (values: Float32Array) => Float32Array | undefined, RegExp]>([
    ['too short', (values) => values.subarray(1), /magnitude has 7 values, there are 8 outputs/],
    ['not finite', (values) => values.map(() => Number.NaN), /values that are not finite/],
    ['absent in one layer', () => undefined, /has no magnitude, as others have/],
  ])('refuses a magnitude that is %s', (_what, change, reason) =>
    inFolder(async (folder) => {
      const adapter = tinyDora();
      const [path, layer] = at([...adapter.layers], 0);
      const { magnitude = new Float32Array(), ...rest } = layer;
      const changed = change(magnitude);
      const layers = new Map(adapter.layers).set(path, {
        ...rest,
        ...(changed && { magnitude: changed }),
      });
      await expectRefusal(
        writePeftAdapter(folder, { ...adapter, layers }),
        'CHECKPOINT_ADAPTER_INVALID',
        reason,
      );
    }),
  );

  it('names the commit of the base beside its name, and without a name nothing', () =>
    inFolder(async (folder) => {
      const baseRevision = '0a'.repeat(20);
      const written = [];
      for (const baseModel of ['owner/model', undefined]) {
        await writePeftAdapter(folder, tinyAdapter({ baseModel, baseRevision }));
        written.push((await readConfig(folder))['revision']);
      }
      expect(written).toEqual([baseRevision, null]);
    }));

  it("uses PEFT's names, float32, shapes and keys", () =>
    inFolder(async (folder) => {
      await writePeftAdapter(folder, tinyAdapter(), { linearModules: tinyLinears });
      const file = await openSafetensors(join(folder, 'adapter_model.safetensors'));
      expect(file.tensors.get(`base_model.model.${path0}.lora_A.weight`)).toMatchObject({
        dtype: 'float32',
        shape: [2, 6],
      });
      expect(file.tensors.get(`base_model.model.${path0}.lora_B.weight`)).toMatchObject({
        dtype: 'float32',
        shape: [8, 2],
      });
      expect(file.tensors.size).toBe(2 * tinyLinears.size);
      await file.close();
      expect(await readConfig(folder)).toMatchObject({
        peft_type: 'LORA',
        task_type: 'CAUSAL_LM',
        r: 2,
        lora_alpha: 4,
        target_modules: ['down_proj', 'q_proj'],
        use_rslora: false,
        lora_dropout: 0,
        bias: 'none',
        fan_in_fan_out: false,
        inference_mode: true,
        base_model_name_or_path: null,
        init_lora_weights: true,
      });
      const dropped = join(folder, 'dropped');
      await writePeftAdapter(dropped, { ...tinyAdapter(), dropout: 0.1 });
      expect(await readConfig(dropped)).toMatchObject({ lora_dropout: 0.1 });
      const keys = Object.keys(await readConfig(folder));
      expect(keys).toEqual([...keys].sort());
    }));

  it('gives equal bytes for equal adapters, whatever the order of their layers', () =>
    inFolder(async (folder) => {
      const adapter = tinyAdapter();
      await writePeftAdapter(join(folder, 'a'), adapter, { linearModules: tinyLinears });
      await writePeftAdapter(
        join(folder, 'b'),
        { ...adapter, layers: new Map([...adapter.layers].reverse()) },
        { linearModules: new Map([...tinyLinears].reverse()) },
      );
      expect(await contentsOf(join(folder, 'a'))).toEqual(await contentsOf(join(folder, 'b')));
    }));

  it('keeps hub names of the base model and drops what could be a local path', () =>
    inFolder(async (folder) => {
      const names = [
        'Qwen/Qwen2.5-7B',
        'gpt2',
        '/home/user/model',
        './model',
        '../model',
        '~/model',
        'C:\\model',
        'a/b/c',
        '',
      ];
      const written = [];
      for (const baseModel of names) {
        await writePeftAdapter(folder, tinyAdapter({ baseModel }));
        written.push((await readConfig(folder))['base_model_name_or_path']);
      }
      expect(written).toEqual([
        'Qwen/Qwen2.5-7B',
        'gpt2',
        null,
        null,
        null,
        null,
        null,
        null,
        null,
      ]);
    }));

  it('selects exactly the adapted layers, for 200 random choices of them', () => {
    const modules = new Map(
      Array.from({ length: 12 }, (_, block) =>
        ['self_attn.q_proj', 'self_attn.proj', 'mlp.proj', 'mlp.down_proj'].map(
          (name): [string, { inFeatures: number; outFeatures: number }] => [
            `model.layers.${block}.${name}`,
            { inFeatures: 6, outFeatures: 8 },
          ],
        ),
      ).flat(),
    );
    const random = seeded(3);
    for (let round = 0; round < 200; round += 1) {
      const chance = random();
      const paths = [...modules.keys()].filter((path) =>
        round % 4 === 0 ? path.endsWith('.q_proj') : random() < chance,
      );
      if (paths.length === 0) continue;
      expect(selectedBy(targetModulesOf(paths, modules), modules.keys())).toEqual(new Set(paths));
    }
  });

  it('uses short names only where it knows that every such layer is adapted', () => {
    const all = [...tinyLinears.keys()];
    expect(targetModulesOf(all, tinyLinears)).toEqual(['down_proj', 'q_proj']);
    expect(targetModulesOf(all.slice(1), tinyLinears)).toEqual([
      'down_proj',
      'model.layers.1.self_attn.q_proj',
    ]);
    expect(targetModulesOf(all, undefined)).toEqual([...all].sort());
  });

  it('refuses adapters that make no sense or do not fit, before anything is written', () =>
    inFolder(async (folder) => {
      const adapter = tinyAdapter();
      const layer = adapter.layers.get(path0);
      if (!layer) throw new Error('no layer');
      const withLayer = (change: Partial<typeof layer>, path = path0): LoraAdapter => ({
        ...adapter,
        layers: new Map([[path, { ...layer, ...change }]]),
      });
      const write = (broken: LoraAdapter) =>
        writePeftAdapter(join(folder, 'out'), broken, { linearModules: tinyLinears });
      await expectRefusal(
        write({ ...adapter, layers: new Map() }),
        'CHECKPOINT_ADAPTER_INVALID',
        /no layer/,
      );
      await expectRefusal(
        write({ ...adapter, rank: 1.5 }),
        'CHECKPOINT_ADAPTER_INVALID',
        /rank 1.5/,
      );
      await expectRefusal(
        write({ ...adapter, alpha: Number.NaN }),
        'CHECKPOINT_ADAPTER_INVALID',
        /alpha NaN/,
      );
      await expectRefusal(
        write(withLayer({ a: new Float32Array(3) })),
        'CHECKPOINT_ADAPTER_INVALID',
        /q_proj: A has 3 values, .* needs 12/,
      );
      await expectRefusal(
        write(withLayer({ b: new Float32Array(16).fill(Number.NaN) })),
        'CHECKPOINT_ADAPTER_INVALID',
        /not finite/,
      );
      await expectRefusal(
        write(withLayer({}, 'model.layers.9.self_attn.q_proj')),
        'CHECKPOINT_ADAPTER_MISMATCH',
        /layers.9.self_attn.q_proj is no linear layer/,
      );
      await expectRefusal(
        write(withLayer({}, 'model.layers.0.mlp.down_proj')),
        'CHECKPOINT_ADAPTER_MISMATCH',
        /is 8 x 6, the model's 6 x 10/,
      );
      expect(await readdir(folder)).toEqual([]);
    }));
});

describe('reading', () => {
  const inAdapter = (test: (folder: string) => Promise<void>) =>
    inFolder(async (folder) => {
      await writePeftAdapter(folder, tinyAdapter(), { linearModules: tinyLinears });
      await test(folder);
    });

  it.each(['float16', 'bfloat16'] as const)('widens %s', (dtype) =>
    inAdapter(async (folder) => {
      const { layers, rank } = tinyAdapter();
      await replaceTensors(
        folder,
        [...layers].flatMap(([path, { a, b, inFeatures, outFeatures }]): SafetensorsEntry[] => [
          {
            name: `base_model.model.${path}.lora_A.weight`,
            shape: [rank, inFeatures],
            dtype,
            data: () => fromFloat32(a, dtype),
          },
          {
            name: `base_model.model.${path}.lora_B.weight`,
            shape: [outFeatures, rank],
            dtype,
            data: () => fromFloat32(b, dtype),
          },
        ]),
      );
      const read = await readPeftAdapter(folder);
      for (const [path, { a, b }] of layers) {
        expect(read.layers.get(path)?.a).toEqual(toFloat32(fromFloat32(a, dtype), dtype));
        expect(read.layers.get(path)?.b).toEqual(toFloat32(fromFloat32(b, dtype), dtype));
      }
    }),
  );

  it('takes the configuration that PEFT 0.21 writes, unset options and training options included', () =>
    inAdapter(async (folder) => {
      await changeConfig(folder, {
        alora_invocation_tokens: null,
        arrow_config: null,
        kasa_config: null,
        use_bdlora: null,
        monteclora_config: null,
        velora_config: { x: 1 },
        lora_ga_config: null,
        ensure_weight_tying: false,
        peft_version: '0.21.0',
        lora_dropout: 0.1,
        layers_to_transform: [0, 1],
        exclude_modules: ['lm_head'],
        base_model_name_or_path: '',
        target_modules: '.*(q_proj|down_proj)',
        init_lora_weights: 'gaussian',
      });
      const adapter = await readPeftAdapter(folder, { linearModules: tinyLinears });
      expect(adapter.layers.size).toBe(4);
      expect(adapter.targetModules).toEqual(['.*(q_proj|down_proj)']);
      expect(adapter.baseModel).toBeUndefined();
    }));

  const unsupported = {
    peft_type: 'IA3',
    task_type: 'SEQ_CLS',
    bias: 'all',
    fan_in_fan_out: true,
    modules_to_save: ['lm_head'],
    lora_bias: true,
    use_qalora: true,
    layer_replication: [[0, 2]],
    target_parameters: ['w'],
    trainable_token_indices: [1],
    alora_invocation_tokens: [1],
    arrow_config: { top_k: 2 },
    kasa_config: { x: 1 },
    use_bdlora: { x: 1 },
    megatron_config: { x: 1 },
    init_lora_weights: 'pissa_niter_4',
    an_option_of_tomorrow: 3,
  };
  it.each(Object.entries(unsupported))('refuses %s, by name, when it is set', (key, value) =>
    inAdapter(async (folder) => {
      await changeConfig(folder, { [key]: value });
      await expectRefusal(
        readPeftAdapter(folder),
        'CHECKPOINT_ADAPTER_UNSUPPORTED',
        new RegExp(`adapter_config.json: ${key}( is|:) `),
      );
    }),
  );

  const malformed: Record<string, unknown> = {
    r: 0,
    lora_alpha: '16',
    use_rslora: 1,
    rank_pattern: { q_proj: 1.5 },
    alpha_pattern: { '(': 4 },
    target_modules: null,
  };
  it.each(Object.entries(malformed))('refuses a malformed %s', (key, value) =>
    inAdapter(async (folder) => {
      await changeConfig(folder, { [key]: value });
      const error = await readPeftAdapter(folder).catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: 'CHECKPOINT_ADAPTER_INVALID',
        message: expect.stringContaining(key),
      });
    }),
  );

  const q = `base_model.model.${path0}`;
  const tensorCases: readonly (readonly [
    string,
    readonly SafetensorsEntry[],
    CheckpointErrorCode,
    RegExp,
  ])[] = [
    [
      'without A',
      [zeros(`${q}.lora_B.weight`, [8, 2])],
      'CHECKPOINT_ADAPTER_INVALID',
      /lacks .*q_proj.lora_A.weight/,
    ],
    [
      'without B',
      [zeros(`${q}.lora_A.weight`, [2, 6])],
      'CHECKPOINT_ADAPTER_INVALID',
      /lacks .*q_proj.lora_B.weight/,
    ],
    [
      'of another rank',
      [zeros(`${q}.lora_A.weight`, [3, 6]), zeros(`${q}.lora_B.weight`, [8, 3])],
      'CHECKPOINT_ADAPTER_INVALID',
      /rank 3 in A and 3 in B, adapter_config.json says 2/,
    ],
    [
      'of two ranks',
      [zeros(`${q}.lora_A.weight`, [2, 6]), zeros(`${q}.lora_B.weight`, [8, 3])],
      'CHECKPOINT_ADAPTER_INVALID',
      /rank 2 in A and 3 in B/,
    ],
    [
      'of another size than the model',
      [zeros(`${q}.lora_A.weight`, [2, 7]), zeros(`${q}.lora_B.weight`, [8, 2])],
      'CHECKPOINT_ADAPTER_MISMATCH',
      /is 8 x 7, the model's 8 x 6/,
    ],
    [
      'of no model layer',
      [
        zeros('base_model.model.x.q_proj.lora_A.weight', [2, 6]),
        zeros('base_model.model.x.q_proj.lora_B.weight', [8, 2]),
      ],
      'CHECKPOINT_ADAPTER_MISMATCH',
      /x.q_proj is no linear layer/,
    ],
    [
      'outside target_modules',
      [
        zeros('base_model.model.x.lora_A.weight', [2, 6]),
        zeros('base_model.model.x.lora_B.weight', [8, 2]),
      ],
      'CHECKPOINT_ADAPTER_INVALID',
      /x, which target_modules does not select/,
    ],
    [
      'of DoRA, which the config does not say',
      [zeros(`${q}.lora_magnitude_vector`, [8, 1])],
      'CHECKPOINT_ADAPTER_INVALID',
      /lora_magnitude_vector, though use_dora is not true/,
    ],
    [
      'of an embedding',
      [zeros('base_model.model.model.embed_tokens.lora_embedding_A', [2, 6])],
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      /lora_embedding_A/,
    ],
    [
      'of whole numbers',
      [
        { ...zeros(`${q}.lora_A.weight`, [2, 6]), dtype: 'int32' },
        zeros(`${q}.lora_B.weight`, [8, 2]),
      ],
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      /dtype int32/,
    ],
    ['none', [], 'CHECKPOINT_ADAPTER_INVALID', /no layer is adapted/],
  ];
  it.each(tensorCases)('refuses tensors %s', (_, entries, code, message) =>
    inAdapter(async (folder) => {
      await replaceTensors(folder, entries);
      await expectRefusal(readPeftAdapter(folder, { linearModules: tinyLinears }), code, message);
    }),
  );

  it('names the file that is missing, and refuses pickled weights', () =>
    inAdapter(async (folder) => {
      await rm(join(folder, 'adapter_model.safetensors'));
      await expectRefusal(
        readPeftAdapter(folder),
        'CHECKPOINT_NOT_FOUND',
        /adapter_model.safetensors/,
      );
      await writeFile(join(folder, 'adapter_model.bin'), '');
      await expectRefusal(
        readPeftAdapter(folder),
        'CHECKPOINT_UNSUPPORTED_FORMAT',
        /adapter_model.bin/,
      );
      await expectRefusal(
        readPeftAdapter(join(folder, 'none')),
        'CHECKPOINT_NOT_FOUND',
        /adapter_config.json/,
      );
    }));
});

describe('the expression that selects within a module', () => {
  const inside = ['q_proj', 'o_proj'].flatMap((name) =>
    [0, 1].map((layer) => `model.language_model.layers.${layer}.self_attn.${name}`),
  );
  const direct = 'model.language_model.per_layer_model_projection';
  const outside = ['model.vision_tower.layers.0.self_attn.q_proj', 'model.embed_vision.q_proj'];
  const size = { inFeatures: 4, outFeatures: 4 };
  const modules = new Map([...inside, direct, ...outside].map((path) => [path, size]));
  const selected = (paths: readonly string[]): string[] => {
    const expression = targetExpressionOf(paths, modules, 'language_model');
    expect(expression.startsWith('.*language_model\\.')).toBe(true);
    return [...modules.keys()].filter((path) => new RegExp(`^(?:${expression})$`).test(path));
  };

  it.each([
    ['all', inside],
    ['all of a name', inside.filter((path) => path.endsWith('q_proj'))],
    ['one', inside.slice(1, 2)],
    ['all of a name and one more', inside.slice(0, 3)],
    ['one without modules between', [direct]],
    ['that and all of a name', [...inside.slice(0, 2), direct]],
  ])('selects what is adapted and nothing outside: %s', (_, paths) => {
    expect(selected(paths)).toEqual(paths);
  });
});

describe('a projection that a layer does not have', () => {
  const size = { inFeatures: 4, outFeatures: 4 };
  const layers = (names: readonly string[]) =>
    new Map(names.map((name) => [`model.layers.3.self_attn.${name}`, size]));
  const refused = (name: string, has: readonly string[]) => {
    const [a, b] = [new Float32Array(4), new Float32Array(4)];
    const [path = ''] = layers([name]).keys();
    const adapter = tinyAdapter({ rank: 1, layers: new Map([[path, { a, b, ...size }]]) });
    return () => assertFitsModel(adapter, layers(has));
  };

  it('is explained where keys are the values, or are another layer’s', () => {
    expect(refused('v_proj', ['q_proj', 'k_proj', 'o_proj'])).toThrow(
      'v_proj is no linear layer of this model: its keys and values are both what k_proj gives',
    );
    for (const name of ['k_proj', 'v_proj'])
      expect(refused(name, ['q_proj', 'o_proj'])).toThrow('uses the keys and values of one before');
    expect(refused('v_proj', ['qkv_proj'])).toThrow(/is no linear layer of this model$/);
  });
});

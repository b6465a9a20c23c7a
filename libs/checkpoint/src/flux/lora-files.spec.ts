import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at, get } from '@emloc/checked';

import { contentsOf, expectRefusal, inFolder, randomValues } from '../../test/fixtures.js';
import { fluxLinears, writeTensors, type Values } from '../../test/flux.js';
import { fromFloat32, toFloat32, type FloatDType } from '../floats.js';
import { layerRank, layerScale, type LoraAdapter, type LoraLayer } from '../lora-adapter.js';
import { readAdapter } from '../read-adapter.js';
import { openSafetensors } from '../safetensors-file.js';
import { writePeftAdapter } from '../write-peft.js';
import { writeSafetensors } from '../write-safetensors.js';
import { writeDiffusersAdapter } from './write-diffusers.js';

const weights = 'pytorch_lora_weights.safetensors';
const paths = [
  'transformer_blocks.0.attn.to_q',
  'transformer_blocks.1.attn.to_out.0',
  'transformer_blocks.1.ff_context.net.2',
  'single_transformer_blocks.2.attn.to_k',
];

function layerOf(path: string, rank: number): LoraLayer {
  const { inFeatures, outFeatures } = get(fluxLinears, path);
  const seed = path.length + 1000 * rank;
  return {
    a: randomValues(rank * inFeatures, seed),
    b: randomValues(outFeatures * rank, seed + 1),
    inFeatures,
    outFeatures,
  };
}

function adapterOf(overrides: Partial<LoraAdapter> = {}): LoraAdapter {
  const rank = overrides.rank ?? 2;
  return {
    rank,
    alpha: 3,
    useRslora: false,
    targetModules: [],
    layers: new Map(paths.map((path) => [path, layerOf(path, rank)])),
    ...overrides,
  };
}

/** s B A of each layer, by path. */
function updatesOf(adapter: LoraAdapter): Map<string, number[]> {
  return new Map(
    [...adapter.layers].map(([path, layer]) => [
      path,
      product(layer, layerRank(adapter, layer), layerScale(adapter, layer)),
    ]),
  );
}

function product(layer: LoraLayer, rank: number, scale: number): number[] {
  const { a, b, inFeatures, outFeatures } = layer;
  return Array.from({ length: outFeatures * inFeatures }, (_, index) => {
    const [row, column] = [Math.floor(index / inFeatures), index % inFeatures];
    let sum = 0;
    for (let k = 0; k < rank; k += 1)
      sum += scale * at(b, row * rank + k) * at(a, k * inFeatures + column);
    return sum;
  });
}

function expectUpdates(actual: LoraAdapter, expected: ReadonlyMap<string, number[]>): void {
  const found = updatesOf(actual);
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [path, values] of expected) {
    const differences = get(found, path).map((value, index) => Math.abs(value - at(values, index)));
    expect({ path, isClose: Math.max(...differences) < 1e-6 }).toEqual({ path, isClose: true });
  }
}

/** The tensors of a LoRA file of diffusers. */
function tensorsOf(adapter: LoraAdapter): Map<string, Values> {
  return new Map(
    [...adapter.layers].flatMap(([path, layer]): [string, Values][] => {
      const rank = layerRank(adapter, layer);
      return [
        [`transformer.${path}.lora_A.weight`, { shape: [rank, layer.inFeatures], values: layer.a }],
        [
          `transformer.${path}.lora_B.weight`,
          { shape: [layer.outFeatures, rank], values: layer.b },
        ],
      ];
    }),
  );
}

const mixedRanks = adapterOf({
  layers: new Map(
    paths.map((path, index) => {
      const rank = index === 3 ? 5 : 2;
      return [path, { ...layerOf(path, rank), ...(rank === 5 && { rank, alpha: 1 }) }];
    }),
  ),
});

describe('an adapter that is written for diffusers', () => {
  it.each([
    ['one rank', adapterOf()],
    ['rsLoRA', adapterOf({ useRslora: true })],
    ['several ranks', mixedRanks],
  ])('of %s has scale 1 and one rank everywhere, and is read back the same', (_what, adapter) =>
    inFolder(async (folder) => {
      await writeDiffusersAdapter(folder, adapter, { linearModules: fluxLinears });
      expect([...(await contentsOf(folder)).keys()]).toEqual([weights]);
      await using file = await openSafetensors(join(folder, weights));
      expect(file.metadata).toEqual({ format: 'pt' });
      const keys = paths.flatMap((path) =>
        ['A', 'B'].map((half) => `transformer.${path}.lora_${half}.weight`),
      );
      expect([...file.tensors.keys()].sort()).toEqual(keys.sort());
      const ranks = [...file.tensors].map(([name, { shape }]) =>
        name.includes('lora_A') ? at(shape, 0) : at(shape, 1),
      );
      expect(new Set(ranks).size).toBe(1);
      const read = await readAdapter(folder, { linearModules: fluxLinears });
      expect([...read.layers.values()].map((layer) => layerScale(read, layer))).toEqual(
        paths.map(() => 1),
      );
      expectUpdates(read, updatesOf(adapter));
    }),
  );

  it('has equal bytes for equal adapters, whatever the order of its layers', () =>
    inFolder(async (folder) => {
      const adapter = adapterOf();
      const reversed = { ...adapter, layers: new Map([...adapter.layers].reverse()) };
      await writeDiffusersAdapter(join(folder, 'a'), adapter);
      await writeDiffusersAdapter(join(folder, 'b'), reversed);
      const [a, b] = await Promise.all(
        ['a', 'b'].map((name) => readFile(join(folder, name, weights))),
      );
      expect(a?.equals(b ?? Buffer.alloc(0))).toBe(true);
    }));

  it('is refused where a layer is none of the model', () =>
    inFolder((folder) =>
      expectRefusal(
        writeDiffusersAdapter(
          folder,
          adapterOf({ layers: new Map([['x', layerOf(at(paths, 0), 2)]]) }),
          { linearModules: fluxLinears },
        ),
        'CHECKPOINT_ADAPTER_MISMATCH',
        /layer x is no linear layer/,
      ),
    ));
});

describe('a LoRA file of diffusers', () => {
  it.each(['float32', 'bfloat16', 'float16'] as const)(
    'in %s has scale 1 without more information, and the rank of each layer',
    (dtype) =>
      inFolder(async (folder) => {
        await writeTensors(join(folder, weights), tensorsOf(mixedRanks), dtype);
        const read = await readAdapter(folder, { linearModules: fluxLinears });
        const layers = new Map(
          [...mixedRanks.layers].map(([path, { a, b, rank = 2, ...layer }]) => {
            const [storedA, storedB] = [rounded(a, dtype), rounded(b, dtype)];
            return [path, { ...layer, a: storedA, b: storedB, rank, alpha: rank }];
          }),
        );
        expectUpdates(read, updatesOf({ ...mixedRanks, layers }));
        expect([read.rank, read.alpha]).toEqual([2, 2]);
      }),
  );

  it('has the alphas that it stores', () =>
    inFolder(async (folder) => {
      const tensors = tensorsOf(mixedRanks);
      const layers = new Map(
        [...mixedRanks.layers].map(([path, layer], index) => [
          path,
          { ...layer, alpha: index + 1 },
        ]),
      );
      for (const [path, { alpha }] of layers)
        tensors.set(`transformer.${path}.alpha`, { shape: [], values: Float32Array.of(alpha) });
      await writeTensors(join(folder, weights), tensors, 'float32');
      expectUpdates(await readAdapter(folder), updatesOf({ ...mixedRanks, layers }));
      tensors.delete(`transformer.${at(paths, 0)}.alpha`);
      await writeTensors(join(folder, weights), tensors, 'float32');
      await expectRefusal(
        readAdapter(folder),
        'CHECKPOINT_ADAPTER_INVALID',
        /has alphas, but none of transformer_blocks.0.attn.to_q$/,
      );
    }));

  it('has the options of its metadata', () =>
    inFolder(async (folder) => {
      const options = {
        'transformer.r': 2,
        'transformer.lora_alpha': 3,
        'transformer.rank_pattern': { '^single_transformer_blocks.2.attn.to_k': 5 },
        'transformer.alpha_pattern': { '^single_transformer_blocks.2.attn.to_k': 1 },
        'transformer.use_rslora': true,
        'transformer.target_modules': ['to_q', 'to_k', 'to_out.0', 'ff_context.net.2'],
        'text_encoder.r': 64,
      };
      await writeWith(folder, JSON.stringify(options), tensorsOf(mixedRanks));
      expectUpdates(await readAdapter(folder), updatesOf({ ...mixedRanks, useRslora: true }));
      const scaled = tensorsOf(mixedRanks);
      scaled.set(`transformer.${at(paths, 0)}.alpha`, { shape: [1], values: Float32Array.of(2) });
      await writeWith(folder, JSON.stringify(options), scaled);
      await expectRefusal(readAdapter(folder), 'CHECKPOINT_ADAPTER_INVALID', /only one of them/);
      for (const [changed, code, message] of [
        [{ 'transformer.rank_pattern': {} }, 'CHECKPOINT_ADAPTER_INVALID', /has rank 5 in A/],
        [{ 'transformer.use_dora': true }, 'CHECKPOINT_ADAPTER_UNSUPPORTED', /use_dora is true/],
        [{ 'transformer.r': 'x' }, 'CHECKPOINT_ADAPTER_INVALID', /r is x/],
      ] as const) {
        await writeWith(folder, JSON.stringify({ ...options, ...changed }), tensorsOf(mixedRanks));
        await expectRefusal(readAdapter(folder), code, message);
      }
      for (const text of ['{', '[]', 'null']) {
        await writeWith(folder, text, tensorsOf(mixedRanks));
        await expectRefusal(readAdapter(folder), 'CHECKPOINT_ADAPTER_INVALID', /no JSON object/);
      }
    }));

  it('is found under its usual names, or as the only file, or by its own path', () =>
    inFolder(async (folder) => {
      const expected = updatesOf(adapterOf({ alpha: 2 }));
      await writeTensors(join(folder, weights), tensorsOf(adapterOf()), 'float32');
      for (const name of ['adapter_model.safetensors', 'dog.safetensors']) {
        const [before] = [...(await contentsOf(folder)).keys()];
        await rename(join(folder, before ?? ''), join(folder, name));
        expectUpdates(await readAdapter(folder), expected);
        expectUpdates(await readAdapter(join(folder, name)), expected);
      }
      await writeFile(join(folder, 'other.safetensors'), '');
      await expectRefusal(
        readAdapter(folder),
        'CHECKPOINT_ADAPTER_INVALID',
        /has 2 files that may be the adapter \(dog.safetensors, other.safetensors\)/,
      );
    }));

  it('is no obstacle to adapters of PEFT, nor to what is said of folders without one', () =>
    inFolder(async (folder) => {
      await writePeftAdapter(join(folder, 'peft'), adapterOf());
      expectUpdates(await readAdapter(join(folder, 'peft')), updatesOf(adapterOf()));
      await mkdir(join(folder, 'empty'));
      for (const name of ['empty', 'none'])
        await expectRefusal(
          readAdapter(join(folder, name)),
          'CHECKPOINT_NOT_FOUND',
          /adapter_config.json does not exist/,
        );
    }));

  const first = `transformer.${at(paths, 0)}`;
  it.each<[string, Record<string, readonly number[] | null>, string, RegExp]>([
    [
      'tensors of text encoders',
      { 'text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_A.weight': [2, 2] },
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      /text_encoder.text_model.* \(LoRA on text encoders is not supported\); supported are lora_A/,
    ],
    [
      'unknown tensors, the first of them',
      Object.fromEntries(
        [...'abcdefg'].map((name) => [`transformer_blocks.${name}.lora_A.weight`, [2, 2]]),
      ),
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      /has transformer_blocks.a.lora_A.weight, .*transformer_blocks.e.lora_A.weight and 2 more;/,
    ],
    ['DoRA', { [`${first}.lora_magnitude_vector`]: [8] }, 'CHECKPOINT_ADAPTER_UNSUPPORTED', /DoRA/],
    [
      'biases',
      { [`${first}.lora_B.bias`]: [8] },
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      /trained biases/,
    ],
    [
      'halves without the other',
      { [`${first}.lora_A.weight`]: null, [`transformer.${paths[1]}.lora_B.weight`]: null },
      'CHECKPOINT_ADAPTER_INVALID',
      /lacks transformer.transformer_blocks.0.attn.to_q.lora_A.weight, transformer.transformer_blocks.1.attn.to_out.0.lora_B.weight$/,
    ],
    [
      'halves of different ranks',
      { [`${first}.lora_A.weight`]: [3, 8], [`transformer.${paths[2]}.lora_B.weight`]: [2] },
      'CHECKPOINT_ADAPTER_INVALID',
      /attn.to_q, transformer_blocks.1.ff_context.net.2: .* has \[3, 8\] and \[8, 2\]/,
    ],
    [
      'modules that the model has not',
      {
        'transformer.transformer_blocks.9.attn.to_q.lora_A.weight': [2, 8],
        'transformer.transformer_blocks.9.attn.to_q.lora_B.weight': [8, 2],
      },
      'CHECKPOINT_ADAPTER_MISMATCH',
      /transformer_blocks.9.attn.to_q: no linear layer of this model/,
    ],
    [
      'layers of another size',
      { [`${first}.lora_A.weight`]: [2, 16] },
      'CHECKPOINT_ADAPTER_MISMATCH',
      /attn.to_q: of another size .* is 8 x 16, the model's 8 x 8/,
    ],
    [
      'an alpha of several values',
      { [`${first}.alpha`]: [2] },
      'CHECKPOINT_ADAPTER_INVALID',
      /attn.to_q.alpha has 2 values/,
    ],
  ])('is refused with %s', (_what, changes, code, message) =>
    inFolder(async (folder) => {
      const tensors = tensorsOf(adapterOf());
      for (const [name, shape] of Object.entries(changes)) {
        if (shape === null) tensors.delete(name);
        else {
          const count = shape.reduce((product, extent) => product * extent, 1);
          tensors.set(name, { shape, values: randomValues(count, 3) });
        }
      }
      await writeTensors(join(folder, weights), tensors);
      await expectRefusal(
        readAdapter(folder, { linearModules: fluxLinears }),
        code as 'CHECKPOINT_ADAPTER_INVALID',
        message,
      );
    }),
  );
});

function rounded(values: Float32Array, dtype: FloatDType): Float32Array {
  return toFloat32(fromFloat32(values, dtype), dtype);
}

async function writeWith(
  folder: string,
  options: string,
  tensors: ReadonlyMap<string, Values>,
): Promise<void> {
  const entries = [...tensors].map(([name, { shape, values }]) => ({
    name,
    shape,
    dtype: 'float32' as const,
    data: () => fromFloat32(values, 'float32'),
  }));
  const metadata = { format: 'pt', lora_adapter_metadata: options };
  await writeSafetensors(join(folder, weights), entries, metadata);
}

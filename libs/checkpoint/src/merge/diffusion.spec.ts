import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { at, get } from '@emloc/checked';

import { contentsOf, expectRefusal, inFolder, randomValues } from '../../test/fixtures.js';
import {
  fluxConfig,
  fluxLinears,
  fluxTensors,
  storedAsBfl,
  writeOtherComponents,
  writeTensors,
  type Values,
} from '../../test/flux.js';
import { fromFloat32, toFloat32, type FloatDType } from '../floats.js';
import { findDiffusionModel, openTransformer } from '../flux/diffusion-place.js';
import { layerRank, layerScale, type LoraAdapter } from '../lora-adapter.js';
import { openSafetensors } from '../safetensors-file.js';
import { mergeCheckpoint } from './merge.js';

const shards = [1, 2, 3].map(
  (shard) => `transformer/diffusion_pytorch_model-0000${shard}-of-00003.safetensors`,
);
const index = 'transformer/diffusion_pytorch_model.safetensors.index.json';
const bflFile = 'flux1-dev.safetensors';
const adapted = [
  'transformer_blocks.0.attn.to_k',
  'transformer_blocks.1.attn.add_v_proj',
  'transformer_blocks.1.attn.to_out.0',
  'transformer_blocks.1.ff.net.0.proj',
  'single_transformer_blocks.2.attn.to_q',
  'single_transformer_blocks.2.proj_mlp',
  'single_transformer_blocks.0.proj_out',
  'norm_out.linear',
];

function adapterOf(paths: readonly string[] = adapted): LoraAdapter {
  const layers = paths.map((path, index) => {
    const { inFeatures, outFeatures } = get(fluxLinears, path);
    const rank = index === 1 ? 3 : 2;
    const [a, b] = [randomValues(rank * inFeatures, index), randomValues(rank * outFeatures, 77)];
    const own = rank === 3 ? { rank, alpha: 5 } : {};
    return [path, { a, b, inFeatures, outFeatures, ...own }] as const;
  });
  return { rank: 2, alpha: 3, useRslora: false, targetModules: [], layers: new Map(layers) };
}

async function writeDiffusers(folder: string): Promise<void> {
  const tensors = [...fluxTensors()];
  const weightMap: Record<string, string> = {};
  for (const [number, path] of shards.entries()) {
    const own = tensors.filter((_, position) => position % shards.length === number);
    await writeTensors(join(folder, path), new Map(own));
    for (const [name] of own) weightMap[name] = path.replace('transformer/', '');
  }
  const text = JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap });
  await writeFile(join(folder, index), text);
  await writeFile(join(folder, 'transformer/config.json'), JSON.stringify(fluxConfig));
  await writeOtherComponents(folder);
}

async function writeBfl(folder: string): Promise<void> {
  await writeTensors(join(folder, bflFile), storedAsBfl(fluxTensors()));
  await writeOtherComponents(folder);
}

/** W + s B A by its definition, for every tensor of diffusers, as it is stored. */
function mergedValues(adapter: LoraAdapter, to: FloatDType): Map<string, string> {
  return new Map(
    [...fluxTensors()].map(([name, tensor]) => {
      const merged = merge(adapter, name, tensor);
      return [name, Buffer.from(fromFloat32(merged, to)).toString('hex')];
    }),
  );
}

function merge(adapter: LoraAdapter, name: string, { values }: Values): Float32Array {
  const weights = toFloat32(fromFloat32(values, 'bfloat16'), 'bfloat16');
  const layer = adapter.layers.get(name.replace(/\.weight$/, ''));
  if (!layer || !name.endsWith('.weight')) return weights;
  const [rank, scale] = [layerRank(adapter, layer), layerScale(adapter, layer)];
  return weights.map((weight, position) => {
    const [row, column] = [Math.floor(position / layer.inFeatures), position % layer.inFeatures];
    let sum = 0;
    for (let k = 0; k < rank; k += 1)
      sum += scale * at(layer.b, row * rank + k) * at(layer.a, k * layer.inFeatures + column);
    return weight + sum;
  });
}

async function transformerIn(path: string, bytesPerElement: number): Promise<Map<string, string>> {
  const place = await findDiffusionModel(path);
  if (!place) throw new Error(`no diffusion model in ${path}`);
  await using transformer = await openTransformer(place);
  const values = new Map<string, string>();
  for (const [name, { shape }] of transformer.tensors) {
    const count = shape.reduce((product, extent) => product * extent, 1);
    const bytes = new Uint8Array(bytesPerElement * count);
    await transformer.read(name, bytes);
    values.set(name, Buffer.from(bytes).toString('hex'));
  }
  return values;
}

/** That everything but the given files is as it was. */
async function expectRest(model: string, out: string, merged: readonly string[]): Promise<void> {
  const [before, after] = [await contentsOf(model), await contentsOf(out)];
  for (const path of [...merged, 'emloc.json']) {
    before.delete(path);
    after.delete(path);
  }
  expect([...after.keys()]).toEqual([...before.keys()]);
  for (const [path, bytes] of before)
    expect({ path, isEqual: after.get(path)?.equals(bytes) }).toEqual({ path, isEqual: true });
}

describe.each([
  { kind: 'of diffusers', write: writeDiffusers, weights: shards },
  { kind: 'with a single file', write: writeBfl, weights: [bflFile] },
])('a folder $kind', ({ write, weights }) => {
  it('is merged in its own files, and the rest of it copied', () =>
    inFolder(async (folder) => {
      const [model, out] = [join(folder, 'model'), join(folder, 'out')];
      await write(model);
      const report = await mergeCheckpoint({ model, adapter: adapterOf(), out });
      expect(Object.keys(report.files).sort()).toEqual([...weights].sort());
      expect(report).toMatchObject({ mergedLayers: adapted.length, leftOut: [] });
      expect(await transformerIn(out, 2)).toEqual(mergedValues(adapterOf(), 'bfloat16'));
      await expectRest(model, out, weights);
      for (const path of weights) {
        await using before = await openSafetensors(join(model, path));
        await using after = await openSafetensors(join(out, path));
        expect(after.headerBytes).toEqual(before.headerBytes);
      }
      expect(await readdir(folder)).toEqual(['model', 'out']);
    }));

  it.each(['float32', 'float16'] as const)('is merged to %s where that is asked for', (dtype) =>
    inFolder(async (folder) => {
      const [model, out] = [join(folder, 'model'), join(folder, 'out')];
      await write(model);
      await mergeCheckpoint({ model, adapter: adapterOf(), out, dtype });
      const bytes = dtype === 'float32' ? 4 : 2;
      expect(await transformerIn(out, bytes)).toEqual(mergedValues(adapterOf(), dtype));
      await expectRest(model, out, weights.length > 1 ? [...weights, index] : weights);
    }),
  );

  it('replaces what was merged before, and nothing else', () =>
    inFolder(async (folder) => {
      const [model, out] = [join(folder, 'model'), join(folder, 'out')];
      await write(model);
      const options = { model, adapter: adapterOf(), out, overwrite: true };
      await mergeCheckpoint({ ...options, adapter: adapterOf(adapted.slice(0, 1)) });
      await mergeCheckpoint(options);
      expect(await transformerIn(out, 2)).toEqual(mergedValues(adapterOf(), 'bfloat16'));
      await rm(join(out, 'emloc.json'));
      await expectRefusal(
        mergeCheckpoint(options),
        'CHECKPOINT_OUTPUT_EXISTS',
        /holds no merged checkpoint/,
      );
    }));

  it('is left alone where the adapter does not fit or its output would lie in it', () =>
    inFolder(async (folder) => {
      const [model, out] = [join(folder, 'model'), join(folder, 'out')];
      await write(model);
      const layers = new Map([['x', get(adapterOf().layers, 'norm_out.linear')]]);
      await expectRefusal(
        mergeCheckpoint({ model, adapter: { ...adapterOf(), layers }, out }),
        'CHECKPOINT_ADAPTER_MISMATCH',
        /layer x is no linear layer/,
      );
      await expectRefusal(
        mergeCheckpoint({ model, adapter: adapterOf(), out: join(model, 'vae/merged') }),
        'CHECKPOINT_INVALID_OPTION',
        /or inside it/,
      );
      expect(await readdir(folder)).toEqual(['model']);
    }));

  it('has components that are links to folders, and not the weights of others', () =>
    inFolder(async (folder) => {
      const [model, out] = [join(folder, 'model'), join(folder, 'out')];
      await write(model);
      for (const name of ['vae', 'tokenizer']) {
        await rename(join(model, name), join(folder, name));
        await symlink(join('..', name), join(model, name));
      }
      const others = [
        '.cache/huggingface/x.json',
        'anything/model.safetensors',
        'pytorch_lora_weights.safetensors',
        'flux1-dev-Q4.gguf',
        'transformer/diffusion_pytorch_model.bin',
      ];
      const components = ['ae.safetensors', 'text_encoder/pytorch_model.bin', 'README.md'];
      for (const path of [...others, ...components]) {
        await mkdir(dirname(join(model, path)), { recursive: true });
        await writeFile(join(model, path), path);
      }
      const { leftOut } = await mergeCheckpoint({ model, adapter: adapterOf(), out });
      const left = ['.cache', ...others.slice(1)].sort();
      expect(leftOut).toEqual(left);
      const copied = await contentsOf(out);
      for (const path of [...components, 'vae/config.json', 'tokenizer/vocab.json'])
        expect(copied.has(path)).toBe(true);
      expect(copied.get('vae/diffusion_pytorch_model.safetensors')).toEqual(
        await readFile(join(folder, 'vae/diffusion_pytorch_model.safetensors')),
      );
      for (const path of others) expect(copied.has(path)).toBe(false);
    }));

  it('is refused with a component that was not fetched', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await write(model);
      await writeFile(
        join(model, 'vae/diffusion_pytorch_model.safetensors'),
        'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n',
      );
      await expectRefusal(
        mergeCheckpoint({ model, adapter: adapterOf(), out: join(folder, 'out') }),
        'CHECKPOINT_LFS_POINTER',
        /vae/,
      );
    }));
});

it('a single file is merged by its own path as in its folder', () =>
  inFolder(async (folder) => {
    const model = join(folder, 'model');
    await writeBfl(model);
    const [one, other] = [join(folder, 'one'), join(folder, 'other')];
    await mergeCheckpoint({ model, adapter: adapterOf(), out: one });
    await mergeCheckpoint({ model: join(model, bflFile), adapter: adapterOf(), out: other });
    expect(await contentsOf(other)).toEqual(await contentsOf(one));
  }));

it('blocks that the config does not have are no part of what is merged', () =>
  inFolder(async (folder) => {
    const [model, out] = [join(folder, 'model'), join(folder, 'out')];
    await writeDiffusers(model);
    for (const [key, kind] of [
      ['num_layers', 'transformer_blocks'],
      ['num_single_layers', 'single_transformer_blocks'],
    ] as const) {
      const config = { ...fluxConfig, [key]: 1 };
      await writeFile(join(model, 'transformer/config.json'), JSON.stringify(config));
      await expectRefusal(
        mergeCheckpoint({ model, adapter: adapterOf(), out }),
        'CHECKPOINT_UNUSED_LAYERS',
        new RegExp(`has ${kind}\\.1, but config.json says 1 layers \\(${key}\\)`),
      );
    }
  }));

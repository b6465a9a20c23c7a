import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  fromFloat32,
  mergeCheckpoint,
  openCheckpoint,
  readPeftAdapter,
  writePeftAdapter,
  writeSafetensors,
  type LoraAdapter,
  type LoraLayer,
  type SafetensorsEntry,
} from '@emloc/checkpoint';
import { createRandom } from '@emloc/dataset';

import { cpuTarget, openWorkspace, tinyModel, tuneHost, type Workspace } from '../test/fixtures.js';
import { evaluateModel } from './evaluate.js';
import { resolveEvaluateOptions } from './options/resolve.js';
import { tune } from './tune.js';

const [vocabulary, hidden] = [2048, 128];
let folder: string;
let workspace: Workspace;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-evaluate-'));
  workspace = await openWorkspace();
});

afterAll(async () => {
  await workspace.close();
  await rm(folder, { recursive: true, force: true });
});

function randomValues(count: number, stream: string, scale: number): Float32Array {
  const random = createRandom(1, stream);
  return Float32Array.from({ length: count }, () => (2 * random.nextFloat() - 1) * scale);
}

/** The tiny model in float32 with a head of its own, and tensors changed. */
async function writeModel(
  name: string,
  change: (name: string, values: Uint8Array) => Uint8Array = (_, bytes) => bytes,
): Promise<string> {
  const model = join(folder, name);
  await cp(tinyModel, model, { recursive: true });
  const source = await openCheckpoint(tinyModel);
  const entries: SafetensorsEntry[] = [];
  for (const [tensor, { shape, dtype }] of source.tensors) {
    const bytes = new Uint8Array(shape.reduce((product, extent) => product * extent, 2));
    await source.read(tensor, bytes);
    entries.push({ name: tensor, shape, dtype, data: () => change(tensor, bytes) });
  }
  await source.close();
  const head = randomValues(vocabulary * hidden, 'head', 0.1);
  entries.push({
    name: 'lm_head.weight',
    shape: [vocabulary, hidden],
    dtype: 'float32',
    data: () => change('lm_head.weight', fromFloat32(head, 'float32')),
  });
  await writeSafetensors(join(model, 'model.safetensors'), entries, { format: 'pt' });
  return model;
}

/** LoRA on the head and on two kinds of layers, with a rank and an alpha of their own. */
function headAdapter(): LoraAdapter {
  const layer = (path: string, rank: number, [inFeatures, outFeatures]: [number, number]) => ({
    a: randomValues(rank * inFeatures, `${path} a`, 0.3),
    b: randomValues(rank * outFeatures, `${path} b`, 0.3),
    inFeatures,
    outFeatures,
  });
  const layers = new Map<string, LoraLayer>([
    ['lm_head', layer('lm_head', 3, [hidden, vocabulary])],
    ['model.layers.0.self_attn.q_proj', { ...layer('q', 5, [hidden, hidden]), rank: 5 }],
    ['model.layers.1.self_attn.o_proj', { ...layer('o', 3, [hidden, hidden]), alpha: 2 }],
  ]);
  const targetModules = ['lm_head', 'o_proj', 'q_proj'];
  return { rank: 3, alpha: 4, useRslora: true, targetModules, layers };
}

const lossOf = async (model: string, adapter: string | null): Promise<number> => {
  const options = { model, adapter, data: workspace.data, limit: 12, batch: 5 };
  return (await evaluateModel(resolveEvaluateOptions(options), { target: cpuTarget() })).loss;
};

it('scores an adapter on the head, with ranks and alphas of single layers, as its merged model', async () => {
  const model = await writeModel('own-head');
  const [adapter, out] = [join(folder, 'adapter'), join(folder, 'merged')];
  await writePeftAdapter(adapter, headAdapter());
  await mergeCheckpoint({
    model,
    adapter: await readPeftAdapter(adapter, { base: model }),
    out,
    dtype: 'float32',
  });
  const [plain, adapted, merged] = [
    await lossOf(model, null),
    await lossOf(model, adapter),
    await lossOf(out, null),
  ];
  expect(Math.abs(adapted - plain)).toBeGreaterThan(0.1);
  expect(Math.abs(adapted - merged)).toBeLessThan(1e-4);
});

it('tells what the user should know of the checkpoint', async () => {
  const model = await writeModel('tied');
  const notices: string[] = [];
  await evaluateModel(resolveEvaluateOptions({ model, data: workspace.data, limit: 1 }), {
    target: cpuTarget(),
    onNotice: (notice) => notices.push(notice),
  });
  expect(notices).toEqual([expect.stringContaining('lm_head.weight differs from')]);
});

describe('a weight that is not finite', () => {
  const spoiled = 'model.layers.1.mlp.down_proj.weight';
  const spoil = (name: string, bytes: Uint8Array): Uint8Array => {
    if (name === spoiled) new DataView(bytes.buffer).setUint16(bytes.byteLength - 2, 0x7f80, true);
    return bytes;
  };

  it('ends eval and tune, whatever the ratio, and leaves nothing behind', async () => {
    const model = await writeModel('spoiled', spoil);
    const expected = {
      code: 'CHECKPOINT_NOT_FINITE',
      message: expect.stringMatching(`${spoiled} in .*/model.safetensors holds Infinity`),
    };
    await expect(lossOf(model, null)).rejects.toMatchObject(expected);
    for (const ratios of [['1'], ['0.5']]) {
      const options = workspace.options({ model, ratios });
      await expect(tune(options, tuneHost())).rejects.toMatchObject(expected);
      expect(await workspace.leftovers()).toEqual([]);
    }
  });
});

it.each([
  ['example/base', 'example/base'],
  [null, null],
])('names the base in an adapter as --base-name %s says', async (baseName, expected) => {
  const options = workspace.options({ baseName, ratios: ['1'], steps: 1 });
  await tune(options, tuneHost());
  const text = await readFile(join(options.out, 'adapter_config.json'), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ base_model_name_or_path: expected });
  const record = await readFile(join(options.out, 'emloc.json'), 'utf8');
  expect(JSON.parse(record)).toMatchObject({ baseModel: { name: baseName ?? 'tiny-qwen2' } });
  await rm(options.out, { recursive: true });
});

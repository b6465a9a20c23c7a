import { utimesSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '@emloc/checked';

import {
  contentsOf,
  demoModel,
  expectRefusal,
  inFolder,
  randomValues,
  tinyAdapter,
  tinyDora,
  tinyModel,
  tinyTensors,
  writeTinyModel,
} from '../../test/fixtures.js';
import { fromFloat32, toFloat32, type FloatDType } from '../floats.js';
import { adapterScale, type LoraAdapter } from '../lora-adapter.js';
import { openCheckpoint } from '../open-checkpoint.js';
import { writeSafetensors, type SafetensorsEntry } from '../write-safetensors.js';
import { mergeCheckpoint, type MergeProgress } from './merge.js';
import { rewriteDType } from './other-files.js';

const dtypes = ['float32', 'bfloat16', 'float16'] as const satisfies readonly FloatDType[];

/**
 * W + s · B A by the definition, of DoRA with the magnitude as norm of each row, one element at a
 * time in float64, from the weights as they are stored.
 */
function expectedBytes(
  name: string,
  adapter: LoraAdapter,
  { stored, to }: { stored: FloatDType; to: FloatDType },
): Uint8Array {
  const { values, shape } = tinyTensors().get(name) ?? { values: new Float32Array(), shape: [] };
  const weights = toFloat32(fromFloat32(values, stored), stored);
  const layer = adapter.layers.get(name.replace(/\.weight$/, ''));
  const [, columns = 1] = shape;
  const sums = Float64Array.from(weights, (weight, index) => {
    if (!layer) return weight;
    const [row, column] = [Math.floor(index / columns), index % columns];
    let sum = 0;
    for (let k = 0; k < adapter.rank; k += 1)
      sum +=
        adapterScale(adapter) *
        (layer.b[row * adapter.rank + k] ?? 0) *
        (layer.a[k * columns + column] ?? 0);
    return weight + sum;
  });
  const normOf = (row: number) => Math.hypot(...sums.subarray(row * columns, (row + 1) * columns));
  const merged = sums.map((sum, index) => {
    if (!layer?.magnitude) return sum;
    const row = Math.floor(index / columns);
    return (sum * at(layer.magnitude, row)) / normOf(row);
  });
  return fromFloat32(Float32Array.from(merged), to);
}

async function tensorsOf(
  folder: string,
): Promise<Map<string, { bytes: Uint8Array; dtype: string; file: string }>> {
  const checkpoint = await openCheckpoint(folder);
  const tensors = new Map<string, { bytes: Uint8Array; dtype: string; file: string }>();
  for (const [name, { shape, dtype, file }] of checkpoint.tensors) {
    const bytes = new Uint8Array(
      shape.reduce((product, extent) => product * extent, dtype === 'float32' ? 4 : 2),
    );
    await checkpoint.read(name, bytes);
    tensors.set(name, { bytes, dtype, file });
  }
  await checkpoint.close();
  return tensors;
}

describe.each([1, 3])('merging into %i files', (shards) => {
  it.each(dtypes.flatMap((stored) => [undefined, ...dtypes].map((dtype) => ({ stored, dtype }))))(
    'is W + s B A rounded once, $stored to $dtype, every tensor in its place',
    ({ stored, dtype }) =>
      inFolder(async (folder) => {
        const [model, out] = [join(folder, 'model'), join(folder, 'out')];
        await writeTinyModel(model, { dtype: stored, shards });
        const adapter = tinyAdapter({ useRslora: shards === 3 });
        const report = await mergeCheckpoint({ model, adapter, out, dtype });
        const [before, after] = [await tensorsOf(model), await tensorsOf(out)];
        expect([...after.keys()]).toEqual([...before.keys()]);
        for (const [name, { bytes, dtype: to, file }] of after) {
          expect({ name, to, file }).toEqual({
            name,
            to: dtype ?? stored,
            file: before.get(name)?.file,
          });
          expect(
            Buffer.compare(bytes, expectedBytes(name, adapter, { stored, to: dtype ?? stored })),
          ).toBe(0);
        }
        expect(report).toMatchObject({ folder: out, mergedLayers: 4, leftOut: [] });
        expect(Object.keys(report.files)).toHaveLength(shards);
        expect(await readdir(folder)).toEqual(['model', 'out']);
      }),
  );
});

it.each(dtypes)('gives the rows of DoRA the norms that it learned, %s', (stored) =>
  inFolder(async (folder) => {
    const [model, out] = [join(folder, 'model'), join(folder, 'out')];
    await writeTinyModel(model, { dtype: stored, shards: 1 });
    const adapter = tinyDora();
    await mergeCheckpoint({ model, adapter, out });
    for (const [name, { bytes }] of await tensorsOf(out))
      expect(Buffer.compare(bytes, expectedBytes(name, adapter, { stored, to: stored }))).toBe(0);
  }),
);

describe('the merged folder', () => {
  it.each([demoModel, tinyModel])('is byte-identical to %s when B is zero', (model) =>
    inFolder(async (folder) => {
      const zero = {
        a: randomValues(512, 1),
        b: new Float32Array(2 * 128),
        inFeatures: 256,
        outFeatures: 128,
      };
      const fits =
        model === demoModel
          ? zero
          : {
              a: randomValues(256, 1),
              b: new Float32Array(2 * 64),
              inFeatures: 128,
              outFeatures: 64,
            };
      const adapter = tinyAdapter({ layers: new Map([['model.layers.0.self_attn.k_proj', fits]]) });
      await mergeCheckpoint({ model, adapter, out: join(folder, 'out') });
      const [before, after] = [await contentsOf(model), await contentsOf(join(folder, 'out'))];
      expect([...after.keys()]).toEqual([...before.keys(), 'emloc.json'].sort());
      for (const [path, bytes] of before)
        expect({ path, isEqual: after.get(path)?.equals(bytes) }).toEqual({ path, isEqual: true });
    }),
  );

  it('keeps config, index and metadata to the byte, and with a dtype changes only what says it', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await writeTinyModel(model, {
        dtype: 'float32',
        shards: 2,
        config: { text_config: { dtype: 'float32' } },
      });
      await mergeCheckpoint({ model, adapter: tinyAdapter(), out: join(folder, 'same') });
      await mergeCheckpoint({
        model,
        adapter: tinyAdapter(),
        out: join(folder, 'half'),
        dtype: 'bfloat16',
      });
      const [before, same, half] = await Promise.all(
        ['model', 'same', 'half'].map((name) => contentsOf(join(folder, name))),
      );
      for (const name of ['config.json', 'tokenizer.json', 'model.safetensors.index.json'])
        expect(same?.get(name)).toEqual(before?.get(name));
      const config = before?.get('config.json')?.toString() ?? '';
      expect(config).toContain('1e-06');
      expect(half?.get('config.json')?.toString()).toBe(
        config.replaceAll('"float32"', '"bfloat16"'),
      );
      const index = before?.get('model.safetensors.index.json')?.toString() ?? '';
      const totalBytes = (JSON.parse(index) as { metadata: { total_size: number } }).metadata
        .total_size;
      expect(half?.get('model.safetensors.index.json')?.toString()).toBe(
        index.replace(`${totalBytes}`, `${totalBytes / 2}`),
      );
    }));

  it.each(['-5', 'NaN', '1e999', '9223372036854775808', 'null'])(
    'says the true size where an index says %s',
    (size) =>
      inFolder(async (folder) => {
        const [path, name] = [join(folder, 'index.json'), 'index.json'];
        await writeFile(join(folder, 'config.json'), '{"torch_dtype": "float32"}');
        await writeFile(path, `{"metadata": {"total_size": ${size}}, "weight_map": {}}`);
        await rewriteDType(folder, { dtype: 'float16', totalBytes: 7, indexFile: name });
        expect(await readFile(path, 'utf8')).toBe(
          '{"metadata": {"total_size": 7}, "weight_map": {}}',
        );
      }),
  );

  it('says the dtype in a config that said none', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await writeTinyModel(model, {
        dtype: 'float32',
        shards: 1,
        config: { torch_dtype: undefined },
      });
      await mergeCheckpoint({
        model,
        adapter: tinyAdapter(),
        out: join(folder, 'out'),
        dtype: 'float16',
      });
      expect(JSON.parse(await readFile(join(folder, 'out', 'config.json'), 'utf8'))).toMatchObject({
        torch_dtype: 'float16',
        rope_theta: 10000,
      });
    }));

  it('is refused of a model with more layers than its config says, unless they are allowed', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await writeTinyModel(model, {
        dtype: 'float32',
        shards: 2,
        config: { num_hidden_layers: 1 },
      });
      const options = { model, adapter: tinyAdapter(), out: join(folder, 'out') };
      await expectRefusal(
        mergeCheckpoint(options),
        'CHECKPOINT_UNUSED_LAYERS',
        /model\.layers\.1,.*num_hidden_layers/,
      );
      const report = await mergeCheckpoint({ ...options, allowUnusedLayers: true });
      expect(report.mergedLayers).toBe(4);
    }));

  it('names Git LFS pointers of a model, and leaves out others', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await writeTinyModel(model, { dtype: 'float32', shards: 1 });
      const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n';
      const options = { model, adapter: tinyAdapter(), out: join(folder, 'out') };
      await writeFile(join(model, 'picture.png'), pointer);
      expect((await mergeCheckpoint(options)).leftOut).toEqual(['picture.png']);
      await rm(options.out, { recursive: true });
      await writeFile(join(model, 'generation_config.json'), pointer);
      await expect(mergeCheckpoint(options)).rejects.toMatchObject({
        code: 'CHECKPOINT_LFS_POINTER',
        message: expect.stringContaining('generation_config.json') as string,
      });
    }));

  it('has copies of other files, links and folders included, but no weights of the unmerged model', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await writeTinyModel(model, { dtype: 'float32', shards: 1 });
      await writeFile(join(folder, 'template'), 'chat');
      await symlink('../template', join(model, 'chat_template.jinja'));
      for (const path of ['sub', '.git']) await mkdir(join(model, path));
      for (const path of [
        'sub/notes.txt',
        '.git/config',
        'pytorch_model.bin',
        'consolidated.safetensors',
        'model.gguf',
        'tokenizer.model',
      ])
        await writeFile(join(model, path), path, { mode: 0o444 });
      const { leftOut } = await mergeCheckpoint({
        model,
        adapter: tinyAdapter(),
        out: join(folder, 'out'),
      });
      const copied = await contentsOf(join(folder, 'out'));
      expect([...copied.keys()]).toEqual([
        'chat_template.jinja',
        'config.json',
        'emloc.json',
        'model.safetensors',
        'sub/notes.txt',
        'tokenizer.json',
        'tokenizer.model',
      ]);
      expect(copied.get('chat_template.jinja')?.toString()).toBe('chat');
      expect(leftOut).toEqual([
        '.git',
        'consolidated.safetensors',
        'model.gguf',
        'pytorch_model.bin',
      ]);
    }));

  it('is the same for the same inputs, and not changed by tensors of other dtypes', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await writeTinyModel(model, { dtype: 'bfloat16', shards: 1 });
      await addTensor(model, 'model.positions', 'int64');
      await mergeCheckpoint({
        model,
        adapter: tinyAdapter(),
        out: join(folder, 'a'),
        dtype: 'float32',
      });
      await mergeCheckpoint({
        model,
        adapter: tinyAdapter(),
        out: join(folder, 'b'),
        dtype: 'float32',
      });
      expect(await contentsOf(join(folder, 'a'))).toEqual(await contentsOf(join(folder, 'b')));
      const checkpoint = await openCheckpoint(join(folder, 'a'));
      const bytes = new Uint8Array(8);
      await checkpoint.read('model.positions', bytes);
      await checkpoint.close();
      expect([...bytes]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }));
});

/** Adds one tensor of 8 bytes to a model of one file. */
async function addTensor(
  model: string,
  name: string,
  dtype: 'int64' | 'float32',
  shape: number[] = [1],
): Promise<void> {
  const data = () => Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  await writeWith(model, [{ name, shape, dtype, data }]);
}

async function writeWith(model: string, added: readonly SafetensorsEntry[]): Promise<void> {
  const entries = [...(await tensorsOf(model))].map(([old, { bytes, dtype }]) => ({
    name: old,
    shape: tinyTensors().get(old)?.shape ?? [],
    dtype: dtype as FloatDType,
    data: () => bytes,
  }));
  await writeSafetensors(join(model, 'model.safetensors'), [...entries, ...added], {
    format: 'pt',
  });
}

it('leaves nothing where the model is changed in place meanwhile', () =>
  inFolder(async (folder) => {
    const [model, out] = [join(folder, 'model'), join(folder, 'out')];
    await writeTinyModel(model, { dtype: 'float32', shards: 3 });
    const shard = join(model, 'model-00002-of-00003.safetensors');
    const onProgress = ({ phase }: MergeProgress) => {
      if (phase === 'verifying') utimesSync(shard, 1, 1);
    };
    await expectRefusal(
      mergeCheckpoint({ model, adapter: tinyAdapter(), out, onProgress }),
      'CHECKPOINT_IO_FAILED',
      /model-00002-of-00003.safetensors was changed since it was opened/,
    );
    expect(await readdir(folder)).toEqual(['model']);
  }));

describe('a merge over another', () => {
  /** A folder with a merge of so many shards, and what a user put beside them. */
  const overMerge = (shards: number, test: (folder: string, out: string) => Promise<void>) =>
    inFolder(async (folder) => {
      const [model, out] = [join(folder, 'model'), join(folder, 'out')];
      await writeTinyModel(model, { dtype: 'float16', shards });
      await writeFile(join(model, 'merges.txt'), 'of the first');
      await mergeCheckpoint({ model, adapter: tinyAdapter(), out });
      await writeFile(join(out, 'notes.txt'), 'mine');
      await mkdir(join(out, 'more'));
      await writeFile(join(out, 'more', 'notes.txt'), 'mine, too');
      await test(folder, out);
    });

  it('replaces what the first wrote, shards that the second does not have included, and nothing else', () =>
    overMerge(3, async (folder, out) => {
      const model = join(folder, 'second');
      await writeTinyModel(model, { dtype: 'float32', shards: 1 });
      const merge = (overwrite: boolean) =>
        mergeCheckpoint({ model, adapter: tinyAdapter(), out, overwrite });
      const before = await contentsOf(out);
      await expectRefusal(merge(false), 'CHECKPOINT_OUTPUT_EXISTS', /out: the folder is not empty/);
      expect(await contentsOf(out)).toEqual(before);
      await merge(true);
      expect([...(await contentsOf(out)).keys()]).toEqual([
        'config.json',
        'emloc.json',
        'model.safetensors',
        'more/notes.txt',
        'notes.txt',
        'tokenizer.json',
      ]);
      expect(await readFile(join(out, 'more', 'notes.txt'), 'utf8')).toBe('mine, too');
      expect((await tensorsOf(out)).get('model.norm.weight')?.dtype).toBe('float32');
      expect((await readdir(folder)).sort()).toEqual(['model', 'out', 'second']);
    }));

  it('is refused, before anything is done, where a file of its own would replace one of the user', () =>
    overMerge(1, async (folder, out) => {
      const model = join(folder, 'model');
      await writeFile(join(model, 'notes.txt'), "the model's");
      const before = await contentsOf(out);
      let isBegun = false;
      const onProgress = () => (isBegun = true);
      await expectRefusal(
        mergeCheckpoint({ model, adapter: tinyAdapter(), out, overwrite: true, onProgress }),
        'CHECKPOINT_OUTPUT_EXISTS',
        /notes.txt is in the way/,
      );
      expect(isBegun).toBe(false);
      expect(await contentsOf(out)).toEqual(before);
    }));

  it('is refused over a checkpoint that was not merged here', () =>
    overMerge(1, async (folder) => {
      const [model, base] = [join(folder, 'model'), join(folder, 'base')];
      await writeTinyModel(base, { dtype: 'float32', shards: 1 });
      await expectRefusal(
        mergeCheckpoint({ model, adapter: tinyAdapter(), out: base, overwrite: true }),
        'CHECKPOINT_OUTPUT_EXISTS',
        /holds no merged checkpoint whose emloc.json says/,
      );
    }));
});

/** Adds a head that is the embedding once more, in another dtype. */
async function copyEmbeddingToHead(model: string): Promise<void> {
  const { shape = [], values = new Float32Array() } =
    tinyTensors().get('model.embed_tokens.weight') ?? {};
  const rounded = toFloat32(fromFloat32(values, 'float16'), 'float16');
  await writeWith(model, [
    {
      name: 'lm_head.weight',
      shape,
      dtype: 'float32',
      data: () => fromFloat32(rounded, 'float32'),
    },
  ]);
}

describe('weights that are not finite', () => {
  const q = 'model.layers.1.self_attn.q_proj';
  const merge = (folder: string, paths: string[], dtype?: FloatDType) =>
    mergeCheckpoint({
      model: join(folder, 'model'),
      adapter: tinyAdapter({ paths }),
      out: join(folder, 'out'),
      dtype,
    });

  it.each(dtypes)('are refused in a %s tensor that is changed, by tensor and file', (stored) =>
    inFolder(async (folder) => {
      await writeTinyModel(join(folder, 'model'), { dtype: stored, shards: 2, spoiled: q });
      await expectRefusal(
        merge(folder, [q]),
        'CHECKPOINT_NOT_FINITE',
        /layers\.1\.self_attn\.q_proj\.weight in .*model-0000\d-of-00002\.safetensors holds NaN/,
      );
      expect(await readdir(folder)).toEqual(['model']);
    }),
  );

  it('stay as they are in a tensor that is copied, and are refused where it gets another dtype', () =>
    inFolder(async (folder) => {
      await writeTinyModel(join(folder, 'model'), { dtype: 'bfloat16', shards: 1, spoiled: q });
      const other = ['model.layers.0.self_attn.q_proj'];
      await expectRefusal(merge(folder, other, 'float32'), 'CHECKPOINT_NOT_FINITE', /q_proj/);
      await merge(folder, other);
      const merged = (await tensorsOf(join(folder, 'out'))).get(`${q}.weight`)?.bytes;
      expect(merged).toEqual((await tensorsOf(join(folder, 'model'))).get(`${q}.weight`)?.bytes);
    }));
});

it('merges into a head of its own where the config says that it is tied', () =>
  inFolder(async (folder) => {
    const model = join(folder, 'model');
    const config = { tie_word_embeddings: true };
    await writeTinyModel(model, { dtype: 'float32', shards: 1, config });
    const values = randomValues(12 * 6, 77);
    const data = () => fromFloat32(values, 'float32');
    await writeWith(model, [{ name: 'lm_head.weight', shape: [12, 6], dtype: 'float32', data }]);
    const a = Float32Array.from([1, 0, 0, 0, 0, 0]);
    const layer = { a, b: new Float32Array(12).fill(1), inFeatures: 6, outFeatures: 12 };
    const adapter = tinyAdapter({ rank: 1, alpha: 1, layers: new Map([['lm_head', layer]]) });
    await mergeCheckpoint({ model, adapter, out: join(folder, 'out') });
    const { bytes } = (await tensorsOf(join(folder, 'out'))).get('lm_head.weight') ?? {};
    expect(toFloat32(bytes ?? new Uint8Array(), 'float32')).toEqual(
      values.map((value, index) => (index % 6 === 0 ? value + 1 : value)),
    );
  }));

describe('a merge that cannot be done', () => {
  const inModel = (test: (folder: string, model: string) => Promise<void>) =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await writeTinyModel(model, { dtype: 'float16', shards: 1 });
      await test(folder, model);
      expect(await readdir(folder)).toEqual(['model']);
    });

  it('is refused for layers that the model does not have, or has in another size', () =>
    inModel(async (folder, model) => {
      const out = join(folder, 'out');
      await expectRefusal(
        mergeCheckpoint({ model, adapter: tinyAdapter({ paths: ['model.layers.7.q_proj'] }), out }),
        'CHECKPOINT_ADAPTER_MISMATCH',
        /layers.7.q_proj is no linear layer/,
      );
      await expectRefusal(
        mergeCheckpoint({ model, adapter: tinyAdapter({ paths: ['model.embed_tokens'] }), out }),
        'CHECKPOINT_ADAPTER_MISMATCH',
        /8 x 6, the model's 12 x 6/,
      );
      await expectRefusal(
        mergeCheckpoint({ model, adapter: tinyAdapter({ paths: ['model.norm'] }), out }),
        'CHECKPOINT_ADAPTER_MISMATCH',
        /no linear layer/,
      );
    }));

  it('is refused for the head of a tied model, whether it is stored too or not', () =>
    inModel(async (folder, model) => {
      await writeTinyModel(model, {
        dtype: 'float16',
        shards: 1,
        config: { tie_word_embeddings: true },
      });
      const merge = () =>
        mergeCheckpoint({
          model,
          adapter: tinyAdapter({ paths: ['lm_head'] }),
          out: join(folder, 'out'),
        });
      await expectRefusal(
        merge(),
        'CHECKPOINT_ADAPTER_MISMATCH',
        /lm_head is tied to the embedding/,
      );
      await copyEmbeddingToHead(model);
      await expectRefusal(merge(), 'CHECKPOINT_ADAPTER_MISMATCH', /lm_head is tied/);
    }));

  it('is refused for quantized weights', () =>
    inModel(async (folder, model) => {
      const adapter = tinyAdapter({ paths: ['packed'] });
      await addTensor(model, 'packed.weight', 'int64');
      await expectRefusal(
        mergeCheckpoint({ model, adapter, out: join(folder, 'out') }),
        'CHECKPOINT_UNSUPPORTED_FORMAT',
        /packed.weight has dtype int64/,
      );
      await writeTinyModel(model, {
        dtype: 'float16',
        shards: 1,
        config: { quantization_config: { bits: 4 } },
      });
      await expectRefusal(
        mergeCheckpoint({
          model,
          adapter: tinyAdapter(),
          out: join(folder, 'out'),
          dtype: 'float32',
        }),
        'CHECKPOINT_UNSUPPORTED_FORMAT',
        /quantization_config/,
      );
    }));

  it('is refused where the output is taken, the model itself or inside it', () =>
    inModel(async (folder, model) => {
      const merge = (out: string) => mergeCheckpoint({ model, adapter: tinyAdapter(), out });
      await symlink(model, join(folder, 'link'));
      for (const out of [
        model,
        join(model, 'merged'),
        join(model, 'a', 'b'),
        join(folder, 'link', 'x'),
        join(folder, 'link'),
      ]) {
        await expectRefusal(
          merge(out),
          'CHECKPOINT_INVALID_OPTION',
          /is the model's folder .* or inside it/,
        );
      }
      await rm(join(folder, 'link'));
      await mkdir(join(folder, 'model2'));
      await writeFile(join(folder, 'model2', 'x'), '');
      await expectRefusal(
        merge(join(folder, 'model2')),
        'CHECKPOINT_OUTPUT_EXISTS',
        /model2: the folder is not empty/,
      );
      await rm(join(folder, 'model2'), { recursive: true });
    }));

  it('names the tensor whose values the dtype cannot hold', () =>
    inModel(async (folder, model) => {
      const adapter = tinyAdapter({ alpha: 1e6 });
      await expectRefusal(
        mergeCheckpoint({ model, adapter, out: join(folder, 'out') }),
        'CHECKPOINT_VALUE_OUT_OF_RANGE',
        /proj.weight would have the value .*, which float16 cannot hold/,
      );
    }));

  it('leaves nothing behind when it is aborted, at any point of its progress', () =>
    inModel(async (folder, model) => {
      const seen: MergeProgress[] = [];
      const run = async (at: number) => {
        const controller = new AbortController();
        let count = 0;
        const onProgress = (progress: MergeProgress) => {
          seen.push(progress);
          count += 1;
          if (count === at) controller.abort();
        };
        await mergeCheckpoint({
          model,
          adapter: tinyAdapter(),
          out: join(folder, 'out'),
          signal: controller.signal,
          onProgress,
        });
      };
      await run(0);
      const steps = seen.length;
      expect(seen.at(-1)).toMatchObject({ phase: 'verifying', doneBytes: seen.at(-1)?.totalBytes });
      await rm(join(folder, 'out'), { recursive: true });
      expect(steps).toBeGreaterThan(5);
      for (let at = 1; at <= steps; at += 1)
        await expect(run(at)).rejects.toHaveProperty('name', 'AbortError');
    }));

  it('is refused for a folder that is no checkpoint', () =>
    inModel(async (folder) => {
      await expectRefusal(
        mergeCheckpoint({
          model: join(folder, 'none'),
          adapter: tinyAdapter(),
          out: join(folder, 'out'),
        }),
        'CHECKPOINT_NOT_FOUND',
        /none/,
      );
    }));
});

import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  demoModel,
  expectRefusal,
  inFolder,
  tinyModel,
  tinyTensors,
  writeTinyModel,
} from '../test/fixtures.js';
import { fromFloat32 } from './floats.js';
import { openCheckpoint } from './open-checkpoint.js';
import { writeSafetensors, type SafetensorsEntry } from './write-safetensors.js';

describe.each([1, 3])('a checkpoint of %i files', (shards) => {
  it('knows every tensor and reads them, whole and by rows, concurrently', () =>
    inFolder(async (folder) => {
      await writeTinyModel(folder, { dtype: 'bfloat16', shards });
      const checkpoint = await openCheckpoint(folder);
      const expected = tinyTensors();
      expect(new Set(checkpoint.tensors.keys())).toEqual(new Set(expected.keys()));
      expect(new Set([...checkpoint.tensors.values()].map(({ file }) => file)).size).toBe(shards);
      await Promise.all(
        [...expected].map(async ([name, { shape, values }]) => {
          const bytes = fromFloat32(values, 'bfloat16');
          const whole = new Uint8Array(bytes.byteLength);
          await checkpoint.read(name, whole);
          expect(whole).toEqual(bytes);
          const rowBytes = bytes.byteLength / (shape[0] ?? 1);
          const rows = new Uint8Array(2 * rowBytes);
          await checkpoint.readRows(name, 3, 5, rows);
          expect(rows).toEqual(bytes.slice(3 * rowBytes, 5 * rowBytes));
        }),
      );
      expect(checkpoint.config['rope_theta']).toBe(10000);
      await checkpoint.close();
      await expectRefusal(
        checkpoint.read('model.norm.weight', new Uint8Array(12)),
        'CHECKPOINT_IO_FAILED',
        /closed/,
      );
    }));
});

it('refuses rows outside and destinations of the wrong size', () =>
  inFolder(async (folder) => {
    await writeTinyModel(folder, { dtype: 'float32', shards: 1 });
    const checkpoint = await openCheckpoint(folder);
    await expectRefusal(
      checkpoint.readRows('model.norm.weight', 4, 7, new Uint8Array(12)),
      'CHECKPOINT_TENSOR_MISMATCH',
      /rows 4 to 7 of model.norm.weight, which has shape \[6\]/,
    );
    await expectRefusal(
      checkpoint.readRows('model.norm.weight', 0, 1, new Uint8Array(8)),
      'CHECKPOINT_TENSOR_MISMATCH',
      /1 rows .* take 4 bytes/,
    );
    await expectRefusal(
      checkpoint.readRows('x', 0, 1, new Uint8Array(8)),
      'CHECKPOINT_TENSOR_MISSING',
      /no tensor x/,
    );
    await checkpoint.close();
  }));

it('opens a folder of links, as the Hugging Face cache makes them', () =>
  inFolder(async (folder) => {
    await writeTinyModel(join(folder, 'blobs'), { dtype: 'float16', shards: 1 });
    await mkdir(join(folder, 'snapshot'));
    for (const name of ['model.safetensors', 'config.json'])
      await symlink(join('..', 'blobs', name), join(folder, 'snapshot', name));
    const checkpoint = await openCheckpoint(join(folder, 'snapshot'));
    expect(checkpoint.tensors.size).toBe(tinyTensors().size);
    await checkpoint.close();
  }));

describe('the weights of a component of diffusers', () => {
  const transformed = async (folder: string, shards: number, stem: (name: string) => string) => {
    await writeTinyModel(folder, { dtype: 'bfloat16', shards });
    for (const name of await readdir(folder)) {
      const text = name.endsWith('.index.json') ? await readFile(join(folder, name), 'utf8') : null;
      if (text !== null) {
        const map = text.replace(/model-[\w-]+\.safetensors/g, (file) => stem(file));
        await writeFile(join(folder, name), map);
      }
      await rename(join(folder, name), join(folder, stem(name)));
    }
  };
  const renamed =
    (stem: string, variant = '') =>
    (name: string): string =>
      name
        .replace(/^model(-|\.safetensors$)/, `${stem}${variant}$1`)
        .replace(/^model(.*)index.json$/, `${stem}$1index${variant}.json`);

  it.each(
    [1, 3].flatMap((shards) =>
      ['model', 'diffusion_pytorch_model'].flatMap((stem) =>
        ['', '.fp16', '.bf16', '.fp32'].map((variant) => ({ shards, stem, variant })),
      ),
    ),
  )('are found in $shards files called $stem$variant', ({ shards, stem, variant }) =>
    inFolder(async (folder) => {
      await transformed(folder, shards, renamed(stem, variant));
      await using checkpoint = await openCheckpoint(folder);
      expect(checkpoint.tensors.size).toBe(tinyTensors().size);
      const files = [...checkpoint.tensors.values()].map(({ file }) => file);
      expect(files.every((file) => file.startsWith(`${stem}${variant}`))).toBe(true);
    }),
  );

  it('are those without a variant where both are there', () =>
    inFolder(async (folder) => {
      await transformed(folder, 2, renamed('diffusion_pytorch_model'));
      await writeFile(join(folder, 'diffusion_pytorch_model.fp16.safetensors'), 'not looked into');
      await using checkpoint = await openCheckpoint(folder);
      expect(checkpoint.tensors.size).toBe(tinyTensors().size);
    }));

  it('are refused where several may be meant, or an index is missing', () =>
    inFolder(async (folder) => {
      await transformed(folder, 1, renamed('diffusion_pytorch_model', '.fp16'));
      await writeFile(join(folder, 'diffusion_pytorch_model.bf16.safetensors'), '');
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /weights of both diffusion_pytorch_model.fp16.safetensors and diffusion_pytorch_model.bf16.safetensors/,
      );
      await writeFile(join(folder, 'diffusion_pytorch_model-00001-of-00002.safetensors'), '');
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_UNSUPPORTED_FORMAT',
        /need diffusion_pytorch_model.safetensors.index.json, which is missing/,
      );
      await writeFile(join(folder, 'diffusion_pytorch_model.safetensors'), '');
      await writeFile(join(folder, 'model.safetensors'), '');
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /both model.safetensors and diffusion_pytorch_model.safetensors/,
      );
    }));
});

describe('a folder that is no checkpoint', () => {
  it.each([
    [
      'pytorch_model.bin',
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      /pytorch_model.bin but no model.safetensors: pickled/,
    ],
    ['model-q4.gguf', 'CHECKPOINT_UNSUPPORTED_FORMAT', /GGUF/],
    ['adapter_model.safetensors', 'CHECKPOINT_UNSUPPORTED_FORMAT', /it is an adapter/],
    [
      'model-00001-of-00002.safetensors',
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      /index.json, which is missing/,
    ],
    [
      'pytorch_lora_weights.safetensors',
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      /no model.safetensors: it is an adapter/,
    ],
    [
      'diffusion_pytorch_model.bin',
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      /but no diffusion_pytorch_model.safetensors: pickled/,
    ],
    ['README.md', 'CHECKPOINT_NOT_FOUND', /neither model.safetensors nor/],
  ] as const)('with only %s is refused', (name, code, message) =>
    inFolder(async (folder) => {
      await writeFile(join(folder, name), '');
      await expectRefusal(openCheckpoint(folder), code, message);
    }),
  );

  it('is refused without a readable config.json, and when it does not exist', () =>
    inFolder(async (folder) => {
      await writeTinyModel(folder, { dtype: 'float32', shards: 1 });
      await writeFile(join(folder, 'config.json'), '[1]');
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_CONFIG',
        /config.json does not hold a JSON object/,
      );
      await rm(join(folder, 'config.json'));
      await expectRefusal(openCheckpoint(folder), 'CHECKPOINT_NOT_FOUND', /config.json/);
      await expectRefusal(openCheckpoint(join(folder, 'none')), 'CHECKPOINT_NOT_FOUND', /none/);
    }));
});

describe('the fingerprint', () => {
  const of = async (folder: string) => {
    const checkpoint = await openCheckpoint(folder);
    try {
      return await checkpoint.fingerprint();
    } finally {
      await checkpoint.close();
    }
  };

  it('is the same for equal folders, and another for another config, value, or model', () =>
    inFolder(async (folder) => {
      const [a, b] = [join(folder, 'a'), join(folder, 'b')];
      await writeTinyModel(a, { dtype: 'float32', shards: 2 });
      await writeTinyModel(b, { dtype: 'float32', shards: 2 });
      expect(await of(a)).toBe(await of(b));
      await writeTinyModel(b, { dtype: 'float32', shards: 2, config: { vocab_size: 12 } });
      expect(await of(a)).not.toBe(await of(b));
      await writeTinyModel(b, { dtype: 'float32', shards: 2 });
      const entries = [...tinyTensors()].map(([name, { shape, values }]) => ({
        name,
        shape,
        dtype: 'float32' as const,
        data: () =>
          fromFloat32(
            values.map((value) => 2 * value),
            'float32',
          ),
      }));
      const first = 'model-00001-of-00002.safetensors';
      await writeSafetensors(
        join(b, first),
        entries.filter((_, index) => index % 2 === 0),
        { format: 'pt' },
      );
      expect(await of(a)).not.toBe(await of(b));
      expect(await of(tinyModel)).toMatch(/^[0-9a-f]{64}$/);
      expect(await of(tinyModel)).not.toBe(await of(demoModel));
    }));
});

it('reads values that must be finite, small and large ones', () =>
  inFolder(async (folder) => {
    await writeTinyModel(folder, { dtype: 'float32', shards: 1 });
    const shape = [3, 1_500_000];
    const tensors = (last: number): SafetensorsEntry[] => {
      const values = new Float32Array(4_500_000).fill(1);
      values[4_499_999] = last;
      const small = Float32Array.of(2, last);
      return [
        { name: 'large', dtype: 'float32', shape, data: () => fromFloat32(values, 'float32') },
        { name: 'small', dtype: 'float32', shape: [2], data: () => fromFloat32(small, 'float32') },
        { name: 'ids', dtype: 'int32', shape: [1], data: () => new Uint8Array(4).fill(0xff) },
      ];
    };
    for (const last of [3, Number.NaN]) {
      await writeSafetensors(join(folder, 'model.safetensors'), tensors(last), {});
      await using checkpoint = await openCheckpoint(folder);
      const ids = new Uint8Array(4);
      await checkpoint.readFinite('ids', ids);
      expect(ids).toEqual(new Uint8Array(4).fill(0xff));
      for (const [name, count] of [
        ['large', 4_500_000],
        ['small', 2],
      ] as const) {
        const bytes = new Uint8Array(4 * count);
        const read = checkpoint.readFinite(name, bytes);
        if (Number.isNaN(last)) {
          const message = new RegExp(`${name} in ${folder}/model.safetensors holds NaN`);
          await expectRefusal(read, 'CHECKPOINT_NOT_FINITE', message);
        } else await read;
        expect(new Float32Array(bytes.buffer).at(-1)).toBe(last);
      }
    }
  }));

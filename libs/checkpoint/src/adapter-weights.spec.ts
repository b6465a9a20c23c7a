import { copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '@emloc/checked';

import {
  expectRefusal,
  inFolder,
  tinyAdapter,
  tinyLinears,
  writeRaw,
  writeTinyModel,
} from '../test/fixtures.js';
import type { CheckpointErrorCode } from './errors.js';
import { readAdapter } from './read-adapter.js';
import { openSafetensors } from './safetensors-file.js';
import { writePeftAdapter } from './write-peft.js';
import { writeSafetensors, type SafetensorsEntry } from './write-safetensors.js';

const whole = 'adapter_model.safetensors';
const ownIndex = 'adapter_model.safetensors.index.json';
const shards = [
  'adapter_model-00001-of-00002.safetensors',
  'adapter_model-00002-of-00002.safetensors',
];

/** The tiny adapter with its tensors in two files. */
async function writeShards(folder: string, index = ownIndex): Promise<void> {
  await writePeftAdapter(folder, tinyAdapter(), { linearModules: tinyLinears });
  const path = join(folder, whole);
  const weightMap: Record<string, string> = {};
  {
    await using file = await openSafetensors(path);
    const entries = await Promise.all(
      [...file.tensors].map(async ([name, { shape, start, end }]): Promise<SafetensorsEntry> => {
        const bytes = new Uint8Array(end - start);
        await file.read(name, bytes);
        return { name, shape, dtype: 'float32', data: () => bytes };
      }),
    );
    for (const [number, shard] of shards.entries()) {
      const own = entries.filter((_, position) => position % 2 === number);
      await writeSafetensors(join(folder, shard), own, { format: 'pt' });
      for (const { name } of own) weightMap[name] = shard;
    }
  }
  await rm(path);
  await writeFile(join(folder, index), JSON.stringify({ metadata: {}, weight_map: weightMap }));
}

const inShards = (test: (folder: string) => Promise<void>) =>
  inFolder(async (folder) => {
    await writeShards(folder);
    await test(folder);
  });

async function editIndex(folder: string, edit: (text: string) => string): Promise<void> {
  const path = join(folder, ownIndex);
  await writeFile(path, edit(await readFile(path, 'utf8')));
}

describe('an adapter in several files', () => {
  it.each([ownIndex, 'model.safetensors.index.json'])('is read by its index, %s', (index) =>
    inFolder(async (folder) => {
      await writeShards(folder, index);
      const { layers } = await readAdapter(folder, { linearModules: tinyLinears });
      expect(layers).toEqual(tinyAdapter().layers);
    }),
  );

  it('is not looked for where one file has it, whatever index of a model lies there', () =>
    inFolder(async (folder) => {
      await writePeftAdapter(folder, tinyAdapter());
      await writeFile(join(folder, 'model.safetensors.index.json'), 'not looked into');
      expect((await readAdapter(folder)).layers).toEqual(tinyAdapter().layers);
    }));

  const cases: readonly (readonly [
    string,
    (folder: string) => Promise<unknown>,
    CheckpointErrorCode,
    RegExp,
  ])[] = [
    [
      'whose index is missing',
      (folder) => rm(join(folder, ownIndex)),
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      /has adapter_model-00001-of-00002.safetensors but .* need adapter_model.safetensors.index.json/,
    ],
    [
      'whose configuration is missing',
      (folder) => rm(join(folder, 'adapter_config.json')),
      'CHECKPOINT_NOT_FOUND',
      /adapter_config.json does not exist/,
    ],
    [
      'whose index names a file elsewhere',
      (folder) => editIndex(folder, (text) => text.replace(at(shards, 0), '../x.safetensors')),
      'CHECKPOINT_INVALID_INDEX',
      /mapped to ..\/x.safetensors, which is no safetensors file of this folder/,
    ],
    [
      'of which a file is missing',
      (folder) => rm(join(folder, at(shards, 1))),
      'CHECKPOINT_NOT_FOUND',
      /shard adapter_model-00002-of-00002.safetensors .* is missing/,
    ],
    [
      'of which a file was cut',
      (folder) => truncate(join(folder, at(shards, 1)), 900),
      'CHECKPOINT_INVALID_FILE',
      /00002-of-00002.safetensors: /,
    ],
    [
      'with a tensor in another file than its index says',
      (folder) => copyFile(join(folder, at(shards, 0)), join(folder, at(shards, 1))),
      'CHECKPOINT_INVALID_INDEX',
      /holds .*, but adapter_model.safetensors.index.json maps it to/,
    ],
    [
      'that is there in one file, too',
      (folder) => writeSafetensors(join(folder, whole), [], {}),
      'CHECKPOINT_INVALID_INDEX',
      /both adapter_model.safetensors and an index/,
    ],
    [
      'with a value that is not finite',
      async (folder) => {
        const path = join(folder, at(shards, 1));
        const bytes = await readFile(path);
        bytes.writeFloatLE(Number.NaN, bytes.byteLength - 4);
        await writeFile(path, bytes);
      },
      'CHECKPOINT_NOT_FINITE',
      /in .*adapter_model-00002-of-00002.safetensors holds NaN/,
    ],
  ];
  it.each(cases)('is refused %s', (_, change, code, message) =>
    inShards(async (folder) => {
      await change(folder);
      await expectRefusal(readAdapter(folder), code, message);
    }),
  );

  it('ends with the reason of its signal', () =>
    inShards(async (folder) => {
      const reason = new Error('stopped');
      const read = readAdapter(folder, { signal: AbortSignal.abort(reason) });
      await expect(read).rejects.toBe(reason);
    }));
});

it.each([
  ['adapter_model.pt', 'CHECKPOINT_UNSUPPORTED_FORMAT', /has adapter_model.pt but no .*: pickled/],
  ['x.gguf', 'CHECKPOINT_UNSUPPORTED_FORMAT', /has x.gguf but no adapter_model.safetensors/],
  ['lora.safetensors', 'CHECKPOINT_UNSUPPORTED_FORMAT', /has lora.safetensors but no/],
  ['README.md', 'CHECKPOINT_NOT_FOUND', /neither adapter_model.safetensors nor an index/],
] as const)('an adapter with %s alone is refused by what is there', (name, code, message) =>
  inFolder(async (folder) => {
    await writePeftAdapter(folder, tinyAdapter());
    await rm(join(folder, whole));
    await writeFile(join(folder, name), '');
    await expectRefusal(readAdapter(folder), code, message);
  }),
);

it('refuses the folder of a model in place of an adapter', () =>
  inFolder(async (folder) => {
    await writeTinyModel(folder, { dtype: 'float32', shards: 1 });
    const message = /is the folder of a model .* it has no adapter_config.json/;
    await expectRefusal(readAdapter(folder), 'CHECKPOINT_ADAPTER_INVALID', message);
  }));

it.each([
  [[2 ** 20, 2 ** 11], /has 2147483648 values, above the limit of 1073741824/],
  [[2 ** 16, 2 ** 14], /take .* in float32, .* of memory are free/],
])('refuses tensors of shape %j before memory is taken for them', (shape, message) =>
  inFolder(async (folder) => {
    await writePeftAdapter(folder, tinyAdapter());
    const bytes = 2 * at(shape, 0) * at(shape, 1);
    const names = Array.from(
      { length: 1024 },
      (_, index) => `base_model.model.l${index}.lora_A.weight`,
    );
    const header = Object.fromEntries(
      names.map((name, index) => [
        name,
        { dtype: 'F16', shape, data_offsets: [index * bytes, (index + 1) * bytes] },
      ]),
    );
    const path = join(folder, whole);
    const text = JSON.stringify(header);
    await writeRaw(path, text);
    // A hole, which takes no disk.
    await truncate(path, 8 + text.length + names.length * bytes);
    await expectRefusal(readAdapter(folder), 'CHECKPOINT_ADAPTER_UNSUPPORTED', message);
  }),
);

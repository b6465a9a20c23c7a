import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expectRefusal, inFolder, writeTinyModel } from '../test/fixtures.js';
import { openCheckpoint } from './open-checkpoint.js';

const indexName = 'model.safetensors.index.json';

/** A sharded model whose index was changed. */
async function withIndex(
  folder: string,
  change: (weightMap: Record<string, unknown>) => void,
): Promise<string> {
  await writeTinyModel(folder, { dtype: 'float32', shards: 3 });
  const path = join(folder, indexName);
  const index = JSON.parse(await readFile(path, 'utf8')) as { weight_map: Record<string, unknown> };
  change(index.weight_map);
  await writeFile(path, JSON.stringify(index));
  return folder;
}

describe('an index that disagrees with its shards', () => {
  it.each([
    '../x.safetensors',
    '/etc/x.safetensors',
    'a/b.safetensors',
    'a\\b.safetensors',
    '..',
    'model.bin',
    '',
    5,
    null,
    'x\0.safetensors',
    '.hidden.safetensors',
    'x\ny.safetensors',
    'x\u001b[31m.safetensors',
    'x\u009b31m.safetensors',
    'x\u202egpj.safetensors',
    'x\ud800.safetensors',
    `${'x'.repeat(1e6)}.safetensors`,
    ['model-00001-of-00003.safetensors'],
  ])('is refused when it names %j', (name) =>
    inFolder(async (folder) => {
      await withIndex(folder, (weightMap) => {
        weightMap['model.norm.weight'] = name;
      });
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /model.norm.weight is mapped to .* no safetensors file of this folder/,
      );
    }),
  );

  it('is refused without a word of what a terminal would take for its own', () =>
    inFolder(async (folder) => {
      await withIndex(folder, (weightMap) => {
        weightMap['a\u001b[2J\u202e\nb'] = 'x\u001b[2J\u202e\ny.safetensors';
      });
      await expect(openCheckpoint(folder)).rejects.toThrow(
        expect.objectContaining({
          message: expect.not.stringMatching(/[\p{Cc}\p{Cf}]/u) as string,
        }) as Error,
      );
    }));

  it('is refused when it has a key twice, as text before as after it', () =>
    inFolder(async (folder) => {
      await withIndex(folder, () => undefined);
      const path = join(folder, indexName);
      const text = await readFile(path, 'utf8');
      for (const twice of [
        text.replace('"weight_map":{', '"weight_map":{"model.norm.weight":"x.safetensors",'),
        text.replace('"weight_map":{', '"weight_map":{},"weight_map":{'),
      ]) {
        expect(twice).not.toBe(text);
        await writeFile(path, twice);
        await expectRefusal(
          openCheckpoint(folder),
          'CHECKPOINT_INVALID_INDEX',
          /index.json has the key (model.norm.weight|weight_map) twice/,
        );
      }
    }));

  it('is refused when it names more files, or has more tensors, than any model', () =>
    inFolder(async (folder) => {
      const names = (count: number, name: (index: number) => string) =>
        Object.fromEntries(Array.from({ length: count }, (_, index) => [index, name(index)]));
      await writeTinyModel(folder, { dtype: 'float32', shards: 3 });
      const put = (map: object) =>
        writeFile(join(folder, indexName), JSON.stringify({ weight_map: map }));
      await put(names(4097, (index) => `${index}.safetensors`));
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /names 4097 files, above the limit of 4096/,
      );
      await put(names(500_001, () => 'a.safetensors'));
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /more than 500000 values/,
      );
    }));

  it('is refused at the first shard with a surplus tensor: no other is opened', () =>
    inFolder(async (folder) => {
      await withIndex(folder, (weightMap) => {
        for (const [name, file] of Object.entries(weightMap))
          if (file === 'model-00001-of-00003.safetensors') delete weightMap[name];
        weightMap['other'] = 'model-00001-of-00003.safetensors';
      });
      await writeFile(join(folder, 'model-00003-of-00003.safetensors'), 'not looked into');
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /model-00001-of-00003.safetensors holds .* does not name it/,
      );
    }));

  it.each([
    ['a pipe', 'CHECKPOINT_INVALID_FILE', /is not a regular file/],
    ['a folder', 'CHECKPOINT_INVALID_FILE', /is not a regular file/],
    ['a device', 'CHECKPOINT_INVALID_FILE', /is not a regular file/],
    ['a circle of links', 'CHECKPOINT_IO_FAILED', /shard model-00002.*ELOOP/],
    ['a link to nothing', 'CHECKPOINT_NOT_FOUND', /shard model-00002.* is missing/],
  ] as const)('is refused when a shard is %s', (kind, code, message) =>
    inFolder(async (folder) => {
      await writeTinyModel(folder, { dtype: 'float32', shards: 3 });
      const shard = join(folder, 'model-00002-of-00003.safetensors');
      await rm(shard);
      if (kind === 'a pipe') execFileSync('mkfifo', [shard]);
      else if (kind === 'a folder') await mkdir(shard);
      else
        await symlink(
          { 'a device': '/dev/zero', 'a circle of links': shard }[kind as string] ?? 'none',
          shard,
        );
      await expectRefusal(openCheckpoint(folder), code, message);
    }),
  );

  it('is refused when a shard is missing, by its name', () =>
    inFolder(async (folder) => {
      await writeTinyModel(folder, { dtype: 'float32', shards: 3 });
      await rm(join(folder, 'model-00002-of-00003.safetensors'));
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_NOT_FOUND',
        /shard model-00002-of-00003.safetensors .* is missing/,
      );
    }));

  it('is refused when it maps a tensor that no shard holds', () =>
    inFolder(async (folder) => {
      await withIndex(folder, (weightMap) => {
        weightMap['extra.weight'] = 'model-00001-of-00003.safetensors';
      });
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /maps extra.weight to model-00001-of-00003.safetensors, which does not hold it/,
      );
    }));

  it('is refused when a shard holds a tensor that it leaves out or maps elsewhere', () =>
    inFolder(async (folder) => {
      await withIndex(folder, (weightMap) => {
        delete weightMap['model.norm.weight'];
      });
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /holds model.norm.weight, but .* does not name it/,
      );
      await withIndex(folder, (weightMap) => {
        weightMap['model.norm.weight'] = 'model-00001-of-00003.safetensors';
      });
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /maps it to model-00001/,
      );
    }));

  it('is refused when it is no index, or a whole model lies beside it', () =>
    inFolder(async (folder) => {
      await writeTinyModel(folder, { dtype: 'float32', shards: 2 });
      await copyFile(
        join(folder, 'model-00001-of-00002.safetensors'),
        join(folder, 'model.safetensors'),
      );
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_INDEX',
        /both model.safetensors and an index/,
      );
      for (const text of ['{', '[]', '{}', '{"weight_map":{}}', '{"weight_map":[]}']) {
        await writeFile(join(folder, indexName), text);
        await expectRefusal(openCheckpoint(folder), 'CHECKPOINT_INVALID_INDEX', /index\.json/);
      }
    }));
});

describe('opening that is not wanted any more', () => {
  it.each([1, 3])('ends with the reason of its signal, with %d files', (shards) =>
    inFolder(async (folder) => {
      await writeTinyModel(folder, { dtype: 'float32', shards });
      const reason = new Error('stopped');
      const signal = AbortSignal.abort(reason);
      await expect(openCheckpoint(folder, { signal })).rejects.toBe(reason);
    }),
  );

  it('ends before the files that an index names are looked for', () =>
    inFolder(async (folder) => {
      await withIndex(folder, (weightMap) => {
        for (const name of Object.keys(weightMap)) weightMap[name] = 'none.safetensors';
      });
      await expectRefusal(openCheckpoint(folder), 'CHECKPOINT_NOT_FOUND', /none/);
      const reason = new Error('stopped');
      const signal = AbortSignal.abort(reason);
      await expect(openCheckpoint(folder, { signal })).rejects.toBe(reason);
    }));
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expectRefusal, inFolder, tinyAdapter, writeTinyModel } from '../test/fixtures.js';
import { bareNumber } from './bare-number.js';
import { openCheckpoint } from './open-checkpoint.js';
import { readPeftAdapter } from './read-peft.js';
import { writePeftAdapter } from './write-peft.js';

const pointer = (spec: string) => `version ${spec}\noid sha256:${'4'.repeat(64)}\nsize 988097824\n`;

describe('a Git LFS pointer', () => {
  const expectPointer = (opening: Promise<unknown>, file: string) =>
    expectRefusal(
      opening,
      'CHECKPOINT_LFS_POINTER',
      new RegExp(`${file.replaceAll('.', '\\.')} is a Git LFS pointer`),
    );

  it.each([
    ['model-00002-of-00002.safetensors', 'https://git-lfs.github.com/spec/v1'],
    ['model.safetensors.index.json', 'https://git-lfs.github.com/spec/v1'],
    ['config.json', 'https://git-lfs.github.com/spec/v1'],
    ['config.json', 'https://hawser.github.com/spec/v1'],
  ])('in place of %s is named', (file, spec) =>
    inFolder(async (folder) => {
      await writeTinyModel(folder, { dtype: 'float32', shards: 2 });
      await writeFile(join(folder, file), pointer(spec));
      await expectPointer(openCheckpoint(folder), file);
    }),
  );

  it.each(['adapter_model.safetensors', 'adapter_config.json'])('in place of %s is named', (file) =>
    inFolder(async (folder) => {
      await writePeftAdapter(folder, tinyAdapter());
      await writeFile(join(folder, file), pointer('https://git-lfs.github.com/spec/v1'));
      await expectPointer(readPeftAdapter(folder), file);
    }),
  );
});

describe("numbers that only Python's json writes", () => {
  it.each([
    ['{"a": 1, "rope_theta": Infinity}', 'rope_theta', 'Infinity'],
    ['{"rope_parameters": {"factor": -Infinity}}', 'factor', '-Infinity'],
    ['{"a": "NaN", "b" : [1, NaN]}', 'b', 'NaN'],
    ['{"a\\"b": NaN}', 'a\\"b', 'NaN'],
  ])('are found in %s', (json, key, value) => {
    expect(bareNumber(json)).toEqual({ key, value });
  });

  it.each(['{"a": "Infinity", "NaN": "\\"NaN"}', '{"a": }', '', '"'])(
    'are not found in %s',
    (json) => expect(bareNumber(json)).toBeNull(),
  );

  it('are refused in a config by their key', () =>
    inFolder(async (folder) => {
      await writeTinyModel(folder, { dtype: 'float32', shards: 1 });
      await writeFile(join(folder, 'config.json'), '{"hidden_size": 6, "rope_theta": Infinity}');
      await expectRefusal(
        openCheckpoint(folder),
        'CHECKPOINT_INVALID_CONFIG',
        /config\.json is not JSON: rope_theta is Infinity/,
      );
    }));
});

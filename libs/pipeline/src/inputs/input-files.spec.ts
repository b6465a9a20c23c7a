import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { compareInputFiles, isInputFiles, readInputFiles, type InputFile } from './input-files.js';

function file(name: string, overrides: Partial<InputFile> = {}): InputFile {
  return {
    name,
    bytes: 10,
    modifiedNs: '1',
    changedNs: '1',
    inode: '1',
    sha256: null,
    ...overrides,
  };
}

describe('readInputFiles', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emloc-inputs-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('finds everything of a model that is read, and what is trained on', async () => {
    const model = join(folder, 'model');
    await mkdir(join(model, 'additional_chat_templates'), { recursive: true });
    const names = [
      'additional_chat_templates/tool_use.jinja',
      'chat_template.jinja',
      'config.json',
      'merges.txt',
      'model-1.safetensors',
      'spiece.model',
      'tokenizer.json',
      'tokenizer.model',
      'vocab.json',
    ];
    const others = ['README.md', 'other.safetensors', 'additional_chat_templates/notes.txt'];
    for (const name of [...names, ...others]) await writeFile(join(model, name), name);
    await writeFile(
      join(model, 'model.safetensors.index.json'),
      JSON.stringify({ weight_map: { a: 'model-1.safetensors' } }),
    );
    const data = join(folder, 'rows.jsonl');
    await writeFile(data, 'rows');
    const files = await readInputFiles({
      ...{ model, data, moreData: [data, join(folder, 'none.jsonl')] },
      ...{ validation: data, classData: null },
    });
    expect(files.map(({ name }) => name)).toEqual(
      [
        ...names.map((name) => `model/${name}`),
        'model/model.safetensors.index.json',
        'data',
        'data 2',
        'validation',
      ].sort(),
    );
    expect(files.filter(({ sha256 }) => sha256 === null).map(({ name }) => name)).toEqual([
      'data',
      'data 2',
      'model/model-1.safetensors',
      'validation',
    ]);
    expect(files.find(({ name }) => name === 'data')).toMatchObject({
      bytes: 4,
      modifiedNs: expect.stringMatching(/^\d{19}$/),
    });
    expect(isInputFiles(JSON.parse(JSON.stringify(files)))).toBe(true);
  });
});

describe('compareInputFiles', () => {
  const before = [file('model/config.json', { sha256: 'aa' }), file('model/model.safetensors')];

  it.each([
    ['a file that is gone', [before[0]], 'model/model.safetensors is not there any more'],
    [
      'a file that is new',
      [...before, file('model/chat_template.jinja', { sha256: 'cc' })],
      'model/chat_template.jinja was not there',
    ],
    [
      'another size',
      [before[0], file('model/model.safetensors', { bytes: 12 })],
      'model/model.safetensors has 12 bytes, it had 10',
    ],
    [
      'other contents of a small file, whatever its times say',
      [file('model/config.json', { sha256: 'bb' }), before[1]],
      'model/config.json has other contents',
    ],
  ])('names %s', (_, now, changed) => {
    expect(compareInputFiles(before, now as InputFile[])).toMatchObject({ changed });
  });

  it.each([{ modifiedNs: '2' }, { changedNs: '2' }, { inode: '2' }])(
    'leaves to their contents weights with %j, but not small files',
    (difference) => {
      const now = before.map((entry) => ({ ...entry, ...difference }));
      expect(compareInputFiles(before, now)).toEqual({
        changed: null,
        doubtful: ['model/model.safetensors'],
      });
    },
  );

  it('finds nothing where nothing differs', () => {
    expect(compareInputFiles(before, before)).toEqual({ changed: null, doubtful: [] });
  });
});

it.each([null, {}, [null], [{}], [{ ...file('a'), bytes: '1' }], [{ ...file('a'), sha256: 1 }]])(
  'no list of files: %j',
  (value) => expect(isInputFiles(value)).toBe(false),
);

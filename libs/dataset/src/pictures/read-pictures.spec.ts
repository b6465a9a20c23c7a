import { execFileSync } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { png } from '../../test/image-rows.js';
import { inTemporaryFolder, type FolderFiles } from '../../test/model-folder.js';
import { DatasetError } from '../errors.js';
import { defaultSizes, type PictureOptions } from './picture-options.js';
import { pictureWarnings } from './picture-report.js';
import { readPictures, type Pictures } from './read-pictures.js';

const picture = png(40, 32);
const other = png(64, 48);

async function write(folder: string, files: FolderFiles): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    const isRaw = typeof content === 'string' || content instanceof Uint8Array;
    await writeFile(join(folder, name), isRaw ? content : JSON.stringify(content));
  }
}

function optionsOf(path: string, options: Partial<PictureOptions> = {}): PictureOptions {
  return {
    ...defaultSizes,
    resolution: 32,
    instance: { path, prompt: 'a photo of sks dog' },
    classes: null,
    seed: 1,
    restrictToRoot: false,
    ...options,
  };
}

/** What a folder with these files becomes. */
function read(
  files: FolderFiles,
  { prompt = null, ...options }: Partial<PictureOptions> & { prompt?: string | null } = {},
): Promise<Pictures> {
  return inTemporaryFolder(async (folder) => {
    await write(folder, files);
    return readPictures(optionsOf(folder, { instance: { path: folder, prompt }, ...options }));
  });
}

/** The lines of its error for the owner, without the folder. */
async function refusal(...args: Parameters<typeof read>): Promise<string[]> {
  const error = await read(...args).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DatasetError)) throw new Error(`no refusal: ${String(error)}`);
  const [first = '', ...lines] = error.messageForOwner.split('\n');
  return [`${error.code}: ${first.replace(/^[^:]*: /, '')}`, ...lines];
}

const captions = ({ rows }: Pictures): string[] =>
  rows.map(({ name, caption, captionSource }) => `${name}: ${caption} (${captionSource})`);

describe('a folder of pictures', () => {
  it('has its pictures by name, from folders within, whatever their endings are', async () => {
    const files = { 'b.PNG': picture, 'a.jpg': other, 'sub/deep/c.webp': picture, c: other };
    const { rows } = await read(files, { prompt: 'a dog' });

    expect(rows.map(({ name }) => name)).toEqual(['a.jpg', 'b.PNG', 'c', 'sub/deep/c.webp']);
    expect(rows[0]).toMatchObject({
      caption: 'a dog',
      isClass: false,
      size: { width: 64, height: 48 },
      plan: { width: 32, height: 32, resize: { width: 42, height: 32 }, crop: { left: 5, top: 0 } },
    });
  });

  it('leaves out hidden files and what is no picture, and counts them', async () => {
    const { rows, report } = await read(
      {
        'a.png': picture,
        '.b.png': 'x',
        '.cache/c.png': 'x',
        'notes.md': 'x',
        plain: 'x',
        'readme.txt': 'x',
        'sub/x.json': 'x',
      },
      { prompt: 'a dog' },
    );

    expect(rows).toHaveLength(1);
    expect(report.ignored).toEqual({ hidden: 2, others: 4 });
    expect(pictureWarnings(report, { withNames: true })).toEqual([
      '4 files ignored, neither a picture nor the caption of one',
      '2 hidden files or folders ignored',
    ]);
  });

  it('may have links in a circle', () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, { 'sub/a.png': picture });
      await symlink(folder, join(folder, 'sub', 'up'));
      await symlink(join(folder, 'sub'), join(folder, 'twice'));

      expect((await readPictures(optionsOf(folder))).rows).toHaveLength(1);
    }));

  it('is refused with everything that is wrong with it', async () => {
    const lines = await refusal({
      'cut.png': other.subarray(0, 60),
      'empty.jpg': '',
      'bare.png': picture,
      'heic.heic': Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'),
      'small.png': png(7, 300),
      'small.txt': 'a dog',
      'text.png': 'hello',
      'narrow.png': png(300, 10),
      'blank.png': other,
      'blank.txt': ' \n',
      'latin.png': other,
      'latin.txt': Buffer.from([0xe9]),
      'long.png': other,
      'long.txt': 'x'.repeat(70_000),
      'metadata.jsonl': '{"file_name": "gone.png", "text": "x"}\n',
    });

    expect(lines[0]).toBe(
      'DATASET_INVALID_PICTURES: 6 pictures cannot be used, 9 pictures have no caption, 1 row of metadata cannot be used',
    );
    for (const line of [
      /^cut\.png: .*damaged|cut short/,
      /^empty\.jpg: 0 bytes, no image$/,
      /^heic\.heic: is HEIC, which is not read/,
      /^small\.png: is too small: 7 x 300 pixels; at a resolution of 32 the shorter side must have/,
      /^text\.png: is no image/,
      /^narrow\.png: is too narrow: 300 x 10/,
      /^latin\.txt: is not valid UTF-8$/,
      /^long\.txt: has 70000 bytes, above the limit of 65536$/,
      /^bare\.png: has no caption: no text beside it, and no prompt is given$/,
      /^blank\.png: has no caption: blank\.txt is empty, and no prompt is given$/,
      /^metadata\.jsonl:1: file_name: gone\.png: there is no such picture in the folder$/,
    ])
      expect(lines).toContainEqual(expect.stringMatching(line));
    expect(lines).toHaveLength(17);
  });

  it('names no file where the message may be logged', async () => {
    const error = read({ 'secret.png': 'x', 'b.png': picture });

    await expect(error).rejects.toMatchObject({
      message: expect.not.stringContaining('secret') as string,
      messageForOwner: expect.stringContaining('secret.png: is no image') as string,
    });
  });

  it.each([
    [{}, 'has no pictures'],
    [{ 'a.txt': 'x', '.b': 'x' }, 'has no pictures: 2 other files in it'],
  ])('without pictures is refused: %j', async (files, message) => {
    expect(await refusal(files)).toEqual([`DATASET_EMPTY: ${message}`]);
  });

  it('warns of the same picture twice', async () => {
    const { report } = await read(
      { 'a.png': picture, 'b.png': other, 'c.png': picture },
      {
        prompt: 'x',
      },
    );

    expect(report.duplicates).toEqual([['a.png', 'c.png']]);
    expect(pictureWarnings(report, { withNames: true })).toEqual([
      '2 files hold the same picture: a.png, c.png',
    ]);
    expect(pictureWarnings(report, { withNames: false })).toEqual([
      '2 files hold the same picture',
    ]);
  });

  it('turns pictures as their EXIF orientation says', () =>
    inTemporaryFolder(async (folder) => {
      const fixture = '../../../images/fixtures/orientation-6.jpg';
      const turned = await readFile(new URL(fixture, import.meta.url));
      await write(folder, { 'a.jpg': turned });
      const sizeOf = async (exifOrientation: boolean): Promise<unknown> =>
        (await readPictures(optionsOf(folder, { exifOrientation }))).rows[0]?.size;

      expect(await sizeOf(true)).toEqual({ width: 16, height: 24 });
      expect(await sizeOf(false)).toEqual({ width: 24, height: 16 });
    }));
});

describe('captions', () => {
  const pictures = { 'a.png': picture, 'b.png': other, 'sub/c.png': other };

  it('are of the metadata, else of the text beside a picture, else the prompt', async () => {
    const files = {
      ...pictures,
      'd.png': picture,
      'a.txt': 'beside a',
      'b.txt': '\ufeff  beside\r\nb \n',
      'b.caption': 'not this one',
      'd.png.txt': 'of no picture',
      'metadata.jsonl': '{"file_name": "a.png", "text": "of a"}\n{"file_name": "d.png"}\n',
    };
    const { rows, report } = await read(files, { prompt: ' a dog ' });

    expect(captions({ rows, report, sha256: '' })).toEqual([
      'a.png: of a (metadata)',
      'b.png: beside b (file)',
      'd.png: a dog (prompt)',
      'sub/c.png: a dog (prompt)',
    ]);
    expect(report).toMatchObject({
      captions: { metadata: 1, file: 1, prompt: 2 },
      distinctCaptions: 3,
      ignored: { others: 2 },
    });
  });

  it('are of the nearest metadata, JSON before CSV', async () => {
    const found = await read({
      ...pictures,
      'sub/metadata.csv': 'file_name,text\nc.png,"near, ""c"""\n',
      'metadata.jsonl': [
        { file_name: 'sub/c.png', text: 'far c' },
        { file_name: './a.png', caption: 'json a' },
      ]
        .map((row) => JSON.stringify(row))
        .join('\n'),
      'metadata.csv': 'text,file_name\ncsv a,a.png\ncsv b,b.png\n',
    });

    expect(captions(found)).toEqual([
      'a.png: json a (metadata)',
      'b.png: csv b (metadata)',
      'sub/c.png: near, "c" (metadata)',
    ]);
  });

  it('are found where a file system decomposes accents', async () => {
    const found = await read({
      ['caf\u0065\u0301.png']: picture,
      'metadata.jsonl': JSON.stringify({ file_name: 'caf\u00e9.png', text: 'x' }),
    });

    expect(found.rows.map(({ caption }) => caption)).toEqual(['x']);
  });

  it.each([
    ['{"file_name": "a.png"', 'is not valid JSON'],
    ['[1]', 'is no JSON object'],
    ['{"text": "x"}', 'file_name is missing'],
    ['{"file_name": 7}', 'file_name must be text'],
    ['{"file_name": "../a.png"}', 'file_name lies outside the folder of pictures'],
    ['{"file_name": "/a.png"}', 'file_name lies outside the folder of pictures'],
    ['{"file_name": "a.png", "text": 7}', 'text must be text'],
    ['{"file_name": "a.png", "text": "\\ud800"}', 'text has half of a surrogate pair'],
    [
      '{"file_name": "a.png", "text": "x"}\n{"file_name": "a.png", "text": "y"}',
      'file_name is named before, with another caption',
      2,
    ],
  ])('of metadata like %s are refused', async (text, reason, line = 1) => {
    const lines = await refusal({ ...pictures, 'metadata.jsonl': `${text}\n` }, { prompt: 'x' });

    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain(`metadata.jsonl:${line}: ${reason}`);
  });
});

describe('pictures of the class', () => {
  it('follow with their prompt, and may lie within the folder of what is learned', () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, { 'a.png': picture, 'class/a.png': other, 'class/b.png': other });
      const classes = { path: join(folder, 'class'), prompt: 'a photo of a dog' };
      const { rows, report } = await readPictures(optionsOf(folder, { classes }));

      expect(rows.map(({ name, caption, isClass }) => [name, caption, isClass])).toEqual([
        ['a.png', 'a photo of sks dog', false],
        ['a.png', 'a photo of a dog', true],
        ['b.png', 'a photo of a dog', true],
      ]);
      expect(report).toMatchObject({ pictures: 1, classPictures: 2 });
      await write(folder, { 'class/bad.png': 'x', 'bad.png': 'x' });
      await expect(readPictures(optionsOf(folder, { classes }))).rejects.toMatchObject({
        messageForOwner: expect.stringMatching(
          /\nbad\.png: .*\n.*\/class\/bad\.png: is no/,
        ) as string,
      });
    }));

  it('are refused in the same folder', () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, { 'a.png': picture });
      const options = optionsOf(folder, { classes: { path: `${folder}/.`, prompt: 'x' } });

      await expect(readPictures(options)).rejects.toMatchObject({ code: 'DATASET_INVALID_OPTION' });
    }));
});

describe('a path', () => {
  it('of one picture is a folder of it, with the text beside it', () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, { 'a.png': picture, 'a.txt': 'a cat', 'b.png': 'broken' });
      const found = await readPictures(optionsOf(join(folder, 'a.png'), { restrictToRoot: true }));

      expect(captions(found)).toEqual(['a.png: a cat (file)']);
      await expect(readPictures(optionsOf(join(folder, 'none')))).rejects.toMatchObject({
        code: 'DATASET_UNREADABLE',
        message: `${join(folder, 'none')}: cannot be read: ENOENT`,
      });
    }));

  it.each([
    ['PK\x03\x04rest', 'it is a zip archive, which must be unpacked first'],
    [`${'a'.repeat(257)}ustar`, 'it is a tar archive, which must be unpacked first'],
    ['\x1f\x8b', 'it is compressed by gzip, which must be unpacked first'],
    ['PAR1', 'it is a Parquet file, whose pictures must be written as files first'],
    ['{"prompt": "x"}', 'it is a file of rows'],
    ['BM', 'it is BMP, which is not read'],
    ['hello', 'it is no image'],
  ])('of a file that begins with %j is refused: %s', (content, reason) =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'photos.zip');
      await writeFile(path, content, 'latin1');

      await expect(readPictures(optionsOf(path))).rejects.toMatchObject({
        code: 'DATASET_UNREADABLE',
        message: expect.stringContaining(
          `${path}: a folder of pictures or a picture is expected: ${reason}`,
        ) as string,
      });
    }),
  );

  it('may hold what is no file: it is not waited for', () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, { 'a.png': picture });
      for (const name of ['metadata.jsonl', 'a.txt', 'fifo', 'b.png'])
        execFileSync('mkfifo', [join(folder, name)]);

      await expect(readPictures(optionsOf(folder))).rejects.toMatchObject({
        messageForOwner: expect.stringMatching(
          /1 picture cannot be used\nb\.png: is no regular file$/,
        ) as string,
      });
    }));
});

describe('restricted to its folder', () => {
  it('it follows links within, and refuses those that lead out', () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, { 'data/a.png': picture, 'out/b.png': other, 'out/b.txt': 'secret' });
      const data = join(folder, 'data');
      await symlink(join(data, 'a.png'), join(data, 'same.png'));
      const restricted = optionsOf(data, { restrictToRoot: true });
      expect((await readPictures(restricted)).rows).toHaveLength(2);

      await symlink(join(folder, 'out'), join(data, 'folder'));
      await symlink(join(folder, 'out', 'b.png'), join(data, 'link.png'));
      await symlink(join(folder, 'out', 'b.txt'), join(data, 'a.txt'));
      const error = await readPictures(restricted).catch((thrown: unknown) => thrown);
      const { messageForOwner } = error as DatasetError;
      expect(messageForOwner.split('\n').slice(1)).toEqual(
        ['a.txt', 'folder', 'link.png'].map((name) => `${name}: lies outside the folder of images`),
      );
      expect((await readPictures(optionsOf(data))).rows).toHaveLength(4);
    }));
});

describe('the hash', () => {
  it('is of names, captions and contents, not of how pictures are cut', async () => {
    const files = { 'a.png': picture, 'b.png': other };
    const hash = async (more: FolderFiles, options: object = {}): Promise<string> =>
      (await read({ ...files, ...more }, { prompt: 'x', ...options })).sha256;
    const first = await hash({});

    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await hash({}, { resolution: 16, seed: 9, crop: 'random', flip: true })).toBe(first);
    const others = [
      await hash({ 'c.png': picture }),
      await hash({ 'b.png': picture }),
      await hash({ 'b.txt': 'y' }),
      await hash({}, { prompt: 'y' }),
    ];
    expect(new Set([first, ...others]).size).toBe(5);
  });
});

describe('an option', () => {
  it.each([
    [
      { resolution: 500 },
      'resolution is 500, a multiple of 16 from 16 to 4096 is expected; the nearest is 496',
    ],
    [{ resolution: 504 }, 'the nearest is 512'],
    [{ resolution: 0 }, 'the nearest is 16'],
    [{ resolution: 5000 }, 'the nearest is 4096'],
    [{ resolution: 512.5 }, 'the nearest is 512'],
    [{ resolution: NaN }, 'resolution is NaN, a multiple of 16 from 16 to 4096 is expected'],
    [{ prompt: ' ' }, 'the instance prompt is empty'],
    [{ classes: { path: 'x', prompt: '' } }, 'the class prompt is empty'],
  ])('like %j is refused', async (options, message) => {
    const [line] = await refusal({}, options);

    expect(line).toContain('DATASET_INVALID_OPTION: ');
    expect(line).toContain(message);
  });
});

it.each([new Error('enough'), new DOMException('late', 'TimeoutError')])(
  'ends when it is not wanted any more, as %s says',
  (reason) =>
    inTemporaryFolder(async (folder) => {
      await write(folder, { 'a.png': picture });

      await expect(readPictures(optionsOf(folder), AbortSignal.abort(reason))).rejects.toBe(reason);
    }),
);

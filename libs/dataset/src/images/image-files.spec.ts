import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { png, readFileOfRows, type ReadFile } from '../../test/image-rows.js';
import { inTemporaryFolder } from '../../test/model-folder.js';
import { describeProblem } from '../errors.js';
import type { ImageTextOptions } from './image-text-options.js';

type Options = Partial<ImageTextOptions>;

const rowWith = (image: string | readonly string[]): object => ({
  images: [image].flat(),
  prompt: [{ role: 'user', content: '<image>'.repeat([image].flat().length) }],
  completion: [{ role: 'assistant', content: 'Red.' }],
});

/** A folder with `data/rows.jsonl`, `data/in.png`, `out.png` and ways from one to the other. */
function inFolders(body: (folder: string) => Promise<void>): Promise<void> {
  return inTemporaryFolder(async (folder) => {
    await mkdir(join(folder, 'data', 'folder.png'), { recursive: true });
    await writeFile(join(folder, 'data', 'in.png'), png(30, 20));
    await writeFile(join(folder, 'out.png'), png(9, 9));
    await symlink(join(folder, 'out.png'), join(folder, 'data', 'link.png'));
    await symlink('in.png', join(folder, 'data', 'same.png'));
    await body(folder);
  });
}

async function read(folder: string, rows: readonly object[], images: Options): Promise<ReadFile> {
  const path = join(folder, 'data', 'rows.jsonl');
  await writeFile(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return readFileOfRows(path, { images });
}

/** `widthxheight` of each row's images, or what is wrong with it. */
async function sizes(
  folder: string,
  images: readonly (string | readonly string[])[],
  options: Options = {},
): Promise<string[]> {
  const { outcomes } = await read(folder, images.map(rowWith), options);
  return outcomes.map((outcome) => {
    if (outcome.kind === 'row')
      return (outcome.row.images ?? []).map(({ width, height }) => `${width}x${height}`).join();
    if (outcome.kind === 'dropped') return outcome.reason;
    return outcome.problems.map(({ reason }) => reason).join();
  });
}

describe('paths', () => {
  it('start from the folder of the rows, and may leave it where nobody says otherwise', () =>
    inFolders(async (folder) => {
      const absolute = join(folder, 'out.png');
      const paths = ['in.png', '../out.png', absolute, 'link.png', pathToFileURL(absolute).href];
      expect(await sizes(folder, paths)).toEqual(['30x20', '9x9', '9x9', '9x9', '9x9']);
    }));

  it.each<[string, (folder: string) => Options]>([
    ['a given root', (folder) => ({ imageRoot: join(folder, 'data') })],
    ['the folder of rows of somebody else', () => ({ restrictToRoot: true })],
  ])('may not leave %s', (_, optionsFor) =>
    inFolders(async (folder) => {
      const paths = [
        'in.png',
        'same.png',
        join(folder, 'data', 'in.png'),
        '../out.png',
        join(folder, 'out.png'),
        'link.png',
        pathToFileURL(join(folder, 'out.png')).href,
        'none/../../out.png',
      ];
      const outside = 'lies outside the folder of images';
      expect(await sizes(folder, paths, optionsFor(folder))).toEqual([
        ...['30x20', '30x20', '30x20'],
        ...[outside, outside, outside, outside, outside],
      ]);
    }),
  );

  it('start from a given root', () =>
    inFolders(async (folder) => {
      expect(await sizes(folder, ['out.png', 'data/in.png'], { imageRoot: folder })).toEqual([
        '9x9',
        '30x20',
      ]);
    }));
});

test('every image that cannot be used is named, with row and field, whatever else is wrong', () =>
  inFolders(async (folder) => {
    const whole = png(30, 20);
    await writeFile(join(folder, 'data', 'cut.png'), whole.subarray(0, whole.length - 4));
    await writeFile(join(folder, 'data', 'text.png'), 'no image');
    execFileSync('mkfifo', [join(folder, 'data', 'fifo.png')]);
    const rows = [
      rowWith(['none.png', 'in.png', 'cut.png']),
      rowWith('text.png'),
      rowWith('fifo.png'),
      rowWith('folder.png'),
      rowWith('nul\0.png'),
      rowWith('https://example.org/secret.png'),
      ...Array.from({ length: 30 }, () => rowWith('none.png')),
    ];
    const { outcomes } = await read(folder, rows, {});
    const problems = outcomes.flatMap((outcome) =>
      outcome.kind === 'bad' ? outcome.problems : [],
    );
    const told = (forOwner: boolean): string[] =>
      problems.map((problem) => describeProblem(problem, 'rows.jsonl', { forOwner }));
    expect(told(true).slice(0, 7)).toEqual([
      'rows.jsonl:1: images[0]: none.png: cannot be read: ENOENT',
      expect.stringMatching(/^rows\.jsonl:1: images\[2\]: cut\.png: is cut short: its \d+ bytes/),
      'rows.jsonl:2: images[0]: text.png: is no image; PNG, JPEG, WebP, GIF, TIFF and AVIF are read',
      'rows.jsonl:3: images[0]: fifo.png: is no regular file',
      'rows.jsonl:4: images[0]: folder.png: is no regular file',
      'rows.jsonl:5: images[0]: nul\0.png: its path has a NUL character',
      'rows.jsonl:6: images[0]: https://example.org/secret.png: is a URL, which --allow-remote-images lets be fetched',
    ]);
    expect(told(false)[0]).toBe('rows.jsonl:1: images[0] cannot be read: ENOENT');
    expect(told(false).join()).not.toMatch(/none\.png|secret/);
    expect(problems).toHaveLength(37);
  }));

test('a number of tiles that no image can have is refused before rows are read', () =>
  inFolders(async (folder) => {
    await expect(read(folder, [], { maxTiles: 0 })).rejects.toMatchObject({
      code: 'DATASET_INVALID_OPTION',
      message: 'tiles: maxTiles is 0, a whole number from 1 to 1024 is expected',
    });
  }));

test('the hash of a data set is another one where an image has another size', () =>
  inFolders(async (folder) => {
    const sha256 = async (): Promise<string> =>
      (await read(folder, [rowWith('in.png')], {})).summary.sha256;
    const before = await sha256();
    expect(await sha256()).toBe(before);
    await writeFile(join(folder, 'data', 'in.png'), png(30, 21));
    expect(await sha256()).not.toBe(before);
  }));

describe('remote images', () => {
  async function served(
    listener: RequestListener,
    body: (base: string) => Promise<void>,
  ): Promise<void> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  const asked: string[] = [];
  const listener: RequestListener = ({ url = '' }, response) => {
    asked.push(url);
    if (url === '/a.png') return void response.end(png(30, 20));
    if (url === '/there') return void response.writeHead(302, { location: 'a.png' }).end();
    if (url === '/round') return void response.writeHead(302, { location: '/round' }).end();
    if (url === '/file')
      return void response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    if (url === '/huge') {
      const chunk = Buffer.alloc(2 ** 20);
      const write = (): void => void (response.destroyed || response.write(chunk, write));
      return write();
    }
    return void response.writeHead(404).end();
  };
  beforeEach(() => void asked.splice(0));

  it('are fetched once where it is allowed, redirects followed, within limits', () =>
    served(listener, (base) =>
      inFolders(async (folder) => {
        const urls = ['a.png', 'a.png', 'there', 'round', 'file', 'none', 'huge'].map(
          (name) => `${base}/${name}`,
        );
        expect(await sizes(folder, urls, { allowRemoteImages: true })).toEqual([
          '30x20',
          '30x20',
          '30x20',
          'cannot be fetched: more than 5 redirects',
          'cannot be fetched: it leads to no http or https URL',
          'cannot be fetched: status 404',
          'cannot be fetched: it has more than 52428800 bytes',
        ]);
        expect(asked.filter((url) => url === '/a.png')).toHaveLength(2);
      }),
    ));

  it('are not asked for where it is not allowed, nor within private networks for somebody else', () =>
    served(listener, (base) =>
      inFolders(async (folder) => {
        const urls = [`${base}/a.png`, base.replace('127.0.0.1', 'localhost'), 'http://[::1]/'];
        const reasons = await sizes(folder, urls, {
          allowRemoteImages: true,
          restrictToRoot: true,
        });
        expect(new Set(reasons)).toEqual(
          new Set(['cannot be fetched: it leads to an address that is not public']),
        );
        await sizes(folder, urls);
        expect(asked).toEqual([]);
      }),
    ));
});

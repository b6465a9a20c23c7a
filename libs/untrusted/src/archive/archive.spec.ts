import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packTar, type TarHeader } from 'modern-tar';

import { packFiles } from './pack-files.js';
import { isArchive, unpackFiles } from './unpack-files.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-archive-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (name: string): Partial<TarHeader> & { name: string } => ({ name });

async function archiveOf(...headers: (Partial<TarHeader> & { name: string })[]): Promise<string> {
  const entries = headers.map((header) => ({
    header: { size: header.type && header.type !== 'file' ? 0 : 1, ...header },
    body: header.type && header.type !== 'file' ? null : 'x',
  }));
  const path = join(folder, 'hostile.tar');
  await writeFile(path, await packTar(entries));
  return path;
}

async function packed(files: Record<string, string>, order = Object.keys(files)): Promise<Buffer> {
  const paths = await Promise.all(
    order.map(async (name, index) => {
      const path = join(folder, `${Object.keys(files).indexOf(name)}-${index}`);
      await writeFile(path, files[name] ?? '');
      return { name, path };
    }),
  );
  const pieces: Uint8Array[] = [];
  for await (const piece of packFiles(paths)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const long = `${'deep/'.repeat(40)}${'n'.repeat(200)}.txt`;
const files = { 'b.png': 'B'.repeat(700_000), 'a.txt': 'ä', 'in/é.txt': '', [long]: 'long' };

test('files come out as they went in, for their owner alone', async () => {
  const path = join(folder, 'data.tar');
  await writeFile(path, await packed(files));
  expect(await isArchive(path)).toBe(true);
  const out = join(folder, 'out');
  await unpackFiles(path, out);
  for (const [name, text] of Object.entries(files))
    expect([name, (await readFile(join(out, name), 'utf8')) === text]).toEqual([name, true]);
  expect((await stat(join(out, 'a.txt'))).mode & 0o777).toBe(0o600);
});

test('the archive depends on names and contents alone', async () => {
  const names = Object.keys(files);
  expect((await packed(files)).equals(await packed(files, [...names].reverse()))).toBe(true);
  expect((await packed(files)).equals(await packed({ ...files, 'a.txt': 'o' }))).toBe(false);
});

test.each([
  ['rows', '{"text":"a"}\n'.repeat(60)],
  ['rows with the mark of archives', `${' '.repeat(257)}ustar${' '.repeat(400)}`],
  ['nothing', ''],
])('%s are no archive', async (_what, text) => {
  const path = join(folder, 'rows.jsonl');
  await writeFile(path, text);
  expect(await isArchive(path)).toBe(false);
});

test.each([
  ['a way up', [file('../escape')], '"../escape" has an empty part, . or ..'],
  ['a way up within', [file('a/../../b')], '"a/../../b" has an empty part, . or ..'],
  ['an absolute path', [file('/etc/passwd')], '"/etc/passwd" is absolute'],
  ['a drive', [file('C:x')], '"C:x" is absolute'],
  ['a backslash', [file('..\\x')], 'has a backslash'],
  ['a control character', [file('a\nb.png')], '"a\\nb.png" has control characters'],
  ['an endless part', [file('n'.repeat(256))], 'has a part of more than 255 bytes'],
  ['an endless path', [file('a/'.repeat(600) + 'b')], 'has more than 1024 bytes'],
  ['two files', [file('a.png'), file('a.png')], '"a.png" stands for two files'],
  ['a file as a folder', [file('a'), file('a/b')], '"a" stands for two files'],
  ['another case', [file('a.png'), file('A.PNG')], '"a.png" and "A.PNG" differ in case'],
  ['a folder in another case', [file('a/x'), file('A/y')], '"a" and "A" differ in case'],
  ['another form of an accent', [file('\u00e9'), file('e\u0301')], 'differ in case or accents'],
  ['a link', [{ ...file('l'), type: 'symlink', linkname: '/etc' }], '"l" is a symlink, not a file'],
  ['a hard link', [{ ...file('l'), type: 'link', linkname: '/etc/passwd' }], '"l" is a link'],
  ['a device', [{ ...file('d'), type: 'character-device' }], '"d" is a character-device'],
  ['a pipe', [{ ...file('p'), type: 'fifo' }], '"p" is a fifo'],
] as const)('%s is refused by name', async (_what, headers, message) => {
  const path = await archiveOf(...headers);
  await expect(unpackFiles(path, join(folder, 'out'))).rejects.toThrow(
    expect.objectContaining({ name: 'ArchiveRefusal', message: expect.stringContaining(message) }),
  );
  expect((await readdir(folder)).sort()).toEqual(['hostile.tar', 'out']);
});

test('more files than are borne, and an archive that is cut short, are refused', async () => {
  const path = await archiveOf(file('a'), file('b'), file('c'));
  const unpacked = unpackFiles(path, join(folder, 'out'), { maxFiles: 2 });
  await expect(unpacked).rejects.toThrow('it has more than 2 files');
  await writeFile(path, (await readFile(path)).subarray(0, 1200));
  await expect(unpackFiles(path, join(folder, 'cut'))).rejects.toThrow('damaged or cut short');
});

test('names that would not be unpacked are not packed', async () => {
  await expect(packed({ 'a.png': 'a', 'A.png': 'b' })).rejects.toThrow('differ in case');
});

test('an aborted archive is not unpacked', async () => {
  const signal = AbortSignal.abort(new Error('no more'));
  const unpacked = unpackFiles(await archiveOf(file('a')), join(folder, 'out'), { signal });
  await expect(unpacked).rejects.toThrow('no more');
});

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { png, readFileOfRows, type ReadFile, type ReadFileOptions } from '../../test/image-rows.js';
import { inTemporaryFolder } from '../../test/model-folder.js';
import { describeProblem } from '../errors.js';
import { scanRows } from './scan-rows.js';

const row = (answer: string, image = 'a.png'): string =>
  `${JSON.stringify({
    image,
    conversations: [
      { from: 'human', value: '<image>\nQ?' },
      { from: 'gpt', value: answer },
    ],
  })}\n`;

/** Reads a list of data sets in a folder with `x.jsonl` (5 rows), `y.json` (2) and images. */
function readList(list: unknown, options: ReadFileOptions = {}): Promise<ReadFile> {
  return inTemporaryFolder(async (folder) => {
    await mkdir(join(folder, 'pictures'));
    await writeFile(join(folder, 'pictures', 'a.png'), png(30, 20));
    await writeFile(
      join(folder, 'x.jsonl'),
      `${row('1')}${row('2')}${row('3')}\n${row('4')}${row('5')}`,
    );
    await writeFile(join(folder, 'y.json'), `[${row('6')},${row('7', 'none.png')}]`);
    await writeFile(join(folder, 'broken.json'), '[1');
    const path = join(folder, 'list.json');
    await writeFile(path, typeof list === 'string' ? list : JSON.stringify(list, null, 2));
    return readFileOfRows(path, options);
  });
}

const x = { root: 'pictures', annotation: 'x.jsonl', repeat_time: 1, length: 5 };

/** Lines of the rows that were read, `-` for bad ones. */
const lines = ({ outcomes }: ReadFile): string =>
  outcomes.map((outcome) => (outcome.kind === 'row' ? outcome.row.line : '-')).join(' ');

test('data sets are read in their order, whatever they are called, as often as the list says', async () => {
  const list = '{"2": SET, "1": SET}'
    .replace('SET', JSON.stringify({ ...x, repeat_time: 0.5 }))
    .replace('SET', JSON.stringify({ ...x, repeat_time: 2.2 }));
  const read = await readList(list);
  expect(lines(read)).toBe('1 2 1 2 3 5 6 1 2 3 5 6 1');
  expect(read.summary.report).toMatchObject({ sourceRows: 13, rows: 13, images: 13 });
});

test('a data set of no time has no rows', async () => {
  expect(lines(await readList({ x: { ...x, repeat_time: 0.1 }, y: x }))).toBe('1 2 3 5 6');
});

test('its own number of tiles holds for a data set', async () => {
  const { outcomes } = await readList({ x: { ...x, max_dynamic_patch: 2 }, y: x }, { limit: 6 });
  const tiles = outcomes.map((outcome) =>
    outcome.kind === 'row' ? outcome.row.images?.[0]?.maxTiles : null,
  );
  expect(tiles).toEqual([2, 2, 2, 2, 2, 6]);
});

test('that images are to be changed at random is counted', async () => {
  const { summary } = await readList({ x: { ...x, data_augment: true }, y: x });
  expect(summary.report.augmentedSets).toBe(1);
});

test('a problem names the file of its data set to the owner alone', async () => {
  const { outcomes } = await readList({ y: { root: 'pictures', annotation: 'y.json' } });
  const [problem] = outcomes.flatMap((each) => (each.kind === 'bad' ? each.problems : []));
  if (!problem) throw new Error('no problem');
  expect(describeProblem(problem, 'list.json', { forOwner: true })).toMatch(
    /\/y\.json:2: image: none\.png: cannot be read: ENOENT$/,
  );
  expect(describeProblem(problem, 'list.json', { forOwner: false })).toBe(
    'list.json: data set 1:2: image cannot be read: ENOENT',
  );
});

test('all files that are read make the hash', async () => {
  const sha256 = async (list: unknown): Promise<string> => (await readList(list)).summary.sha256;
  const hash = await sha256({ x });
  expect(await sha256({ x })).toBe(hash);
  expect(await sha256({ x: { ...x, length: 6 } })).not.toBe(hash);
  expect(await sha256({ x: { ...x, annotation: 'y.json' } })).not.toBe(hash);
});

describe('a list is refused', () => {
  it.each<[object, RegExp]>([
    [{ x, y: { root: 'pictures' } }, /data set 2: annotation must be a path, is null$/],
    [{ x, y: 3 }, /data set 2: must be an object, is a number$/],
    [{ x: { ...x, repeat_time: -1 } }, /data set 1: repeat_time is -1, a number from 0 to 1000/],
    [{ x: { ...x, repeat_time: 'all' } }, /repeat_time must be a number$/],
    [{ x: { ...x, max_dynamic_patch: 1.5 } }, /max_dynamic_patch is 1.5, a whole number/],
    [
      { x: { ...x, annotation: 'none.jsonl' } },
      /list\.json: data set 1: cannot be read \(ENOENT\)$/,
    ],
    [
      { x: { ...x, annotation: 'broken.json' } },
      /data set 1: the file ends within the JSON array$/,
    ],
  ])('as %j', async (list, message) => {
    await expect(readList(list)).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringMatching(message) as string,
    });
  });

  it('where it leads out of the folder of somebody else', async () => {
    const images = { restrictToRoot: true };
    for (const annotation of ['../x.jsonl', '/etc/passwd'])
      await expect(readList({ x: { ...x, annotation } }, { images })).rejects.toThrow(
        'annotation lies outside the folder',
      );
    const { outcomes } = await readList({ x: { ...x, root: '/etc' } }, { images });
    expect(JSON.stringify(outcomes[0])).toContain('lies outside the folder of images');
  });

  it('by a look at the form of rows', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'list.json');
      await writeFile(path, JSON.stringify({ x }));
      const { problems } = await scanRows({ path, maxBytes: 1000, maxMs: 60_000 });
      expect(problems).toMatchObject([
        { line: 1, reason: expect.stringMatching(/lists data sets/) as string },
      ]);
    });
  });
});

test('one row that spans a file is no list', async () => {
  const read = await readList(row('8', 'pictures/a.png').trim());
  expect(lines(read)).toBe('1');
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { Job } from './job/job.js';
import type { JobEvent } from './job/observer.js';
import { prepareJob } from './job/prepare-job.js';
import { previewRows } from './job/preview.js';
import type { TuneOptions } from './options/resolve.js';
import { tune, type TuneHost } from './tune.js';

const small: Partial<TuneOptions> = {
  ...{ batch: 2, maxLength: 70, calibrationRows: 2, steps: 3, refineSteps: 1 },
};

let workspace: Workspace;
let files: Pick<TuneOptions, 'data' | 'moreData' | 'dataWeights'>;

beforeAll(async () => {
  workspace = await openWorkspace();
  const lines = (await readFile(workspace.data, 'utf8')).trimEnd().split('\n');
  const paths = ['a:2.jsonl', 'b.jsonl'].map((name) => join(workspace.outputs, '..', name));
  const [data = '', second = ''] = paths;
  await writeFile(data, lines.slice(0, 40).join('\n'));
  await writeFile(second, lines.slice(40).join('\n'));
  files = { data, moreData: [second], dataWeights: '0.5,3' };
});

afterAll(() => workspace.close());

async function run(
  name: string,
  options: Partial<TuneOptions>,
  host: Partial<TuneHost> = {},
): Promise<string> {
  const out = join(workspace.outputs, name);
  await tune(workspace.options({ ...small, ...options, out }), tuneHost(host));
  return readFile(join(out, 'adapter_model.safetensors'), 'base64');
}

/** What a job with these options comes to in one run, and killed after its second step. */
async function killed(name: string, options: Partial<TuneOptions>): Promise<readonly string[]> {
  const snapshot = join(workspace.outputs, '..', `snapshot-${name}`);
  const [out, again] = [name, `${name}-again`].map((each) => join(workspace.outputs, each));
  let steps = 0;
  const observer = (event: JobEvent): void => {
    if (event.type !== 'step') return;
    steps += 1;
    if (steps === 2) takeSnapshot(out ?? '', snapshot);
  };
  const whole = await run(name, options, { observer, checkpointSteps: 1 });
  await leaveCrash(again ?? '', snapshot);
  return [whole, await run(`${name}-again`, options, { mode: 'resume' })];
}

async function prepared<T>(options: Partial<TuneOptions>, use: (job: Job) => T): Promise<T> {
  await using job = await prepareJob(workspace.options({ ...small, ...options }));
  return use(job);
}

describe('a job on several files', () => {
  it('comes to equal bytes, killed or not, and remembers what each was', async () => {
    const [whole, again] = await killed('mixed', files);
    expect(again).toBe(whole);
    const record = await readFile(join(workspace.outputs, 'mixed', 'emloc.json'), 'utf8');
    expect(JSON.parse(record)).toMatchObject({
      data: {
        files: [
          { weight: 0.5, share: 20 / 44, rows: 40 },
          { weight: 3, share: 24 / 44, rows: 8 },
        ],
        train: { sourceRows: 48 },
        trainRows: 28,
      },
    });
    expect(record).not.toContain('a:2.jsonl');
  });

  it('is another job with other weights, or the files the other way round', async () => {
    const id = (options: Partial<TuneOptions>): Promise<string> =>
      prepared({ ...files, ...options }, (job) => job.id);
    const [first = '', second = ''] = [files.data, ...files.moreData];
    const ids = [
      await id({}),
      await id({ dataWeights: null }),
      await id({ dataWeights: '0.5,2' }),
      await id({ data: second, moreData: [first] }),
      await id({ data: first, moreData: [], dataWeights: null }),
    ];
    expect(new Set(ids).size).toBe(5);
  });

  it('holds rows out of each that are not trained on', async () => {
    const counts = await prepared(
      { ...files, validation: null, epochs: 1, steps: null },
      (job) => ({
        train: job.trainRows.count,
        validation: job.validation.source.count,
        steps: job.training.batches.length,
      }),
    );
    // 16 of 48 by shares of 20 and 24, of the smaller file at most 4: 28 and 4 are left.
    expect(counts).toEqual({ train: 14 + 4, validation: 16, steps: (14 + 12) / 2 });
  });

  it('is shown file by file, with what of an epoch is whose', async () => {
    const { model, date } = workspace.options();
    const rest = {
      ...{ columns: null, maxTiles: null, exifOrientation: false, imageRoot: null, limit: null },
      ...{ remoteImages: false, strict: false, maxLength: null, chatTemplate: null, seed: 0 },
      ...{ templateArgs: null, instancePrompt: null, resolution: null, crop: 'centre' as const },
      ...{ flip: false, buckets: false },
    };
    const rows = previewRows({ model, date, ...files, ...rest }, {});
    const paths: string[] = [];
    let next = await rows.next();
    for (; next.done !== true; next = await rows.next()) paths.push(next.value.path);
    const [first, second] = [files.data, ...files.moreData];
    expect([paths.length, paths.at(39), paths.at(40)]).toEqual([48, first, second]);
    expect(next.value.files.map(({ path, share }) => [path, share])).toEqual([
      [first, 20 / 44],
      [second, 24 / 44],
    ]);
    expect(next.value.report.sourceRows).toBe(48);
  });
});

describe('a job whose batches are of tokens', () => {
  const tokens = { batchTokens: 150, steps: null, epochs: 1 };

  it('comes to equal bytes, killed or not', async () => {
    const [whole, again] = await killed('tokens', { batchTokens: 150 });
    expect(again).toBe(whole);
  });

  it('has no batch of more tokens, and plans the largest of them', async () => {
    await prepared(tokens, ({ training, trainRows, validation, calibration }) => {
      const { batches } = training;
      const all = Array.from(
        { length: batches.length },
        (_, step) => batches.at(step) ?? [],
      ).flat();
      expect(all.flat().sort((a, b) => a - b)).toEqual([...Array(trainRows.count).keys()]);
      const sizes = [
        ...all.map((rows) => trainRows.shape(rows).items),
        ...validation.rows.map((rows) => validation.source.shape(rows).items),
        ...calibration.rows.map((rows) => calibration.source.shape(rows).items),
      ];
      expect(Math.max(...sizes)).toBeLessThanOrEqual(150);
      expect(Math.max(...sizes)).toBeGreaterThan(100);
    });
  });

  it('is refused where the longest row does not fit', async () => {
    await expect(prepared({ batchTokens: 50 }, () => null)).rejects.toMatchObject({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringMatching(/^option batchTokens: 50 given, at least (6|7)\d, the tokens/),
    });
  });
});

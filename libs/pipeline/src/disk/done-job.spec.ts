import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { outputPaths } from '../../test/crash.js';
import { openWorkspace, tuneHost, type Workspace } from '../../test/fixtures.js';
import type { JobEvent } from '../job/observer.js';
import type { TuneOptions } from '../options/resolve.js';
import { tune } from '../tune.js';
import { findDoneJob } from './done-job.js';

const quick: Partial<TuneOptions> = { steps: 2, refineSteps: 0, ratios: ['1'], maxLength: 32 };

let workspace: Workspace;
let out: string;

beforeEach(async () => {
  workspace = await openWorkspace();
  out = join(workspace.outputs, 'out');
});

afterEach(() => workspace.close());

const optionsOf = (overrides: Partial<TuneOptions> = {}): TuneOptions =>
  workspace.options({ ...quick, ...overrides });

/** Leaves the progress of a job after its first step, as if its process were killed. */
async function leaveProgress(overrides: Partial<TuneOptions>): Promise<void> {
  const other = join(workspace.outputs, 'other');
  const observer = (event: JobEvent): void => {
    if (event.type === 'step' && event.step === 2) throw new Error('killed');
  };
  const running = tune(
    optionsOf({ ...overrides, out: other }),
    tuneHost({ observer, checkpointSteps: 1 }),
  );
  await expect(running).rejects.toThrow('killed');
  await rename(outputPaths(other).progress, outputPaths(out).progress);
}

it('tells nothing where no job has ended', async () => {
  expect(await findDoneJob(optionsOf())).toBeNull();
  expect(await workspace.leftovers()).toEqual([]);
});

it('tells of a job whose adapter is there, and changes nothing', async () => {
  const { job } = await tune(optionsOf(), tuneHost());
  const before = await stat(join(out, 'adapter_model.safetensors'), { bigint: true });
  expect(await findDoneJob(optionsOf())).toEqual({ job, adapter: out, done: true });
  const after = await stat(join(out, 'adapter_model.safetensors'), { bigint: true });
  expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
  expect(await workspace.leftovers()).toEqual(['out']);
});

it('removes what is left of its progress, and of no other job', async () => {
  const { job } = await tune(optionsOf(), tuneHost());
  await leaveProgress({});
  expect(await findDoneJob(optionsOf())).toMatchObject({ job });
  expect(await workspace.leftovers()).toEqual(['out']);
  await leaveProgress({ seed: 7 });
  expect(await findDoneJob(optionsOf())).toMatchObject({ job });
  expect(await workspace.leftovers()).toEqual(['.out.job', 'out']);
});

it('refuses another job beside that adapter, unless there is progress of that one', async () => {
  const { job } = await tune(optionsOf(), tuneHost());
  await expect(findDoneJob(optionsOf({ seed: 7 }))).rejects.toMatchObject({
    code: 'PIPELINE_RESUME_MISMATCH',
    message: expect.stringContaining(`has the adapter of job ${job}`),
  });
  await leaveProgress({ seed: 7 });
  expect(await findDoneJob(optionsOf({ seed: 7 }))).toBeNull();
});

it('refuses an adapter whose record does not tell its job, and leaves it alone', async () => {
  await tune(optionsOf(), tuneHost());
  await cp(out, `${out}-copy`, { recursive: true });
  const mismatch = { code: 'PIPELINE_RESUME_MISMATCH', message: expect.stringContaining('tell') };
  for (const text of ['{}', 'no JSON']) {
    await writeFile(join(out, 'emloc.json'), text);
    await expect(findDoneJob(optionsOf())).rejects.toMatchObject(mismatch);
    expect(await readFile(join(out, 'emloc.json'), 'utf8')).toBe(text);
  }
  await rm(join(out, 'emloc.json'));
  await expect(findDoneJob(optionsOf())).rejects.toMatchObject(mismatch);
  const rest = (await readdir(`${out}-copy`)).filter((name) => name !== 'emloc.json');
  expect((await readdir(out)).sort()).toEqual(rest.sort());
});

it('refuses an adapter of the job that has lost a file', async () => {
  await tune(optionsOf(), tuneHost());
  await rm(join(out, 'adapter_model.safetensors'));
  await expect(findDoneJob(optionsOf())).rejects.toMatchObject({
    code: 'PIPELINE_RESUME_MISMATCH',
    message: expect.stringContaining('without adapter_model.safetensors'),
  });
});

it('leaves a folder without an adapter to the job', async () => {
  await mkdir(out);
  await writeFile(join(out, 'notes.txt'), '');
  expect(await findDoneJob(optionsOf())).toBeNull();
});

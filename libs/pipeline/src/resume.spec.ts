import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRandom } from '@emloc/dataset';
import { cpuProfile } from '@emloc/device-cpu';
import { cpuTarget, openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import { prepareJob } from './job.js';
import type { JobEvent, StageName } from './observer.js';
import type { TuneOptions } from './options.js';
import { fitMemory } from './plan.js';
import { tune, type TuneHost } from './tune.js';

const steps = { train: 6, refine: 3 } as const;
const adapterFiles = ['adapter_config.json', 'adapter_model.safetensors', 'emloc.json', 'uncorrected/adapter_model.safetensors'];

let workspace: Workspace;
let whole: readonly string[];
let leastBytes: number;

beforeAll(async () => {
  workspace = await openWorkspace();
  await run({}, 'whole');
  whole = await hashes('whole');
  const job = await prepareJob(options());
  leastBytes = (await fitMemory({ job, profile: cpuProfile, budgetBytes: 2 ** 40 })).neededBytes;
  await job.close();
});

afterAll(() => workspace.close());

/** Ends every run before its output, so that each test has it to itself. */
const out = 'out';
const progress = (): string => join(workspace.outputs, `.${out}.job`);

function options(overrides: Partial<TuneOptions> = {}, name: string = out): TuneOptions {
  return workspace.options({ steps: steps.train, refineSteps: steps.refine, out: join(workspace.outputs, name), ...overrides });
}

/** Runs, and sees that nothing is left on the device. */
async function run(host: Partial<TuneHost>, name: string = out, overrides: Partial<TuneOptions> = {}): Promise<void> {
  const target = cpuTarget();
  await tune(options(overrides, name), tuneHost({ target, checkpointSteps: 2, ...host }));
}

async function hashes(name: string): Promise<readonly string[]> {
  return Promise.all(adapterFiles.map(async (file) => createHash('sha256').update(await readFile(join(workspace.outputs, name, file))).digest('hex')));
}

/** Goes on, and compares the outcome with that of one run. */
async function expectResumed(host: Partial<TuneHost> = {}, overrides: Partial<TuneOptions> = {}): Promise<readonly JobEvent[]> {
  const events: JobEvent[] = [];
  await run({ mode: 'resume', observer: (event) => events.push(event), ...host }, out, { ...overrides });
  expect(await hashes(out)).toEqual(whole);
  expect((await workspace.leftovers()).filter((name) => name !== 'whole')).toEqual([out]);
  await workspace.remove(out);
  return events;
}

type Moment = (event: JobEvent) => boolean;

/** Aborts a run at the first event that matches; `kill` throws instead, as a process that dies writes nothing more. */
async function interrupt(moment: Moment, { kill = false, ...host }: Partial<TuneHost> & { readonly kill?: boolean } = {}, overrides: Partial<TuneOptions> = {}): Promise<void> {
  const abort = new AbortController();
  const observer = (event: JobEvent): void => {
    if (!moment(event)) return;
    if (kill) throw new Error('killed');
    abort.abort(new Error('stopped'));
  };
  const failure = await run({ observer, signal: abort.signal, ...host }, out, overrides).then(() => null, (error: unknown) => error as Error);
  expect(failure).toMatchObject(kill ? { message: 'killed' } : { code: 'PIPELINE_INTERRUPTED', message: expect.stringContaining('--resume') });
  expect((await workspace.leftovers()).filter((name) => name !== 'whole')).toEqual([`.${out}.job`]);
}

/** The n-th event of a stage, counted from 1. */
function nth(stage: StageName, type: 'progress' | 'step', count: number): Moment {
  let seen = 0;
  return (event) => event.type === type && event.stage === stage && (seen += 1) === count;
}

const stepsOf = (events: readonly JobEvent[], stage: StageName): readonly number[] =>
  events.flatMap((event) => (event.type === 'step' && event.stage === stage ? [event.step] : []));

describe('a job that is interrupted and resumed gives the bytes of one run', () => {
  const random = createRandom(11, 'interruptions');
  const within = (least: number, most: number): number => least + Math.floor(random.nextFloat() * (most - least + 1));
  const moments: readonly (readonly [StageName, 'progress' | 'step', number])[] = [
    ['calibrate', 'progress', 2], ['emulate', 'progress', within(8, 13)], ['train', 'progress', within(1, 3)], ['train', 'step', within(1, steps.train - 1)],
    ['correct', 'progress', within(1, 20)], ['refine', 'step', within(1, steps.refine)],
  ];

  it.each(moments)('in %s, at %s %i', async (stage, type, count) => {
    await interrupt(nth(stage, type, count));
    await expectResumed();
  });

  it('at other budgets, one interruption after the other', async () => {
    await interrupt(nth('emulate', 'progress', 9), {}, { vramBytes: leastBytes });
    await interrupt(nth('train', 'step', 3), { mode: 'resume' }, { vramBytes: 2 ** 30 });
    await interrupt(nth('train', 'step', 1), { mode: 'resume' }, { vramBytes: leastBytes });
    await interrupt(nth('correct', 'progress', 5), { mode: 'resume' }, { vramBytes: Math.ceil(leastBytes * 1.3), prefetch: false });
    const events = await expectResumed({}, { vramBytes: leastBytes });
    expect([stepsOf(events, 'train'), stepsOf(events, 'refine')]).toEqual([[], [1, 2, 3]]);
  });

  it('without doing again what was done', async () => {
    await interrupt(nth('train', 'step', 5));
    const events = await expectResumed();
    expect([stepsOf(events, 'train'), stepsOf(events, 'refine')]).toEqual([[6], [1, 2, 3]]);
    expect(events.filter((event) => event.type === 'stage').map(({ stage }) => stage)).not.toContain('calibrate');
  });

  it('after a process that died, from the last checkpoint', async () => {
    await interrupt(nth('train', 'step', 5), { kill: true });
    await writeFile(join(progress(), '.train-000000006.safetensors.0123456789ab.tmp'), 'half');
    await mkdir(join(workspace.outputs, `.${out}.0123456789ab.tmp`));
    await writeFile(join(workspace.outputs, `.${out}.lock`), JSON.stringify({ host: 'gone', pid: 1 }));
    await expect(run({ mode: 'resume' })).rejects.toMatchObject({ code: 'PIPELINE_OUTPUT_BUSY' });
    await workspace.remove(`.${out}.lock`);
    expect(stepsOf(await expectResumed(), 'train')).toEqual([5, 6]);
  });
});

describe('what a job has left', () => {
  /** Changes one byte in the middle of the data. */
  async function corrupt(name: string): Promise<void> {
    const bytes = await readFile(join(progress(), name));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 100) ^ 1, bytes.length - 100);
    await writeFile(join(progress(), name), bytes);
  }

  it('is ignored where it is damaged: the state before, or the beginning of a stage, takes its place', async () => {
    await interrupt(nth('train', 'step', 4), { kill: true });
    expect((await readdir(progress())).filter((name) => name.startsWith('train-'))).toEqual(['train-000000002.safetensors']);
    await interrupt(nth('train', 'step', 3), { mode: 'resume' });
    expect((await readdir(progress())).filter((name) => name.startsWith('train-'))).toEqual(['train-000000004.safetensors', 'train-000000005.safetensors']);
    await corrupt('train-000000005.safetensors');
    await truncate(join(progress(), 'block-00001.safetensors'), 5000);
    const events = await expectResumed();
    expect(stepsOf(events, 'train')).toEqual([5, 6]);
    expect(events.filter((event) => event.type === 'progress' && event.stage === 'emulate')).toHaveLength(7);
  });

  it('is in the way of a job that says nothing of it, is refused to another job or device, and can be thrown away', async () => {
    await interrupt(nth('train', 'step', 1));
    await expect(run({})).rejects.toMatchObject({ code: 'PIPELINE_RESUME_NEEDED' });
    await expect(run({ mode: 'resume' }, out, { seed: 5 })).rejects.toMatchObject({ code: 'PIPELINE_RESUME_MISMATCH', message: expect.stringContaining('job') });
    await expect(run({ mode: 'resume', provenance: { program: 'emloc test', device: 'another' } })).rejects.toMatchObject({
      code: 'PIPELINE_RESUME_MISMATCH', message: expect.stringContaining('"another"'),
    });
    expect(stepsOf(await expectResumed({ mode: 'restart' }), 'train')).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('is nothing where it has no more than a name: any job begins there', async () => {
    await mkdir(progress());
    await writeFile(join(progress(), 'job.json'), JSON.stringify({ job: 'x', program: 'y', device: 'z' }));
    await expectResumed();
  });
});

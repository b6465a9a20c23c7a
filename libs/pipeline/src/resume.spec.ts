import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { holdPlace, logFileName } from '@emloc/checkpoint';
import { MemoryBudget } from '@emloc/device';

import { leaveCrash, outputPaths, takeSnapshot } from '../test/crash.js';
import { cpuTarget, openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import { logEntriesIn } from './job/log-entry.js';
import { stageNames, type JobEvent, type StageName } from './job/observer.js';
import { prepareJob } from './job/prepare-job.js';
import type { TuneOptions } from './options/resolve.js';
import { fitMemory } from './plan/fit-memory.js';
import { tune, type TuneHost } from './tune.js';

const files = [
  'adapter_model.safetensors',
  'adapter_config.json',
  'emloc.json',
  'README.md',
  'uncorrected/adapter_model.safetensors',
];
const shape: Partial<TuneOptions> = {
  steps: 4,
  refineSteps: 3,
  batch: 2,
  maxLength: 32,
  calibrationRows: 2,
  correction: 'auto',
};
const { reserve } = MemoryBudget.prototype;

let workspace: Workspace;
/** Of one run without an interruption. */
let whole: Readonly<Record<string, string>>;
/** Its events, each with the progress on disk at that moment. */
let moments: readonly { readonly event: JobEvent; readonly snapshot: string }[];
let leastBytes: number;
const budgets = new Set<MemoryBudget>();

beforeAll(async () => {
  MemoryBudget.prototype.reserve = function reserveOf(
    this: MemoryBudget,
    ...args: Parameters<typeof reserve>
  ) {
    budgets.add(this);
    return reserve.apply(this, args);
  };
  workspace = await openWorkspace();
  ({ whole, moments } = await runWhole());
  expect(budgets.size).toBeGreaterThan(0);
  leastBytes = await leastBudget();
});

afterEach(() => {
  for (const budget of budgets) expect(budget.inUseBytes).toBe(0);
  budgets.clear();
});

afterAll(async () => {
  MemoryBudget.prototype.reserve = reserve;
  await workspace.close();
});

async function runWhole(): Promise<{ whole: typeof whole; moments: typeof moments }> {
  const seen: { event: JobEvent; snapshot: string }[] = [];
  const out = join(workspace.outputs, 'whole');
  const observer = (event: JobEvent): void => {
    const snapshot = join(workspace.outputs, '..', 'snapshots', String(seen.length));
    takeSnapshot(out, snapshot);
    seen.push({ event, snapshot });
  };
  await run('whole', {}, { observer, checkpointSteps: 1 });
  return { whole: await digests('whole'), moments: seen };
}

async function leastBudget(): Promise<number> {
  const job = await prepareJob(workspace.options(shape));
  try {
    return (await fitMemory({ job, profile: cpuTarget().profile, budgetBytes: 2 ** 40 }))
      .neededBytes;
  } finally {
    await job.close();
  }
}

/** Runs the job to an output of this name; returns what it told. */
async function run(
  name: string,
  overrides: Partial<TuneOptions> = {},
  host: Partial<TuneHost> = {},
): Promise<readonly JobEvent[]> {
  const events: JobEvent[] = [];
  const observer = (event: JobEvent): void => {
    events.push(event);
    host.observer?.(event);
  };
  await tune(
    workspace.options({ ...shape, out: join(workspace.outputs, name), ...overrides }),
    tuneHost({ ...host, observer }),
  );
  return events;
}

async function digests(name: string): Promise<Readonly<Record<string, string>>> {
  const digest = async (file: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(join(workspace.outputs, name, file)))
      .digest('hex');
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file, await digest(file)] as const)),
  );
}

/** Names beside the outputs that belong to this one. */
async function entriesOf(name: string): Promise<readonly string[]> {
  return (await readdir(workspace.outputs))
    .filter((entry) => entry === name || entry.startsWith(`.${name}.`))
    .sort();
}

async function expectWhole(name: string): Promise<void> {
  expect(await digests(name)).toEqual(whole);
  expect(await loggedSteps(name)).toEqual({ train: [1, 2, 3, 4], refine: [1, 2, 3] });
  expect(await entriesOf(name)).toEqual([name]);
}

/** Of the output's log. */
async function loggedSteps(name: string): Promise<Readonly<Record<string, readonly number[]>>> {
  const entries = logEntriesIn(await readFile(join(workspace.outputs, name, logFileName), 'utf8'));
  const stepsOf = (stage: StageName): number[] =>
    entries.flatMap((entry) =>
      entry.event === 'step' && entry.stage === stage ? [entry.step] : [],
    );
  return { train: stepsOf('train'), refine: stepsOf('refine') };
}

/** What a run did: blocks factorised and steps taken, by stage. */
function workOf(events: readonly JobEvent[]): {
  readonly factorised: number;
  readonly steps: Readonly<Record<'train' | 'refine', readonly number[]>>;
} {
  const stepsOf = (stage: StageName): number[] =>
    events.flatMap((event) => (event.type === 'step' && event.stage === stage ? [event.step] : []));
  return {
    factorised: events.filter((event) => event.type === 'progress' && event.task === 'factorising')
      .length,
    steps: { train: stepsOf('train'), refine: stepsOf('refine') },
  };
}

function errorOf(running: Promise<unknown>): Promise<unknown> {
  return running.then(
    () => null,
    (error: unknown) => error,
  );
}

function causesOf(error: unknown): readonly unknown[] {
  return error instanceof Error && error.cause !== undefined
    ? [error.cause, ...causesOf(error.cause)]
    : [];
}

/** mulberry32: numbers in [0, 1) from a seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A moment within a stage, neither its first nor after its last: an index into `moments`. */
function momentIn(stage: StageName, seed: number): number {
  const within = moments.flatMap(({ event }, index) =>
    (event.type === 'progress' || event.type === 'step') && event.stage === stage ? [index] : [],
  );
  expect(within.length).toBeGreaterThan(2);
  return within[1 + Math.floor(randomOf(seed)() * (within.length - 2))] ?? Number.NaN;
}

/** The moment at which a stage has taken so many steps. */
function momentAfter(stage: StageName, step: number): string {
  const next = moments.find(
    ({ event }) => event.type === 'step' && event.stage === stage && event.step === step + 1,
  );
  expect(next).toBeDefined();
  return next?.snapshot ?? '';
}

/** Of a job on texts, which has no front. */
const textStages = stageNames.filter((stage) => stage !== 'front');
const whereSeeded = textStages.map((stage, index) => [stage, index + 1] as const);

describe('a job that is aborted', () => {
  it.each(whereSeeded)(
    'within %s (seed %i) goes on at another budget to the bytes of one run',
    async (stage, seed) => {
      const name = `aborted-${stage}`;
      const abort = new AbortController();
      const stop = momentIn(stage, seed);
      let told = 0;
      const observer = (): void => {
        if (told === stop) abort.abort(new Error('stopped'));
        told += 1;
      };
      const [before, after] = seed % 2 === 0 ? [leastBytes, 2 ** 30] : [2 ** 30, leastBytes];
      const error = await errorOf(
        run(name, { vramBytes: before }, { observer, signal: abort.signal, checkpointSteps: 1000 }),
      );
      expect(error).toMatchObject({
        code: 'PIPELINE_INTERRUPTED',
        message: expect.stringContaining('--resume'),
      });
      expect(causesOf(error)).toContain(abort.signal.reason);
      expect(told).toBeGreaterThan(stop);
      expect(await entriesOf(name)).toEqual([`.${name}.job`]);
      await run(name, { vramBytes: after, prefetch: false }, { mode: 'resume' });
      await expectWhole(name);
    },
  );

  it('several times in a row goes on each time, repeating no step', async () => {
    const taken: number[] = [];
    for (let stop = 1; stop <= 3; stop += 1) {
      const abort = new AbortController();
      const observer = (event: JobEvent): void => {
        if (event.type !== 'step' || event.stage !== 'train') return;
        taken.push(event.step);
        abort.abort(new Error('stopped'));
      };
      const aborted = run(
        'often',
        {},
        { observer, signal: abort.signal, mode: stop === 1 ? 'start' : 'resume' },
      );
      await expect(aborted).rejects.toMatchObject({ code: 'PIPELINE_INTERRUPTED' });
    }
    const { steps, factorised } = workOf(await run('often', {}, { mode: 'resume' }));
    expect([...taken, ...steps.train]).toEqual([1, 2, 3, 4]);
    expect(factorised).toBe(0);
    await expectWhole('often');
  });

  it('keeps its date where it goes on without one, and refuses another', async () => {
    const abort = new AbortController();
    const observer = (event: JobEvent): void => {
      if (event.type === 'step') abort.abort(new Error('stopped'));
    };
    await expect(run('dated', {}, { observer, signal: abort.signal })).rejects.toMatchObject({
      code: 'PIPELINE_INTERRUPTED',
    });
    await expect(run('dated', { date: '2026-02-01' }, { mode: 'resume' })).rejects.toMatchObject({
      code: 'PIPELINE_RESUME_MISMATCH',
    });
    await run('dated', { date: null }, { mode: 'resume' });
    await expectWhole('dated');
  });
});

describe('a job that is killed', () => {
  it.each(whereSeeded.filter(([stage]) => ['emulate', 'train', 'correct'].includes(stage)))(
    'within %s (seed %i) leaves a lock and half-written files, and goes on to the bytes of one run',
    async (stage, seed) => {
      const name = `killed-${stage}`;
      await leaveCrash(
        join(workspace.outputs, name),
        moments[momentIn(stage, seed + 100)]?.snapshot ?? '',
      );
      expect(await entriesOf(name)).toHaveLength(4);
      await run(name, { vramBytes: leastBytes }, { mode: 'resume' });
      await expectWhole(name);
    },
  );

  it('leaves what someone put where its output was to be', async () => {
    const { folder } = outputPaths(join(workspace.outputs, 'taken'));
    await leaveCrash(folder, momentAfter('refine', 2));
    await mkdir(folder);
    await writeFile(join(folder, 'adapter_config.json'), 'another');
    for (const overwrite of [false, true])
      await expect(run('taken', {}, { mode: 'resume', overwrite })).rejects.toMatchObject({
        code: 'PIPELINE_OUTPUT_EXISTS',
      });
    expect(await readFile(join(folder, 'adapter_config.json'), 'utf8')).toBe('another');
    await rm(folder, { recursive: true });
    await run('taken', {}, { mode: 'resume' });
    await expectWhole('taken');
  });

  it('by a state that cannot be written keeps the state before', async () => {
    const { progress } = outputPaths(join(workspace.outputs, 'unwritable'));
    const obstacle = join(progress, 'train-000000002.safetensors');
    const observer = (event: JobEvent): void => {
      if (event.type === 'step' && event.step === 2)
        mkdirSync(join(obstacle, 'in the way'), { recursive: true });
    };
    await expect(run('unwritable', {}, { observer, checkpointSteps: 1 })).rejects.toThrow(
      'train-000000002.safetensors',
    );
    await rm(obstacle, { recursive: true });
    expect((await readdir(progress)).filter((entry) => !entry.startsWith('block'))).toEqual([
      'job.json',
      'log.jsonl',
      'tensors.jsonl',
      'train-000000001.safetensors',
    ]);
    expect(workOf(await run('unwritable', {}, { mode: 'resume' })).steps.train).toEqual([2, 3, 4]);
    await expectWhole('unwritable');
  });
});

describe('damaged progress', () => {
  /** Lays the progress of a moment out for an output, with damage done to one of its files. */
  async function damaged(
    name: string,
    snapshot: string,
    file: string,
    damage: (path: string) => Promise<void>,
  ): Promise<void> {
    await leaveCrash(join(workspace.outputs, name), snapshot);
    await damage(join(outputPaths(join(workspace.outputs, name)).progress, file));
  }

  async function flipByte(path: string): Promise<void> {
    const bytes = await readFile(path);
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1;
    await writeFile(path, bytes);
  }

  const cutOff = (path: string): Promise<void> => truncate(path, 100);

  it.each([
    ['a bit of it is wrong', flipByte],
    ['it is cut off', cutOff],
  ])('of training gives way to the state before when %s', async (how, damage) => {
    const name = `state ${how}`;
    await damaged(name, momentAfter('train', 3), 'train-000000003.safetensors', damage);
    expect(workOf(await run(name, {}, { mode: 'resume' }))).toEqual({
      factorised: 0,
      steps: { train: [3, 4], refine: [1, 2, 3] },
    });
    await expectWhole(name);
  });

  it('of the emulator is made again block by block: one damaged, one missing, one that is another block', async () => {
    await damaged('factors', momentAfter('train', 3), 'block-00001.safetensors', flipByte);
    const { progress } = outputPaths(join(workspace.outputs, 'factors'));
    await rename(
      join(progress, 'block-00002.safetensors'),
      join(progress, 'block-00003.safetensors'),
    );
    expect(workOf(await run('factors', {}, { mode: 'resume' }))).toEqual({
      factorised: 3 * 7,
      steps: { train: [4], refine: [1, 2, 3] },
    });
    await expectWhole('factors');
  });

  it('of a finished stage lets the stage go on from its last state', async () => {
    await damaged('outcome', momentAfter('refine', 1), 'train.safetensors', cutOff);
    expect(workOf(await run('outcome', {}, { mode: 'resume' }))).toEqual({
      factorised: 0,
      steps: { train: [], refine: [2, 3] },
    });
    await expectWhole('outcome');
  });

  it('whose owner cannot be told is begun anew', async () => {
    await damaged('unnamed', momentAfter('train', 3), 'job.json', cutOff);
    expect(workOf(await run('unnamed', {}, { mode: 'resume' })).steps.train).toEqual([1, 2, 3, 4]);
    await expectWhole('unnamed');
  });
});

describe('progress of an interrupted job', () => {
  it.each([
    ['needs to be told what to do with it', 'PIPELINE_RESUME_NEEDED', {}, {}],
    [
      'is not gone on with by a job with other options',
      'PIPELINE_RESUME_MISMATCH',
      { seed: 7 },
      { mode: 'resume' },
    ],
    [
      'is not gone on with on another device',
      'PIPELINE_RESUME_MISMATCH',
      {},
      { mode: 'resume', provenance: { program: 'emloc test', device: 'abacus' } },
    ],
    [
      'is not gone on with by another program version',
      'PIPELINE_RESUME_MISMATCH',
      {},
      { mode: 'resume', provenance: { program: 'emloc 0', device: 'cpu' } },
    ],
  ] as const)('%s (%s), and stays as it is', async (name, code, overrides, host) => {
    const { folder, progress } = outputPaths(join(workspace.outputs, name));
    const snapshot = momentAfter('train', 2);
    await leaveCrash(folder, snapshot);
    const target = cpuTarget();
    await expect(run(name, overrides, { ...host, target })).rejects.toMatchObject({ code });
    expect(target.opened).toEqual([]);
    for (const file of await readdir(snapshot))
      expect(
        (await readFile(join(progress, file))).equals(await readFile(join(snapshot, file))),
      ).toBe(true);
    expect(await entriesOf(name)).toEqual([`.${name}.job`]);
  });

  it('is thrown away by a restart, of whichever job it is', async () => {
    await leaveCrash(join(workspace.outputs, 'restarted'), momentAfter('train', 2));
    const events = await run(
      'restarted',
      {},
      { mode: 'restart', provenance: { program: 'emloc test', device: 'cpu' } },
    );
    expect(workOf(events)).toEqual({
      factorised: 28,
      steps: { train: [1, 2, 3, 4], refine: [1, 2, 3] },
    });
    await expectWhole('restarted');
  });

  it("is no one else's to touch while a process holds the output", async () => {
    const { folder } = outputPaths(join(workspace.outputs, 'busy'));
    await leaveCrash(folder, momentAfter('train', 2));
    const { release } = await holdPlace(folder);
    const entries = await entriesOf('busy');
    for (const mode of ['start', 'resume', 'restart'] as const) {
      await expect(run('busy', {}, { mode })).rejects.toMatchObject({
        code: 'PIPELINE_OUTPUT_BUSY',
      });
    }
    expect(await entriesOf('busy')).toEqual(entries);
    await release();
  });
});

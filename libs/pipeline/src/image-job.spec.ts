import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors } from '@emloc/checkpoint';

import { cpuTarget, tuneHost } from '../test/fixtures.js';
import { evaluateModel } from './evaluate.js';
import { generateText } from './generate.js';
import type { JobEvent } from './job/observer.js';
import { prepareJob } from './job/prepare-job.js';
import type { TuneReport } from './job/tune-report.js';
import {
  resolveEvaluateOptions,
  resolveGenerateOptions,
  resolveTuneOptions,
  type TuneOptions,
} from './options/resolve.js';
import { fitMemory } from './plan/fit-memory.js';
import { planJob } from './plan/plan.js';
import { tune, type TuneHost } from './tune.js';

const example = (path: string): string =>
  fileURLToPath(new URL(`../../../examples/images/${path}`, import.meta.url));
const model = example('model');

let folder: string;
let data: string;
let validation: string;

/** Rows of the example with images, and one without among them. */
async function writeRows(name: string, from: number, to: number): Promise<string> {
  const path = join(folder, name);
  const lines = (await readFile(example('data/train.jsonl'), 'utf8')).split('\n').slice(from, to);
  const text = JSON.stringify({
    messages: [
      { role: 'user', content: 'What is it?' },
      { role: 'assistant', content: 'It is red.' },
    ],
  });
  const rows = lines.map((line) => {
    const row = JSON.parse(line) as { images: readonly string[] };
    return JSON.stringify({ ...row, images: row.images.map((image) => example(`data/${image}`)) });
  });
  await writeFile(path, [...rows, text].join('\n'));
  return path;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-image-job-'));
  data = await writeRows('train.jsonl', 0, 11);
  validation = await writeRows('validation.jsonl', 11, 15);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function optionsOf(name: string, overrides: Partial<TuneOptions> = {}): TuneOptions {
  return resolveTuneOptions({
    ...{ model, data, validation, out: join(folder, name), date: '2026-01-31' },
    ...{ steps: 2, batch: 3, calibrationRows: 6, rank: 4, learningRate: 1e-2, refineSteps: 1 },
    vramBytes: 2 ** 28,
    ...overrides,
  });
}

interface Run {
  readonly report: TuneReport;
  readonly events: readonly JobEvent[];
  readonly bytes: string;
}

async function run(
  name: string,
  overrides: Partial<TuneOptions> = {},
  host: Partial<TuneHost> = {},
): Promise<Run> {
  const events: JobEvent[] = [];
  const observer = (event: JobEvent): void => {
    events.push(event);
    host.observer?.(event);
  };
  const report = await tune(optionsOf(name, overrides), tuneHost({ ...host, observer }));
  const file = await readFile(join(folder, name, 'adapter_model.safetensors'));
  return { report, events, bytes: file.toString('base64') };
}

const stagesOf = ({ events }: Pick<Run, 'events'>): readonly string[] =>
  events.flatMap((event) =>
    event.type === 'stage' && event.state === 'started' ? event.stage : [],
  );

async function adaptedPaths(name: string): Promise<readonly string[]> {
  await using file = await openSafetensors(join(folder, name, 'adapter_model.safetensors'));
  return [...file.tensors.keys()].map((tensor) => tensor.replace(/\.lora_[AB]\.weight$/, ''));
}

describe('a job on rows with images', () => {
  let whole: Run;
  beforeAll(async () => {
    whole = await run('whole');
  });

  it('looks at each image once, before all else, and adapts the language model alone', async () => {
    expect(stagesOf(whole)).toEqual([
      'front',
      'calibrate',
      'emulate',
      'train',
      'correct',
      'refine',
    ]);
    expect(whole.report.validation.base).toBeGreaterThan(0);
    const paths = await adaptedPaths('whole');
    expect(paths.length).toBeGreaterThan(0);
    expect(paths.filter((path) => !path.includes('language_model'))).toEqual([]);
    const record = await readFile(join(folder, 'whole', 'emloc.json'), 'utf8');
    expect(JSON.parse(record)).toMatchObject({
      text: { images: { maxTiles: 6, exifOrientation: false } },
      lora: { alpha: 8 },
    });
  });

  it('takes what its plan says, and gives the same bytes in the least budget', async () => {
    await using job = await prepareJob(optionsOf('least'));
    const { profile } = cpuTarget();
    const { neededBytes } = await fitMemory({ job, profile, budgetBytes: 2 ** 40 });
    const least = await run('least', { vramBytes: neededBytes });
    expect(least.bytes).toBe(whole.bytes);
    expect(least.report.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
    const rate = { secondsPerFlop: 0, secondsPerByte: 0, secondsPerCall: 0 };
    const rates = {
      ...{ kernels: {}, otherwise: rate },
      ...{ uploadSecondsPerByte: 0, downloadSecondsPerByte: 0 },
    };
    const plan = await planJob({ job, profile, budgetBytes: 2 ** 28, rates });
    const peaks = (stages: TuneReport['stages']) =>
      stages.map(({ name, peakDeviceBytes }) => [name, peakDeviceBytes]);
    expect(peaks(plan.stages)).toEqual(peaks(whole.report.stages));
    await expect(run('less', { vramBytes: neededBytes - 1 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
    });
  });

  it('is refused before a device is touched where its images need more disk than they may', async () => {
    const target = cpuTarget();
    await expect(run('disk', { imageCacheBytes: 1000 }, { target })).rejects.toMatchObject({
      code: 'PIPELINE_DISK_FULL',
      message: expect.stringMatching(/option imageCacheBytes allows 1000 B/),
    });
    expect(target.opened).toEqual([]);
  });

  it.each(['front', 'train'] as const)(
    'goes on after it was stopped in %s, looking at no image twice',
    async (stage) => {
      const abort = new AbortController();
      const name = `stopped-${stage}`;
      const stopped = run(
        name,
        {},
        {
          signal: abort.signal,
          observer: (event) => {
            if (event.type === 'step' && event.stage === stage) abort.abort(new Error('stop'));
            if (event.type === 'progress' && event.stage === stage && event.done === event.total)
              abort.abort(new Error('stop'));
          },
        },
      );
      await expect(stopped).rejects.toMatchObject({ code: 'PIPELINE_INTERRUPTED' });
      const resumed = await run(name, {}, { mode: 'resume' });
      expect(resumed.bytes).toBe(whole.bytes);
      expect(stagesOf(resumed).includes('front')).toBe(stage === 'front');
    },
  );

  it('has anchors of rows with and without images, and the same bytes in the least budget', async () => {
    const anchored = { anchorSteps: 2, anchorRows: 6, refineSteps: 0, correction: 'none' } as const;
    const steps = (of: Run) =>
      of.events.flatMap((event) => (event.type === 'step' ? event.anchor : []));
    const some = await run('anchored', anchored);
    expect(steps(some)).toEqual([true, false]);
    await using job = await prepareJob(optionsOf('anchored-least', anchored));
    const { profile } = cpuTarget();
    const { neededBytes } = await fitMemory({ job, profile, budgetBytes: 2 ** 40 });
    const least = await run('anchored-least', { ...anchored, vramBytes: neededBytes });
    expect(least.bytes).toBe(some.bytes);
    expect(least.report.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
  });

  it('goes through the tower at every step where it, or the projector, is adapted', async () => {
    const targets = String.raw`.*(multi_modal_projector.*|layers\.5\.mlp\.down_proj|layer\.4\.attention\.q_proj)`;
    const name = 'through';
    const through = await run(name, { targets, ratios: ['1'] });
    expect(stagesOf(through)).toEqual(['train']);
    const paths = await adaptedPaths(name);
    expect(paths.some((path) => path.includes('multi_modal_projector'))).toBe(true);
    expect(paths.some((path) => path.includes('vision_tower'))).toBe(true);
    // Before the first step an adapter changes nothing: both ways see the same images.
    const fronted = await run('fronted', { ratios: ['1'] });
    expect(through.report.validation.base).toBeCloseTo(fronted.report.validation.base ?? 0, 5);
    expect(through.report.train.finalLoss).not.toBe(fronted.report.train.finalLoss);
  });

  it('emulates the tower where a rule names it', async () => {
    const emulated = await run('emulated', { ratios: ['.*vision_tower.*=0.5', '0.5'] });
    expect(stagesOf(emulated)).toEqual(['calibrate', 'emulate', 'train', 'correct', 'refine']);
    const record = await readFile(join(folder, 'emulated', 'emloc.json'), 'utf8');
    expect(record).toContain('vision_tower');
    expect(record).not.toMatch(/layers\.5\.mlp\.down_proj"/);
  });

  it('is scored and asked with its adapter as it was trained', async () => {
    const adapter = join(folder, 'whole');
    const host = { target: cpuTarget() };
    const evaluation = await evaluateModel(
      resolveEvaluateOptions({ ...{ model, adapter, data: validation, answers: 2 }, batch: 2 }),
      host,
    );
    expect(evaluation.loss).toBeCloseTo(whole.report.validation.refined ?? Number.NaN, 4);
    expect(evaluation.answers).toHaveLength(2);
    expect(evaluation.peakDeviceBytes).toBeLessThanOrEqual(evaluation.budgetBytes);
    const row = JSON.parse((await readFile(validation, 'utf8')).split('\n')[0] ?? '') as {
      readonly messages: readonly { readonly content: string }[];
      readonly images: readonly string[];
    };
    const answer = await generateText(
      resolveGenerateOptions({
        ...{ model, adapter, images: row.images },
        prompt: (row.messages[0]?.content ?? '').replace('<image>\n', ''),
      }),
      host,
    );
    expect(answer.text.trim()).toBe(evaluation.answers?.[0]?.answer);
  });
});

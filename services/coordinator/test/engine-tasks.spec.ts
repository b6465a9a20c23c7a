import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, toJson } from '@bufbuild/protobuf';
import { readPeftAdapter, writePeftAdapter } from '@emloc/checkpoint';
import {
  BuildEmulatorResultSchema,
  CorrectResultSchema,
  RefineResultSchema,
  TrainResultSchema,
} from '@emloc/contracts';
import { deviceTarget } from '@emloc/device-registry';
import { initialAdapter } from '@emloc/finetune';
import { openModel } from '@emloc/models';
import { adapterToRecord, resolveTuneOptions, tune, type TuneReport } from '@emloc/pipeline';

import { runEngineTask } from '../src/outcome/engine-tasks.js';

const examples = fileURLToPath(new URL('../../../examples/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'emloc-outcome-'));
const rows = readFileSync(join(examples, 'data/train.jsonl'), 'utf8').split('\n');
for (const [name, lines] of [
  ['train.jsonl', rows.slice(0, 8)],
  ['validation.jsonl', rows.slice(8, 10)],
] as const)
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An adapter that a job can begin from. */
const earlier = join(folder, 'earlier');
beforeAll(async () => {
  await using model = await openModel(join(examples, 'models/tiny-qwen2'));
  const shape = { rank: 3, alpha: 6, useRslora: true, targets: '.*\\.[qv]_proj' };
  await writePeftAdapter(earlier, initialAdapter(model.layout, shape, 5));
});

const optionsInto = (
  name: string,
  changes: Partial<Parameters<typeof resolveTuneOptions>[0]> = {},
) =>
  resolveTuneOptions({
    model: join(examples, 'models/tiny-qwen2'),
    data: join(folder, 'train.jsonl'),
    validation: join(folder, 'validation.jsonl'),
    out: join(folder, name),
    steps: 2,
    batch: 2,
    maxLength: 64,
    calibrationRows: 2,
    vramBytes: 2 ** 25,
    ...changes,
  });
const context = (
  request: (name: string) => Promise<unknown> = () => Promise.reject(new Error('not asked')),
) => ({ request: request as never, signal: new AbortController().signal, emit: () => undefined });
const target = deviceTarget('cpu', 1);
const provenance = { program: 'emloc test', device: 'cpu, a library, 1 threads' };

/** Of emloc.json. */
interface OutcomeRecord {
  readonly emulator: { readonly layers: readonly object[] } | null;
  readonly correction: { readonly chosen: string; readonly scores: Record<string, number> } | null;
  readonly refinement: { readonly steps: number; readonly kept: boolean } | null;
  readonly validation: Readonly<Record<string, number>>;
}

/** What stages would have answered for a job that `tune` ran, from what it wrote and reported. */
function resultsOf(
  { emulator, correction, refinement, validation }: OutcomeRecord,
  report: TuneReport,
) {
  const { courses } = report;
  const train = create(TrainResultSchema, {
    report: { device: provenance.device },
    train: {
      ...report.train,
      tokens: BigInt(report.train.tokens),
      course: messageOf(courses.train),
    },
    lossBefore: validation['emulator'] ?? validation['base'],
    lossAfter: validation['emulatorTuned'] ?? validation['uncorrected'],
  });
  return {
    train: toJson(TrainResultSchema, train),
    ...(emulator
      ? {
          emulate: toJson(
            BuildEmulatorResultSchema,
            create(BuildEmulatorResultSchema, {
              emulator: { layers: [...emulator.layers].reverse() },
            }),
          ),
        }
      : {}),
    ...(correction
      ? {
          correct: toJson(
            CorrectResultSchema,
            create(CorrectResultSchema, { correction, baseLoss: validation['base'] }),
          ),
        }
      : {}),
    ...(refinement
      ? {
          refine: toJson(
            RefineResultSchema,
            create(RefineResultSchema, {
              refinement: {
                ...{ steps: refinement.steps, kept: refinement.kept },
                course: courses.refine ? messageOf(courses.refine) : undefined,
              },
              loss: validation['refined'],
            }),
          ),
        }
      : {}),
  };
}

function messageOf({ curve, divergence, ...same }: TuneReport['courses']['train']) {
  return { ...same, curve: [...(curve ?? [])], divergence: divergence ?? '' };
}

const filesIn = (path: string): Map<string, Buffer> =>
  new Map(
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => [
        join(parentPath, name).slice(path.length),
        readFileSync(join(parentPath, name)),
      ]),
  );

test.each([
  ['with an emulator', {}],
  ['of plain LoRA', { ratios: ['1'] }],
  ['validated on the way', { evalSteps: 1 }],
  ['ended by patience', { evalSteps: 1, patience: 1, learningRate: 10 }],
  ['begun from an adapter', { initAdapter: earlier }],
  ['with anchors', { anchorSteps: 1, anchorRows: 4 }],
])('the outcome %s has the bytes that tune writes', async (_, changes) => {
  const report = await tune(optionsInto('tuned', changes), { target, provenance, overwrite: true });
  const record = JSON.parse(
    readFileSync(join(folder, 'tuned/emloc.json'), 'utf8'),
  ) as OutcomeRecord;
  const adapters: Record<string, string> = {
    adapter: join(folder, 'tuned'),
    uncorrected: join(folder, 'tuned/uncorrected'),
  };
  const answer = async (name: string) =>
    adapterToRecord(await readPeftAdapter(adapters[name] ?? ''));
  const options = optionsInto('assembled', changes);
  const result = await runEngineTask(
    {
      ...{ kind: 'outcome', options, results: resultsOf(record, report), choice: null },
      ...{ program: provenance.program, log: join(folder, 'tuned/log.jsonl') },
    },
    context(answer),
  );
  expect(result).toEqual({ kind: 'outcome', budgetBytes: report.budgetBytes });
  const [tuned, assembled] = [filesIn(join(folder, 'tuned')), filesIn(options.out)];
  expect([...tuned.keys()].sort()).toHaveLength(7);
  expect(assembled).toEqual(tuned);
});

test('model and rows are looked at, and any ratio below 1 makes an emulator', async () => {
  const inspect = (changes: Parameters<typeof optionsInto>[1]) =>
    runEngineTask({ kind: 'inspect', options: optionsInto('x', changes) }, context());
  expect(await inspect({})).toEqual({
    kind: 'inspect',
    isEmulated: true,
    isUndecided: false,
    decided: {
      ratios: ['0.5'],
      rank: 8,
      alpha: 16,
      learningRate: 2e-4,
      schedule: 'cosine',
      warmupRatio: 0.03,
      weightDecay: 0,
      gradientAccumulation: 1,
    },
    found: {
      kind: 'text',
      data: { rows: 8, isWhole: true, problems: [] },
      moreData: [],
      validation: { rows: 2, isWhole: true, problems: [] },
    },
  });
  expect(await inspect({ validation: null })).toMatchObject({
    isEmulated: true,
    found: { validation: null },
  });
  const data = join(folder, 'rows.csv');
  writeFileSync(data, 'question,answer\nHi,Hello\nBye,\n');
  expect(
    await inspect({ data, columns: 'prompt=question,completion=answer', validation: null }),
  ).toMatchObject({
    found: { data: { rows: 1, problems: [{ line: 3, field: 'completion' }] } },
  });
  await expect(inspect({ trainGuidance: 3.5 })).rejects.toMatchObject({
    code: 'PIPELINE_INVALID_OPTION',
  });
  expect(await inspect({ ratios: ['1'] })).toMatchObject({ kind: 'inspect', isEmulated: false });
  expect(await inspect({ ratios: ['.*nothing_like_it=0.5'] })).toMatchObject({
    kind: 'inspect',
    isEmulated: false,
  });
  expect(await inspect({ ratios: ['.*q_proj=0.5', '1'] })).toMatchObject({
    kind: 'inspect',
    isEmulated: true,
  });
  const short = join(folder, 'short-model');
  cpSync(join(examples, 'models/tiny-qwen2'), short, { recursive: true });
  const config = JSON.parse(readFileSync(join(short, 'config.json'), 'utf8')) as object;
  writeFileSync(
    join(short, 'config.json'),
    JSON.stringify({ ...config, max_position_embeddings: 48 }),
  );
  expect(await inspect({ model: short, maxLength: null })).toMatchObject({ isEmulated: true });
  await expect(inspect({ model: short, maxLength: 49 })).rejects.toMatchObject({
    code: 'PIPELINE_INVALID_OPTION',
  });
  await expect(inspect({ rank: 5000 })).rejects.toMatchObject({
    code: 'PIPELINE_INVALID_OPTION',
    message: expect.stringMatching(/^option rank: 5000 given, at most \d+, /),
  });
  await expect(inspect({ maxLength: 10_000_000 })).rejects.toMatchObject({
    code: 'PIPELINE_INVALID_OPTION',
  });
  await expect(inspect({ targets: 'none' })).rejects.toMatchObject({
    code: 'FINETUNE_INVALID_OPTION',
  });
  await expect(inspect({ model: folder })).rejects.toMatchObject({
    code: expect.stringMatching(/^(CHECKPOINT|MODEL)_/),
  });
});

describe('an adapter to begin from', () => {
  const inspect = (changes: Parameters<typeof optionsInto>[1]) =>
    runEngineTask(
      { kind: 'inspect', options: optionsInto('x', { initAdapter: earlier, ...changes }) },
      context(),
    );

  test('decides what the job does not say', async () => {
    expect(await inspect({})).toMatchObject({
      decided: { rank: 3, alpha: 6, useRslora: true, targets: '(.*\\.)?(q_proj|v_proj)' },
    });
    expect(await inspect({ rank: 3, targets: '.*[qv]_proj' })).toMatchObject({
      decided: { alpha: 6, useRslora: true },
    });
  });

  test.each([
    ['another rank', { rank: 8 }, 'PIPELINE_INVALID_OPTION', /^option rank: 8 given, 3, as/],
    ['other targets', { targets: '.*k_proj' }, 'PIPELINE_INVALID_OPTION', /initAdapter: it has no/],
    [
      'none there',
      { initAdapter: join(folder, 'none') },
      'CHECKPOINT_NOT_FOUND',
      /adapter_config\.json/,
    ],
    [
      'rows for it',
      { initAdapter: join(folder, 'train.jsonl') },
      'CHECKPOINT_INVALID_FILE',
      /train\.jsonl/,
    ],
  ])('is refused with %s, in a step of its own', async (_name, changes, code, message) => {
    const steps: string[] = [];
    const refused = runEngineTask(
      { kind: 'inspect', options: optionsInto('x', { initAdapter: earlier, ...changes }) },
      { ...context(), emit: (step) => void steps.push(step) },
    );
    await expect(refused).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
    expect(steps).toEqual(['options', 'model', 'targets', 'initAdapter']);
  });
});

test('a plan is made for the device that is asked for', async () => {
  const result = await runEngineTask(
    { kind: 'plan', options: optionsInto('y', { vramBytes: 2 ** 30 }), device: 'cpu', threads: 1 },
    context(),
  );
  expect(result).toMatchObject({ kind: 'plan', plan: { fits: true, budgetBytes: 2 ** 30 } });
});

import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { useResidentEmloc } from './resident-emloc.js';
import { runEmloc, type Interruption, type Run } from './run-emloc.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const model = join(root, 'examples/models/tiny-qwen2');

let folder: string;
let outputs: string;
let data: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-cli-'));
  outputs = join(folder, 'outputs');
  data = join(folder, 'data.jsonl');
  await mkdir(outputs);
  const lines = (await readFile(join(root, 'examples/data/train.jsonl'), 'utf8'))
    .split('\n')
    .slice(0, 48);
  await writeFile(data, `${lines.join('\n')}\n`);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const resident = useResidentEmloc();
const emloc = (args: readonly string[]): Promise<Run> => resident(args, { folder });
/** Runs the command as a user does. */
const ownProcess = (args: readonly string[], interruption?: Interruption): Promise<Run> =>
  runEmloc(args, { folder, interruption });

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await emloc([...args, '--json']);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const job = (): string[] => [
  '--model',
  model,
  '--data',
  data,
  '--steps',
  '2',
  '--batch',
  '4',
  '--calibration',
  '4',
  '--max-length',
  '64',
];
const aNumber: unknown = expect.any(Number);

describe('emloc', () => {
  it('tunes, scores, and merges with one JSON document each', async () => {
    const adapter = join(outputs, 'adapter');
    const report = await json('tune', ...job(), '--out', adapter, '--vram', '1GiB');
    expect(report).toEqual({
      job: expect.any(String),
      date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      sourceRows: 48,
      droppedRows: 0,
      truncatedRows: 48,
      adapter,
      budgetBytes: 2 ** 30,
      peakDeviceBytes: aNumber,
      stages: ['calibrate', 'emulate', 'train', 'correct', 'refine'].map((name) => ({
        name,
        seconds: aNumber,
        peakDeviceBytes: aNumber,
      })),
      validation: {
        base: aNumber,
        emulator: aNumber,
        emulatorTuned: aNumber,
        uncorrected: aNumber,
        corrected: aNumber,
        refined: aNumber,
      },
      correction: {
        chosen: expect.stringMatching(/^(none|1|3|10)$/),
        scores: { none: aNumber, 1: aNumber, 3: aNumber, 10: aNumber },
      },
      emulator: {
        parameters: aNumber,
        originalParameters: aNumber,
        worstLayer: { name: expect.any(String), relativeError: aNumber },
      },
      train: { steps: 2, tokens: aNumber, tokensPerSecond: aNumber, finalLoss: aNumber },
      ending: 'sound',
      courses: {
        train: { curve: null, chosenStep: 2, divergence: null, stoppedEarly: false },
        refine: { curve: null, chosenStep: 1, divergence: null, stoppedEarly: false },
      },
      choice: null,
    });
    expect((await readdir(adapter)).sort()).toEqual([
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'emloc.json',
      'log.jsonl',
      'report.html',
      'run.json',
      'uncorrected',
    ]);

    const keys = {
      loss: aNumber,
      perplexity: aNumber,
      tokenAccuracy: aNumber,
      exactMatch: aNumber,
      rows: 5,
      tokens: aNumber,
      peakDeviceBytes: aNumber,
      seconds: aNumber,
    };
    const base = await json('eval', '--model', model, '--data', data, '--limit', '5');
    const tuned = await json(
      'eval',
      '--model',
      model,
      '--adapter',
      adapter,
      '--data',
      data,
      '--limit',
      '5',
    );
    for (const evaluation of [base, tuned]) expect(evaluation).toMatchObject(keys);
    expect(tuned['loss']).not.toBe(base['loss']);
    expect(tuned['tokens']).toBe(base['tokens']);

    const asked = ['--prompt', 'Who?', '--max-new-tokens', '5', '--adapter', adapter];
    const answer = await json('generate', '--model', model, ...asked);
    expect(answer).toMatchObject({ text: expect.any(String), seconds: aNumber, finish: 'length' });
    const { stdout } = await emloc(['generate', '--model', model, ...asked]);
    expect(stdout).toBe(`${String(answer['text'])}\n`);

    const merged = join(outputs, 'merged');
    await json(
      'merge',
      '--model',
      model,
      '--adapter',
      adapter,
      '--out',
      merged,
      '--dtype',
      'float32',
    );
    const mergedScore = await json('eval', '--model', merged, '--data', data, '--limit', '5');
    expect(Math.abs(Number(mergedScore['loss']) - Number(tuned['loss']))).toBeLessThan(1e-4);
  });

  it('plans, and says with exit code 0 that a job does not fit', async () => {
    const shape = {
      budgetBytes: aNumber,
      stages: expect.arrayContaining([
        { name: 'train', peakDeviceBytes: aNumber, seconds: aNumber },
      ]),
    };
    expect(await json('plan', ...job(), '--vram', '1GiB')).toMatchObject({ fits: true, ...shape });
    const config = join(folder, 'plan.yaml');
    await writeFile(config, 'vram: 100KB\nratio: 0.25\n');
    expect(await json('plan', ...job(), '--config', config)).toMatchObject({
      fits: false,
      ...shape,
      budgetBytes: 100_000,
    });
  });

  it('plans for a CUDA card on any machine', async () => {
    const plan = await json('plan', ...job(), '--device', 'cuda', '--vram', '2GiB');
    expect(plan).toMatchObject({ fits: true, budgetBytes: 2 ** 31 });
    for (const { seconds } of plan['stages'] as { seconds: number }[])
      expect(seconds).toBeGreaterThan(0);
  });

  it('plans for a card that is not there, in its memory, and says that it estimates', async () => {
    const plan = await json('plan', ...job(), '--card', 'rtx4090');
    expect(plan).toMatchObject({ fits: true, card: { name: 'rtx4090', isEstimate: true } });
    expect(plan['budgetBytes']).toBeGreaterThan(22 * 2 ** 30);
    expect(plan['ways']).toEqual([
      expect.objectContaining({ name: 'emulator', fits: true, stepSeconds: aNumber }),
      { name: 'paged', fits: false, reason: 'all weights stay on the device' },
      expect.objectContaining({ name: 'resident', fits: true, seconds: aNumber }),
    ]);
    const { stdout } = await emloc(['plan', ...job(), '--card', 'l4', '--vram', '8GiB']);
    expect(stdout).toMatch(/ way .* peak\n +emulator /);
    expect(stdout).toMatch(/fits into 8\.00 GiB .*\n.*estimates, from the data sheet of NVIDIA L4/);
  });

  it('tells what it finds', async () => {
    expect(await json('info', '--device', 'cpu')).toMatchObject({
      version: expect.any(String),
      node: process.version,
      device: { name: 'cpu', computeDType: 'float32' },
    });
  });

  it('stops at SIGINT at the start with an exit code of its own and leaves nothing', async () => {
    const out = join(outputs, 'interrupted');
    const { code, stdout } = await ownProcess(
      ['tune', ...job(), '--vram', '1GiB', '--out', out, '--json'],
      { signal: 'SIGINT', moment: /job [0-9a-f]{16}/ },
    );
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect((await readdir(outputs)).filter((name) => name.includes('interrupted'))).toEqual([]);
  });

  const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGKILL: null };
  /** Many short steps, so that a signal comes while there are some left. */
  const longJob = (): string[] => [
    ...job(),
    ...['--steps', '80', '--batch', '1', '--max-length', '32', '--refine-steps', '1'],
    ...['--vram', '1GiB', '--checkpoint-steps', '5', '--json'],
    ...['--date', '2026-11-02'], // The same on both sides of midnight.
  ];

  /** The step of the last state that a job to this output has saved in training; 0: none. */
  function savedStep(out: string): number {
    const progress = join(outputs, `.${basename(out)}.job`);
    const names = existsSync(progress) ? readdirSync(progress) : [];
    return Math.max(0, ...names.map((name) => Number(/^train-(\d+)\./.exec(name)?.[1] ?? 0)));
  }

  it('goes on after SIGINT, SIGTERM, SIGHUP and SIGKILL in training with --resume, to the bytes of one run', async () => {
    const [whole, out] = [join(outputs, 'whole'), join(outputs, 'stopped')];
    expect(await emloc(['tune', ...longJob(), '--out', whole])).toMatchObject({ code: 0 });
    const goesOn: unknown = expect.stringMatching(/train goes on after step [1-9]/);
    for (const [count, signal] of (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const).entries()) {
      const before = savedStep(out);
      const mode = count === 0 ? [] : ['--resume'];
      const interrupted = await ownProcess(['tune', ...longJob(), ...mode, '--out', out], {
        signal,
        moment: () => savedStep(out) > before,
      });
      expect(interrupted).toMatchObject({ code: exitCodes[signal], stdout: '' });
      if (count > 0) expect(interrupted.stderr).toEqual(goesOn);
      if (signal !== 'SIGKILL')
        expect(interrupted.stderr).toMatch(/PIPELINE_INTERRUPTED: .*--resume/);
      expect(existsSync(out)).toBe(false);
    }
    await refusesOthersThanItsOwn(out);
    const resumed = await emloc(['tune', ...longJob(), '--resume', '--out', out]);
    expect(resumed).toMatchObject({ code: 0, stderr: goesOn });
    for (const name of ['adapter_model.safetensors', 'adapter_config.json', 'emloc.json']) {
      expect((await readFile(join(out, name))).equals(await readFile(join(whole, name)))).toBe(
        true,
      );
    }
    expect((await readdir(outputs)).filter((name) => name.includes('stopped'))).toEqual([
      'stopped',
    ]);
  });

  /** A job that was interrupted there is gone on with, when that is asked for, and by no other. */
  async function refusesOthersThanItsOwn(out: string): Promise<void> {
    expect((await emloc(['tune', ...longJob(), '--out', out])).stderr).toMatch(
      /PIPELINE_RESUME_NEEDED/,
    );
    const other = ['tune', ...longJob(), '--seed', '7', '--resume', '--out', out];
    expect((await emloc(other)).stderr).toMatch(/PIPELINE_RESUME_MISMATCH/);
  }

  it('says of a job that has ended that it is done', async () => {
    const out = join(outputs, 'stopped');
    expect(await json('tune', ...longJob(), '--resume', '--out', out)).toEqual({
      job: expect.stringMatching(/^[0-9a-f]{16}$/),
      adapter: out,
      done: true,
    });
  });

  it.each([
    ['no command', () => [], /Usage/],
    ['an unknown command', () => ['tnue'], /unknown command/],
    ['an unknown flag', () => ['tune', '--learning-rate', '1'], /unknown option/],
    ['a missing flag', () => ['tune', '--model', model, '--json'], /--data, --out/],
    [
      'a size that is none',
      () => ['plan', '--model', model, '--data', data, '--vram', 'lots', '--json'],
      /lots/,
    ],
    ['an unknown card', () => ['plan', ...job(), '--card', 'gtx1080'], /rtx3090, .*h100/],
    [
      'a card for a job that runs',
      () => ['tune', ...job(), '--card', 'h100', '--out', join(outputs, 'card')],
      /CLI_USAGE: .*--card.*an option of plan/,
    ],
    [
      'more memory than a card has',
      () => ['plan', ...job(), '--card', 'l4', '--vram', '25GiB'],
      /CLI_USAGE: --vram 25\.00 GiB .*NVIDIA L4 has 24\.00 GiB/,
    ],
    ['an unknown device', () => ['info', '--device', 'abacus', '--json'], /abacus/],
    [
      'a folder that is no model',
      () => ['eval', '--model', folder, '--data', data, '--json'],
      /CHECKPOINT_|config\.json/,
    ],
    [
      'a budget that is too small',
      () => ['tune', ...job(), '--vram', '100KB', '--out', join(outputs, 'small'), '--json'],
      /PIPELINE_DOES_NOT_FIT/,
    ],
  ])('refuses %s: exit code not 0, nothing on stdout', async (_name, args, message) => {
    const { code, stdout, stderr } = await emloc(args());
    expect({ code: code !== 0, stdout }).toEqual({ code: true, stdout: '' });
    expect(stderr).toMatch(message);
  });

  it('explains a command with an example', async () => {
    const { code, stdout } = await emloc(['tune', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('Example:\n  emloc tune');
  });
});

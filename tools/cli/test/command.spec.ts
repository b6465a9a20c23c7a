import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const model = join(root, 'examples/models/tiny-qwen2');
let folder: string;
let data: string;

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as a user does. `stopWhen` interrupts it at a line on stderr. */
function emloc(args: readonly string[], stopWhen?: RegExp): Promise<Outcome> {
  const child = spawn(process.execPath, [join(root, 'tools/cli/bin/emloc.cjs'), ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  let isStopped = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (isStopped || !stopWhen?.test(stderr)) return;
    isStopped = true;
    child.kill('SIGINT');
  });
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, stdout, stderr })));
}

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { status, stdout, stderr } = await emloc([...args, '--json']);
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const jobFlags = ['--steps', '4', '--batch', '4', '--max-length', '96', '--calibration', '8', '--lr', '3e-3'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-command-'));
  data = join(folder, 'rows.jsonl');
  await writeFile(data, readFileSync(join(root, 'examples/data/train.jsonl'), 'utf8').split('\n').slice(0, 60).join('\n'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the emloc command', () => {
  it('plans, tunes, evaluates and merges, each with one JSON document on stdout', async () => {
    const plan = await json(['plan', '--model', model, '--data', data, '--vram', '16MiB', ...jobFlags]);
    expect(Object.keys(plan)).toEqual(expect.arrayContaining(['fits', 'budgetBytes', 'stages']));
    const tuned = await json(['tune', '--model', model, '--data', data, '--out', 'adapter', '--vram', '16MiB', ...jobFlags]);
    expect(Object.keys(tuned)).toEqual(['job', 'adapter', 'budgetBytes', 'peakDeviceBytes', 'stages', 'validation', 'correction', 'emulator', 'train']);
    expect(tuned).toMatchObject({ adapter: join(folder, 'adapter'), budgetBytes: 16 * 2 ** 20, train: { steps: 4 } });
    const names = (document: Record<string, unknown>) => (document['stages'] as { name: string }[]).map(({ name }) => name);
    expect(names(tuned)).toEqual(['calibrate', 'emulate', 'train', 'correct', 'refine']);
    expect(names(plan)).toEqual(names(tuned));
    const peaks = (document: Record<string, unknown>) => (document['stages'] as { peakDeviceBytes: number }[]).map(({ peakDeviceBytes }) => peakDeviceBytes);
    peaks(tuned).forEach((peak, index) => {
      expect(peaks(plan)[index]).toBeGreaterThanOrEqual(peak);
      expect(peaks(plan)[index]).toBeLessThanOrEqual(1.05 * peak);
    });
    expect(Object.keys(tuned['validation'] as object)).toEqual(['base', 'emulator', 'emulatorTuned', 'uncorrected', 'corrected', 'refined']);
    expect(Object.keys((tuned['correction'] as { scores: object }).scores).sort()).toEqual(['1', '10', '3', 'none']);

    const base = await json(['eval', '--model', model, '--data', data, '--limit', '20']);
    expect(Object.keys(base)).toEqual(expect.arrayContaining(['loss', 'perplexity', 'tokenAccuracy', 'exactMatch', 'rows', 'tokens', 'peakDeviceBytes', 'seconds']));
    expect(base).toMatchObject({ rows: 20 });
    const adapted = await json(['eval', '--model', model, '--adapter', 'adapter', '--data', data, '--limit', '20', '--answers', '1']);
    expect(adapted['loss']).toBeLessThan(base['loss'] as number);
    expect(adapted['answers']).toHaveLength(1);

    await json(['merge', '--model', model, '--adapter', 'adapter', '--out', 'merged', '--dtype', 'float32']);
    const merged = await json(['eval', '--model', 'merged', '--data', data, '--limit', '20']);
    expect(merged['loss']).toBeCloseTo(adapted['loss'] as number, 4);
  });

  it('says that a job does not fit, as a plan with status 0 and as a run with an error', async () => {
    const plan = await json(['plan', '--model', model, '--data', data, '--vram', '1MiB', ...jobFlags]);
    expect(plan).toMatchObject({ fits: false, budgetBytes: 2 ** 20 });
    const { status, stdout, stderr } = await emloc(['tune', '--model', model, '--data', data, '--out', 'unfit', '--vram', '1MiB', ...jobFlags, '--json']);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('PIPELINE_DOES_NOT_FIT');
    expect(existsSync(join(folder, 'unfit'))).toBe(false);
  });

  it('plans for a CUDA card on any machine', async () => {
    const plan = await json(['plan', '--model', model, '--data', data, '--device', 'cuda', '--vram', '2GiB', ...jobFlags]);
    expect(plan).toMatchObject({ fits: true, budgetBytes: 2 ** 31 });
    for (const { seconds } of plan['stages'] as { seconds: number }[]) expect(seconds).toBeGreaterThan(0);
  });

  it('reads a config file, lets flags win over it and refuses unknown keys', async () => {
    const config = join(folder, 'job.yaml');
    await writeFile(config, `model: ${model}\ndata: ${data}\nsteps: 4\nbatch: 4\nmax-length: 96\ncalibration: 8\nratio: ['.*mlp.*=0.4', '0.5']\nvram: 1MiB\n`);
    const plan = await json(['plan', '--config', config, '--vram', '20MiB']);
    expect(plan).toMatchObject({ fits: true, budgetBytes: 20 * 2 ** 20 });
    await writeFile(config, 'modell: x\n');
    const { status, stdout, stderr } = await emloc(['plan', '--config', config, '--json']);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(`config file ${config}: unknown key "modell"`);
  });

  it.each([
    [['tune', '--model', 'm'], /missing: --data, --out/],
    [['tune', '--steps', 'many'], /steps/],
    [['eval', '--model', '/nowhere', '--data', '/nowhere'], /CHECKPOINT_NOT_FOUND/],
    [['plan', '--vram', '3 potatoes'], /potatoes/],
    [['unknown'], /unknown command/],
  ])('ends with an error and nothing on stdout for %j', async (args, message) => {
    const { status, stdout, stderr } = await emloc(args);
    expect(status).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
  });

  it('stops at an interrupt and leaves nothing behind', async () => {
    const { status, stdout } = await emloc(
      ['tune', '--model', model, '--data', data, '--out', 'interrupted', '--vram', '16MiB', ...jobFlags, '--steps', '5000', '--json'], /train: started/,
    );
    expect({ status, stdout }).toEqual({ status: 130, stdout: '' });
    expect(existsSync(join(folder, 'interrupted'))).toBe(false);
    expect(existsSync(join(folder, '.interrupted.factors'))).toBe(false);
  });
});

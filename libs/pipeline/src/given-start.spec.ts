import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@emloc/checked';
import { readPeftAdapter } from '@emloc/checkpoint';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { JobEvent } from './job/observer.js';
import { prepareJob } from './job/prepare-job.js';
import type { TuneReport } from './job/tune-report.js';
import type { TuneOptions } from './options/resolve.js';
import { tune, type TuneHost } from './tune.js';

const small: Partial<TuneOptions> = { batch: 2, maxLength: 32, calibrationRows: 2 };
const targets = '.*\\.(q_proj|v_proj)';
/** Nothing is said of what the adapter has. */
const begun: Partial<TuneOptions> = {
  ...{ ...small, rank: null, alpha: null, steps: 3, refineSteps: 1, evalSteps: 2 },
};

let workspace: Workspace;
let [first, other] = ['', ''];

const placeOf = (name: string): string => join(workspace.outputs, name);

beforeAll(async () => {
  workspace = await openWorkspace();
  [first, other] = [placeOf('first'), placeOf('other')];
  const plain = { ...small, targets, steps: 1, refineSteps: 0 };
  await run('first', plain);
  await run('other', { ...plain, seed: 1 });
});

afterAll(() => workspace.close());

function run(
  name: string,
  options: Partial<TuneOptions>,
  host: Partial<TuneHost> = {},
): Promise<TuneReport> {
  return tune(workspace.options({ ...options, out: placeOf(name) }), tuneHost(host));
}

const weightsOf = (name: string): Promise<string> =>
  readFile(join(placeOf(name), 'adapter_model.safetensors'), 'base64');

describe('a job that begins from an adapter', () => {
  const snapshots: string[] = [];
  let report: TuneReport;

  beforeAll(async () => {
    const observer = (event: JobEvent): void => {
      if (event.type !== 'step' || event.stage !== 'train') return;
      snapshots.push(join(workspace.outputs, '..', 'snapshots', String(snapshots.length)));
      takeSnapshot(placeOf('whole'), snapshots.at(-1) ?? '');
    };
    const host = { observer, checkpointSteps: 1 };
    report = await run('whole', { ...begun, initAdapter: first }, host);
  });

  it('has its rank, alpha and targets, and says which it was', async () => {
    const record = await readFile(join(placeOf('whole'), 'emloc.json'), 'utf8');
    const { lora } = JSON.parse(record) as { lora: Record<string, unknown> };
    expect(lora).toEqual({
      ...{ rank: 4, alpha: 8, dropout: 0, useRslora: false },
      ...{ targets: '(.*\\.)?(q_proj|v_proj)' },
      start: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    });
  });

  it('validates it as the start, beside the base model', () => {
    const start = report.courses.train.curve?.at(0);
    expect(start?.step).toBe(0);
    expect(start?.loss).not.toBe(report.validation.emulator);
  });

  it('goes on from it to equal bytes, not from another', async () => {
    const snapshot = snapshots[2] ?? '';
    const resumed = { mode: 'resume' } as const;
    await leaveCrash(placeOf('another'), snapshot);
    await expect(run('another', { ...begun, initAdapter: other }, resumed)).rejects.toMatchObject({
      code: 'PIPELINE_RESUME_MISMATCH',
    });
    await leaveCrash(placeOf('killed'), snapshot);
    // A copy is the same adapter.
    await cp(first, placeOf('copy'), { recursive: true });
    await run('killed', { ...begun, initAdapter: placeOf('copy') }, resumed);
    expect(await weightsOf('killed')).toBe(await weightsOf('whole'));
  });

  it('starts at its values', async () => {
    const still = { ...small, steps: 1, ratios: ['1'], learningRate: 1e-12 };
    await run('still', { ...still, rank: null, alpha: null, initAdapter: first });
    const { layers } = await readPeftAdapter(placeOf('still'));
    const given = await readPeftAdapter(first);
    expect([...layers.keys()].sort()).toEqual([...given.layers.keys()].sort());
    for (const [path, { a, b }] of layers) {
      const start = get(given.layers, path);
      const moved = [...a.map((value, i) => value - (start.a[i] ?? Number.NaN))];
      moved.push(...b.map((value, i) => value - (start.b[i] ?? Number.NaN)));
      expect(Math.max(...moved.map(Math.abs))).toBeLessThan(1e-9);
      expect(start.b.some((value) => value !== 0)).toBe(true);
    }
  });
});

describe('an adapter to begin from is refused', () => {
  const refusal = async (options: Partial<TuneOptions>): Promise<unknown> => {
    const asked = { ...small, rank: null, alpha: null, initAdapter: first, ...options };
    const job = await prepareJob(workspace.options(asked)).catch((error: unknown) => error);
    if (job instanceof Error) return job.message;
    await (job as AsyncDisposable)[Symbol.asyncDispose]();
    return null;
  };

  it('of another shape than the job says', async () => {
    expect(await refusal({ rank: 4, alpha: 8, targets })).toBeNull();
    expect(await refusal({ rank: 8 })).toContain('option rank: 8 given, 4, as option initAdapter');
    expect(await refusal({ alpha: 4 })).toContain(
      'option alpha: 4 given, 8, as option initAdapter',
    );
    expect(await refusal({ useRslora: true })).toContain('option useRslora: true given, false');
    expect(await refusal({ targets: '.*\\.q_proj' })).toMatch(
      /initAdapter: it has the layer \S+v_proj, which option targets leaves out/,
    );
    expect(await refusal({ targets: '.*_proj' })).toMatch(
      /initAdapter: it has no layer \S+, which option targets selects/,
    );
  });

  it.each([
    ['magnitudes that are not there', { use_dora: true }, 'lacks'],
    ['whole modules', { modules_to_save: ['lm_head'] }, 'modules_to_save is'],
    ['alphas of layers', { alpha_pattern: { q_proj: 3 } }, 'has alpha'],
  ])('with %s', async (name, changes, message) => {
    const folder = placeOf(`with ${name}`);
    await cp(first, folder, { recursive: true });
    const path = join(folder, 'adapter_config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...config, ...changes }));
    expect(await refusal({ initAdapter: folder })).toContain(message);
  });

  it('where there is none', async () => {
    expect(await refusal({ initAdapter: placeOf('nothing') })).toContain('adapter_config.json');
  });
});

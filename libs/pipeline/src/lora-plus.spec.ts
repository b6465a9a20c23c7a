import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { JobEvent } from './job/observer.js';
import { resolveTuneOptions, type TuneOptions } from './options/resolve.js';
import { tune, type TuneHost } from './tune.js';

const small: Partial<TuneOptions> = {
  ...{ batch: 2, maxLength: 32, calibrationRows: 2, loraPlusRatio: 16 },
};
const leveled: Partial<TuneOptions> = {
  ...{ ...small, steps: null, refineSteps: null, levels: '0.2:2,0.4:1,1:2' },
};

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

async function run(
  name: string,
  options: Partial<TuneOptions>,
  host: Partial<TuneHost> = {},
): Promise<readonly string[]> {
  const out = join(workspace.outputs, name);
  await tune(workspace.options({ ...options, out }), tuneHost(host));
  const names = ['adapter_model', 'uncorrected/adapter_model'];
  return Promise.all(names.map((file) => readFile(join(out, `${file}.safetensors`), 'base64')));
}

describe('a job whose B learns faster than its A', () => {
  it('goes through levels and refinement to equal bytes, killed or not', async () => {
    const snapshots: string[] = [];
    const out = join(workspace.outputs, 'whole');
    const observer = (event: JobEvent): void => {
      if (event.type !== 'step') return;
      snapshots.push(join(workspace.outputs, '..', 'snapshots', String(snapshots.length)));
      takeSnapshot(out, snapshots.at(-1) ?? '');
    };
    const expected = await run('whole', leveled, { observer, checkpointSteps: 1 });
    expect(snapshots).toHaveLength(5);
    for (const index of [2, 4]) {
      await leaveCrash(join(workspace.outputs, `killed-${index}`), snapshots[index] ?? '');
      expect(await run(`killed-${index}`, leveled, { mode: 'resume' })).toEqual(expected);
    }
    expect(await run('plain', { ...leveled, loraPlusRatio: 1 })).not.toEqual(expected);
    const record = await readFile(join(out, 'emloc.json'), 'utf8');
    expect(JSON.parse(record)).toMatchObject({ training: { loraPlusRatio: 16 } });
  });

  it('is refined at the same ratio', async () => {
    const [refined] = await run('refined', { ...small, steps: 1, refineSteps: 2 });
    const [unrefined] = await run('unrefined', { ...small, steps: 1, refineSteps: 0 });
    expect(refined).not.toEqual(unrefined);
  });

  it('is refused with Prodigy and below 1', () => {
    const paths = { model: 'model', data: 'data.jsonl', out: 'out' };
    const resolve = (options: Partial<TuneOptions>) => () =>
      resolveTuneOptions({ ...paths, ...options });
    expect(resolve({ loraPlusRatio: 2, optimizer: 'prodigy' })).toThrow(
      'option loraPlusRatio: 2 given, no option optimizer prodigy, which finds one rate',
    );
    expect(resolve({ loraPlusRatio: 0.5 })).toThrow('option loraPlusRatio: 0.5 given, at least 1');
    expect(resolve({ loraPlusRatio: 1, optimizer: 'prodigy' })).not.toThrow();
  });
});

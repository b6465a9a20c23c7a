import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { JobEvent } from './job/observer.js';
import { resolveTuneOptions, type TuneOptions } from './options/resolve.js';
import { tune, type TuneHost } from './tune.js';

const small: Partial<TuneOptions> = {
  ...{ batch: 2, maxLength: 32, calibrationRows: 2, gradientAccumulation: 2, loraDropout: 0.25 },
};

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

async function run(
  name: string,
  options: Partial<TuneOptions> = {},
  host: Partial<TuneHost> = {},
): Promise<string> {
  const out = join(workspace.outputs, name);
  await tune(workspace.options({ ...small, ...options, out }), tuneHost(host));
  return readFile(join(out, 'adapter_model.safetensors'), 'base64');
}

describe('a job with dropout', () => {
  it('comes to equal bytes, killed in training or refinement or not, and says so in its config', async () => {
    const out = join(workspace.outputs, 'whole');
    const snapshots: string[] = [];
    const observer = (event: JobEvent): void => {
      if (event.type !== 'step') return;
      snapshots.push(join(workspace.outputs, '..', 'dropout', String(snapshots.length)));
      takeSnapshot(out, snapshots.at(-1) ?? '');
    };
    const expected = await run('whole', {}, { observer, checkpointSteps: 1 });
    expect(snapshots).toHaveLength(3);
    await leaveCrash(join(workspace.outputs, 'killed'), snapshots.at(1) ?? '');
    expect(await run('killed', {}, { mode: 'resume' })).toBe(expected);
    const read = async (file: string): Promise<unknown> =>
      JSON.parse(await readFile(join(out, file), 'utf8'));
    expect(await read('adapter_config.json')).toMatchObject({ lora_dropout: 0.25 });
    expect(await read('emloc.json')).toMatchObject({ lora: { dropout: 0.25 } });
  });

  it('takes what is planned, with the same bytes, and is another one without', async () => {
    const [least, most] = [await run('least', { vramBytes: null }), await run('most')];
    expect(least).toBe(most);
    expect(await run('plain', { loraDropout: 0 })).not.toBe(most);
  });

  it('has a probability below 1', () => {
    const resolve = (loraDropout: number) => () =>
      resolveTuneOptions({ model: 'm', data: 'd', out: 'o', loraDropout });
    for (const value of [1, -0.1, Number.NaN])
      expect(resolve(value)).toThrow(/^option loraDropout: .* given, at least 0 and below 1/);
    expect(resolve(0)).not.toThrow();
  });
});

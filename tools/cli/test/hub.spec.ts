import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultCommit, HubServer, hubTokens } from '@emloc/hub/testing';

import { useResidentEmloc } from './resident-emloc.js';
import { runEmloc, type Interruption, type Run } from './run-emloc.js';

const example = fileURLToPath(new URL('../../../examples/models/tiny-qwen2', import.meta.url));
const row = '{"prompt":"Hi","completion":" there"}\n';

let folder: string;
let server: HubServer;
let files: Record<string, Uint8Array>;
beforeAll(async () => {
  const names = await readdir(example);
  const read = async (name: string) => [name, await readFile(join(example, name))] as const;
  files = Object.fromEntries(await Promise.all(names.map(read)));
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-hub-'));
  await writeFile(join(folder, 'rows.jsonl'), row.repeat(64));
  server = await HubServer.start({ name: 'owner/tiny', files });
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const resident = useResidentEmloc();
const environment = (): Record<string, string> => ({
  HF_ENDPOINT: server.endpoint,
  HF_HOME: join(folder, 'hf'),
});
const emloc = (
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<Run> => resident(args, { folder, env: { ...environment(), ...more } });
/** Runs the command as a user does. */
const ownProcess = (args: readonly string[], interruption?: Interruption): Promise<Run> =>
  runEmloc(args, { folder, env: environment(), interruption });

describe('--model with a hub name', () => {
  it('downloads the model once, and needs no network for it afterwards', async () => {
    const fetched = await ownProcess(['fetch', 'owner/tiny@main', '--json']);
    expect([fetched.code, JSON.parse(fetched.stdout)]).toEqual([
      0,
      {
        name: 'owner/tiny',
        commit: defaultCommit,
        folder: expect.stringContaining(join(folder, 'hf', 'hub', 'models--owner--tiny')),
      },
    ]);
    const args = ['--model', 'owner/tiny', '--data', 'rows.jsonl', '--max-length', '16'];
    const plan = await emloc(['plan', ...args, '--vram', '64MiB', '--json'], {
      HF_HUB_OFFLINE: '1',
    });
    expect([plan.code, JSON.parse(plan.stdout), plan.stderr]).toEqual([
      0,
      expect.objectContaining({ fits: true }),
      expect.stringContaining(`model owner/tiny, commit ${defaultCommit}`),
    ]);
  });

  it('records name and commit, and no path, and the adapter merges into the same name', async () => {
    const model = ['--model', 'owner/tiny'];
    const brief = [
      '--max-length',
      '16',
      '--steps',
      '1',
      '--refine-steps',
      '0',
      '--calibration',
      '4',
    ];
    const tuned = await emloc([
      ...['tune', ...model, '--data', 'rows.jsonl', '--out', 'adapter', ...brief],
      ...['--correction', 'none', '--threads', '1', '--device', 'cpu', '--json'],
    ]);
    expect(tuned).toMatchObject({ code: 0 });
    const [record, config] = await Promise.all(
      ['emloc.json', 'adapter_config.json'].map((name) =>
        readFile(join(folder, 'adapter', name), 'utf8'),
      ),
    );
    expect(JSON.parse(record ?? '')).toMatchObject({
      baseModel: { name: 'owner/tiny', revision: defaultCommit },
    });
    expect(JSON.parse(config ?? '')).toMatchObject({
      base_model_name_or_path: 'owner/tiny',
      revision: defaultCommit,
    });
    expect(`${record}${config}`).not.toContain(folder);
    const merged = await emloc(
      ['merge', ...model, '--adapter', 'adapter', '--out', 'merged', '--json'],
      { HF_HUB_OFFLINE: '1' },
    );
    expect(merged).toMatchObject({ code: 0 });
    expect(await readdir(join(folder, 'merged'))).toEqual(
      expect.arrayContaining([...Object.keys(files), 'emloc.json']),
    );
  });

  it('takes the local folder of that name, and says so', async () => {
    await mkdir(join(folder, 'owner', 'tiny'), { recursive: true });
    for (const [name, contents] of Object.entries(files))
      await writeFile(join(folder, 'owner', 'tiny', name), contents);
    const { code, stderr } = await emloc(['data', 'rows.jsonl', '--model', 'owner/tiny']);
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining('the local folder owner/tiny is used'),
    ]);
    expect(server.requests).toEqual([]);
  });

  it('says where the licence of a gated model is accepted, and never the token', async () => {
    server.serve({ name: 'owner/tiny', files, access: 'gated' });
    const { code, stdout, stderr } = await emloc(
      ['data', 'rows.jsonl', '--model', 'owner/tiny', '--json'],
      { HF_TOKEN: hubTokens.account },
    );
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^error: HUB_GATED: owner\/tiny is gated/);
    expect(stderr).toContain(`${server.endpoint}/owner/tiny`);
    expect(stderr).not.toContain(hubTokens.account);
  });

  it('keeps what was downloaded when it is interrupted, and goes on from there', async () => {
    server.disturbances.push({ at: 'model.safetensors?', stallAfterBytes: 1_000_000 });
    const args = ['data', 'rows.jsonl', '--model', 'owner/tiny', '--limit', '1'];
    const blobs = join(folder, 'hf', 'hub', 'models--owner--tiny', 'blobs');
    // Files get other names meanwhile.
    const sizeOf = (name: string): number =>
      statSync(join(blobs, name), { throwIfNoEntry: false })?.size ?? 0;
    const hasHalf = (): boolean =>
      existsSync(blobs) && readdirSync(blobs).some((name) => sizeOf(name) >= 1_000_000);
    const stopped = await ownProcess(args, { signal: 'SIGINT', moment: hasHalf });
    expect([stopped.code, stopped.stderr]).toEqual([
      130,
      expect.stringContaining('HUB_INTERRUPTED'),
    ]);
    expect(await emloc(args)).toMatchObject({ code: 0 });
    const ranges = server.requests.filter(({ path }) => path.includes('model.safetensors?'));
    expect(ranges.map(({ range }) => range)).toEqual([
      null,
      expect.stringMatching(/^bytes=[1-9]\d*-$/),
    ]);
  });
});

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PushServer } from '@emloc/hub/testing';

import { useResidentEmloc } from './resident-emloc.js';
import { runEmloc, type Run } from './run-emloc.js';

/** Hashed and sent from disk, piece by piece. */
const weightBytes = 12_000_000;

let folder: string;
let server: PushServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-push-'));
  server = await PushServer.start();
  server.partBytes = 8_000_000;
  await mkdir(join(folder, 'adapter'));
  await writeFile(join(folder, 'adapter', 'adapter_config.json'), '{}');
  await writeFile(join(folder, 'adapter', 'adapter_model.safetensors'), 'w'.repeat(weightBytes));
  await writeFile(join(folder, 'adapter', 'log.jsonl'), '{}');
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const resident = useResidentEmloc();
const push = (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  run = resident,
): Promise<Run> =>
  run(['push', 'adapter', ...args], {
    folder,
    env: {
      ...{ HF_ENDPOINT: server.endpoint, HF_HOME: join(folder, 'hf'), HF_TOKEN: server.token },
      ...env,
    },
  });

describe('emloc push', () => {
  it('sends an adapter, says what it sent and left out, and never the token', async () => {
    const { code, stdout, stderr } = await push(
      ['owner/mine', '--json', '--message', 'First'],
      {},
      runEmloc,
    );
    expect([code, JSON.parse(stdout || '{}'), stderr]).toEqual([
      0,
      {
        name: 'owner/mine',
        url: `${server.endpoint}/owner/mine`,
        revision: 'main',
        commit: server.repositories.get('owner/mine')?.commits[0]?.oid,
        isPrivate: true,
        sent: ['adapter_config.json', 'adapter_model.safetensors'],
        unchanged: [],
        leftOut: [{ path: 'log.jsonl', why: 'not on the list' }],
      },
      // How far it is, where the machine is slow.
      expect.stringMatching(/^((hashing|sending) for owner\/mine, MiB \d+\/12\n)*$/),
    ]);
    expect(server.asked('storage', 'PUT')).toHaveLength(2);
    const again = await push(['owner/mine']);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('nothing to send')]);
    expect(await readFile(join(folder, 'adapter', 'log.jsonl'), 'utf8')).toBe('{}');
    expect(`${stdout}${stderr}${again.stdout}${again.stderr}`).not.toContain(server.token);
  });

  it('ends with 1 where it is refused, with 2 where it was called wrongly, and names no token', async () => {
    const refused = await push(['others/mine']);
    const wrong = await push(['mine']);
    const unknown = await push(['owner/mine'], { HF_TOKEN: 'hf_of_another' });
    expect([refused, wrong, unknown].map(({ code, stdout }) => [code, stdout])).toEqual([
      [1, ''],
      [2, ''],
      [1, ''],
    ]);
    expect(refused.stderr).toMatch(/^error: HUB_ACCESS_DENIED: /);
    expect(wrong.stderr).toMatch(/^error: HUB_OPTION_INVALID: /);
    expect(refused.stderr + unknown.stderr).not.toMatch(/hf_/);
  });

  it('ends as a signal says, before anything was committed', async () => {
    let isThere = false;
    server.disturbances.push({ at: 'PUT /', status: 503, before: () => (isThere = true) });
    const { code, stderr } = await runEmloc(['push', 'adapter', 'owner/mine'], {
      folder,
      interruption: { signal: 'SIGINT', moment: () => isThere },
      env: { HF_ENDPOINT: server.endpoint, HF_HOME: folder, HF_TOKEN: server.token },
    });
    expect([code, stderr]).toEqual([130, expect.stringContaining('HUB_INTERRUPTED')]);
    expect(server.repositories.get('owner/mine')?.commits).toEqual([]);
  });
});

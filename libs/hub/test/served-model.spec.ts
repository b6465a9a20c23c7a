import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { servedModelFolder, type HubMode } from '../src/served-model.js';
import { defaultCommit, HubServer } from '../src/testing/index.js';

describe('a model that a service is asked for', () => {
  let server: HubServer;
  let home: string;

  beforeEach(async () => {
    server = await HubServer.start({
      name: 'owner/model',
      files: { 'config.json': '{}', 'model.safetensors': 'weights' },
    });
    home = mkdtempSync(join(tmpdir(), 'hub-served-'));
  });
  afterEach(async () => {
    await server.close();
    rmSync(home, { recursive: true, force: true });
  });

  const folderOf = (model: string, mode: HubMode): Promise<string> =>
    servedModelFolder(model, {
      mode,
      env: { HF_ENDPOINT: server.endpoint, HF_HOME: home },
      home: () => home,
      program: 'test/1',
    });
  const repository = (): string => join(home, 'hub', 'models--owner--model');
  const snapshot = (): string => join(repository(), 'snapshots', defaultCommit);

  it.each<HubMode>(['off', 'cache', 'download'])('stays where a path leads: %s', async (mode) => {
    await expect(folderOf('/models/owner', mode)).resolves.toBe('/models/owner');
    expect(server.requests).toEqual([]);
  });

  it('is refused by its name where names are off', async () => {
    await expect(folderOf('owner/model@v1', 'off')).rejects.toMatchObject({
      code: 'HUB_REFUSED',
      message: expect.stringMatching(/^owner\/model@v1: /) as string,
    });
  });

  it('is taken from the cache, or refused by its name without the paths of the host', async () => {
    const refused = folderOf(`owner/model@${defaultCommit}`, 'cache');
    await expect(refused).rejects.toMatchObject({
      code: 'HUB_NOT_CACHED',
      message: expect.stringContaining(`owner/model@${defaultCommit} lacks`) as string,
    });
    await expect(folderOf('owner/model', 'cache')).rejects.not.toThrow(home);
    mkdirSync(snapshot(), { recursive: true });
    for (const name of ['config.json', 'model.safetensors'])
      writeFileSync(join(snapshot(), name), '{}');
    const found = folderOf(`owner/model@${defaultCommit}`, 'cache');
    await expect(found).resolves.toBe(snapshot());
    expect(server.requests).toEqual([]);
  });

  it('is downloaded where that is allowed', async () => {
    await expect(folderOf('owner/model', 'download')).resolves.toBe(snapshot());
  });
});

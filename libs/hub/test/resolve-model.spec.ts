import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

import { resolveModel, type ResolvedModel } from '../src/resolve-model.js';
import { hubSettings } from '../src/settings.js';

describe('a model that is asked for', () => {
  let home: string;
  let notices: string[];
  const started = process.cwd();

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'hub-resolve-'));
    process.chdir(home);
    mkdirSync(join(home, 'owner', 'local'), { recursive: true });
    notices = [];
  });
  afterEach(() => {
    process.chdir(started);
    rmSync(home, { recursive: true });
  });

  const resolve = (model: string): Promise<ResolvedModel> =>
    resolveModel(model, {
      settings: () => hubSettings({ HF_HOME: home, HF_HUB_OFFLINE: '1' }, home),
      program: 'test/1',
      onNotice: (message) => notices.push(message),
    });

  it('is the local folder where one has the name of a hub, which is said', async () => {
    await expect(resolve('owner/local')).resolves.toEqual({ folder: 'owner/local', hub: null });
    expect(notices).toEqual([
      'the local folder owner/local is used, not the model of that name on a hub; ./owner/local says so',
    ]);
  });

  it.each(['./owner/local', '.', 'owner', 'no/such/folder', './none/none', '/none/none', 'none'])(
    'stays as it is where it is a path: %s',
    async (path) => {
      await expect(resolve(path)).resolves.toEqual({ folder: path, hub: null });
      expect(notices).toEqual([]);
    },
  );

  it('is looked up on the hub where there is no such folder, which the error says', async () => {
    await expect(resolve('owner/none')).rejects.toMatchObject({
      code: 'HUB_NOT_CACHED',
      message: expect.stringMatching(
        /^owner\/none is not in .*; nor is there a local folder owner\/none$/,
      ) as string,
    });
  });

  it('is looked up on the hub where it names a revision, which a folder has not', async () => {
    await expect(resolve('owner/local@main')).rejects.toMatchObject({ code: 'HUB_NOT_CACHED' });
    expect(notices).toEqual([
      'owner/local@main is looked up on the hub: it names a revision, which the local folder owner/local has not',
    ]);
  });
});

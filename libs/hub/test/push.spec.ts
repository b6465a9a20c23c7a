import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import type { HubError } from '../src/errors.js';
import {
  pushFolder,
  type Pushed,
  type PushHost,
  type PushOptions,
} from '../src/push/push-folder.js';
import { hubSettings } from '../src/settings.js';
import { PushServer } from '../src/testing/index.js';

const weights = 'w'.repeat(9000) + 'end';
const adapter: Readonly<Record<string, string>> = {
  'adapter_config.json': '{"r":8}',
  'adapter_model.safetensors': weights,
  'emloc.json': '{}',
  'README.md': '# mine',
};

describe('a push', () => {
  let server: PushServer;
  let home: string;
  let notices: string[];
  beforeEach(async () => {
    server = await PushServer.start();
    home = mkdtempSync(join(tmpdir(), 'push-'));
    notices = [];
    write(adapter);
  });
  afterEach(async () => {
    await server.close();
    rmSync(home, { recursive: true, force: true });
  });

  const folder = (...parts: string[]): string => join(home, 'adapter', ...parts);
  const write = (files: Readonly<Record<string, string>>): void => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(folder(path)), { recursive: true });
      writeFileSync(folder(path), text);
    }
  };
  const push = (
    options: Partial<PushOptions> = {},
    { env = {}, ...host }: Partial<PushHost> & { readonly env?: Record<string, string> } = {},
  ): Promise<Pushed> => {
    const variables = { HF_ENDPOINT: server.endpoint, HF_HOME: home, HF_TOKEN: server.token };
    return pushFolder(
      {
        ...{ folder: folder(), name: 'owner/mine', revision: null, message: null },
        isPublic: false,
        ...options,
      },
      {
        settings: hubSettings({ ...variables, ...env }, home),
        program: 'test/1',
        signal: new AbortController().signal,
        policy: { attempts: 3, firstDelayMs: 1 },
        onNotice: (message) => notices.push(message),
        onProgress: () => undefined,
        ...host,
      },
    );
  };
  const failure = (pushed: Promise<Pushed>): Promise<HubError> =>
    pushed.then(
      () => Promise.reject(new Error('it did not fail')),
      (error: HubError) => error,
    );
  const commits = (): number => server.repositories.get('owner/mine')?.commits.length ?? 0;

  it('makes a private repository, sends large files to the storage and commits once', async () => {
    const progress: number[] = [];
    const pushed = await push(
      {},
      { onProgress: ({ phase, doneBytes }) => phase === 'sending' && progress.push(doneBytes) },
    );
    const repository = server.repositories.get('owner/mine');
    expect(repository).toMatchObject({
      isPrivate: true,
      commits: [{ branch: 'main', summary: 'Upload adapter with test 1', oid: pushed.commit }],
    });
    expect(server.files('owner/mine')).toMatchObject(adapter);
    expect(pushed).toMatchObject({
      url: `${server.endpoint}/owner/mine`,
      sent: Object.keys(adapter).sort(),
      unchanged: [],
      leftOut: [],
    });
    // Three parts, then what joins them, then the commit.
    expect(server.asked('storage', 'PUT')).toHaveLength(3);
    expect(server.asked('hub', 'POST')).toEqual([
      '/api/repos/create',
      '/api/models/owner/mine/preupload/main',
      '/owner/mine.git/info/lfs/objects/batch',
      '/complete',
      '/api/models/owner/mine/commit/main',
    ]);
    expect(Math.max(...progress)).toBe(weights.length);
  });

  it('sends nothing again that is there, and commits nothing where that is all', async () => {
    const first = await push();
    server.requests.length = 0;
    expect(await push()).toMatchObject({
      commit: first.commit,
      sent: [],
      unchanged: Object.keys(adapter).sort(),
    });
    expect(server.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
    write({ 'README.md': '# ours' });
    expect(await push()).toMatchObject({ sent: ['README.md'] });
    expect([server.asked('storage', 'PUT'), commits()]).toEqual([[], 2]);
  });

  it('sends only files on its list, and tells the others', async () => {
    write({
      'log.jsonl': '{}',
      'report.html': 'x',
      'run.json': '{}',
      '.emloc/state.json': '{}',
      'progress/model.safetensors': 'x',
      'tokenizer.json': '{}',
    });
    writeFileSync(join(home, 'secret.json'), 'secret');
    symlinkSync(join(home, 'secret.json'), folder('config.json'));
    symlinkSync('README.md', folder('LICENSE'));
    const { sent, leftOut } = await push();
    expect(sent).toEqual([...Object.keys(adapter), 'LICENSE', 'tokenizer.json'].sort());
    expect(new Map(leftOut.map(({ path, why }) => [path, why]))).toEqual(
      new Map([
        ['.emloc', 'hidden'],
        ['config.json', 'leads out of the folder'],
        ['log.jsonl', 'not on the list'],
        ['progress/', 'not on the list'],
        ['report.html', 'not on the list'],
        ['run.json', 'not on the list'],
      ]),
    );
    expect(Object.keys(server.files('owner/mine')).sort()).toEqual(
      ['.gitattributes', ...sent].sort(),
    );
  });

  it('sends a checkpoint of diffusers with its folders', async () => {
    rmSync(folder(), { recursive: true });
    const files = {
      'model_index.json': '{}',
      'transformer/config.json': '{}',
      'transformer/diffusion_pytorch_model-00001-of-00001.safetensors': weights,
      'transformer/diffusion_pytorch_model.safetensors.index.json': '{}',
      'tokenizer_2/spiece.model': 'x',
    };
    write(files);
    expect(await push()).toMatchObject({ sent: Object.keys(files).sort(), leftOut: [] });
  });

  it('makes a branch, and leaves main as it is', async () => {
    await push();
    write({ 'README.md': '# second' });
    expect(await push({ revision: 'v2', message: 'Better' })).toMatchObject({
      revision: 'v2',
      sent: ['README.md'],
    });
    expect(server.repositories.get('owner/mine')?.commits).toMatchObject([
      { branch: 'main' },
      { branch: 'v2', summary: 'Better' },
    ]);
    expect([
      server.files('owner/mine')['README.md'],
      server.files('owner/mine', 'v2')['README.md'],
    ]).toEqual(['# mine', '# second']);
  });

  it('goes on after an interruption with what the storage has not', async () => {
    write({ 'chat_template.jinja': 't'.repeat(2000) });
    const abort = new AbortController();
    server.disturbances.push({
      at: 'POST /complete',
      before: () => abort.abort(new Error('stop')),
    });
    expect(await failure(push({}, { signal: abort.signal }))).toMatchObject({
      code: 'HUB_INTERRUPTED',
    });
    expect(commits()).toBe(0);
    const stored = server.stored.size;
    server.requests.length = 0;
    await push();
    expect([commits(), server.files('owner/mine')]).toEqual([1, expect.objectContaining(adapter)]);
    // The joined file was stored before its answer was lost.
    expect(stored).toBeGreaterThan(0);
    expect(server.asked('storage', 'PUT').length).toBeLessThan(2);
  });

  it.each([
    'POST /api/repos/create',
    'PUT /',
    'POST /complete',
    'POST /owner/mine.git',
    'POST /api/models/owner/mine/commit',
  ])('repeats %s when it was busy or its answer was lost', async (at) => {
    server.disturbances.push({ at, status: 503 }, { at, loseAnswer: true });
    await push();
    expect(server.files('owner/mine')).toMatchObject(adapter);
    expect(server.disturbances).toEqual([]);
  });

  it('does not commit a file that was changed while it was sent', async () => {
    server.disturbances.push({
      at: 'PUT /',
      before: () => appendFileSync(folder('README.md'), 'more'),
    });
    const error = await failure(push());
    expect([error.code, error.message]).toEqual([
      'HUB_FILE_CHANGED',
      expect.stringContaining('README.md'),
    ]);
    expect(commits()).toBe(0);
  });

  it('says so where a file is gone before it was read', async () => {
    server.disturbances.push({ at: 'POST /api/repos', before: () => rmSync(folder('emloc.json')) });
    expect(await failure(push())).toMatchObject({ code: 'HUB_FILE_CHANGED' });
    expect(commits()).toBe(0);
  });

  it('sends nothing to a repository that is public, unless that is meant', async () => {
    await push({ isPublic: true });
    write({ 'README.md': '# secret' });
    expect(await failure(push())).toMatchObject({ code: 'HUB_REPOSITORY_PUBLIC' });
    expect(server.files('owner/mine')['README.md']).toBe('# mine');
    expect(await push({ isPublic: true })).toMatchObject({ isPrivate: false, sent: ['README.md'] });
  });

  it('leaves a private repository private, and says so', async () => {
    await push();
    expect(await push({ isPublic: true })).toMatchObject({ isPrivate: true });
    expect(notices).toEqual([expect.stringContaining('stays so')]);
  });

  it.each([
    ['HUB_NAME_TAKEN', { name: 'owner/taken' }, {}],
    ['HUB_ACCESS_DENIED', { name: 'others/mine' }, {}],
    ['HUB_ACCESS_DENIED', {}, { HF_TOKEN: 'hf_wrong' }],
    ['HUB_TOKEN_MISSING', {}, { HF_TOKEN: '' }],
    ['HUB_TOKEN_MISSING', {}, { HF_ENDPOINT: 'http://hub.test' }],
    ['HUB_UNREACHABLE', {}, { HF_ENDPOINT: 'http://127.0.0.1:1' }],
    ['HUB_OFFLINE', {}, { HF_HUB_OFFLINE: '1' }],
    ['HUB_OPTION_INVALID', { name: 'mine' }, {}],
    ['HUB_OPTION_INVALID', { name: 'owner/mine@v2' }, {}],
    ['HUB_OPTION_INVALID', { revision: 'a'.repeat(40) }, {}],
    ['HUB_OPTION_INVALID', { message: ' ' }, {}],
    ['HUB_FOLDER_INVALID', { folder: '/nowhere' }, {}],
  ])('is refused with %s: %o %o', async (code, options, env) => {
    server.taken.add('owner/taken');
    const error = await failure(push(options, { env }));
    expect(error).toMatchObject({ name: 'HubError', code });
    expect(`${error.message}${error.stack}`).not.toMatch(/hf_w/);
    expect(server.repositories.size).toBe(0);
  });

  it('says what a hub or its storage refuses, without the address, which is signed', async () => {
    server.disturbances.push({ at: 'PUT /', status: 400 });
    const { code, message } = await failure(push());
    expect([code, message]).toEqual([
      'HUB_PUSH_REFUSED',
      expect.stringContaining('400: disturbed'),
    ]);
    expect(message).not.toContain('secret');
  });

  it('tells the storage no token', async () => {
    await push();
    const told = new Set(server.requests.map((one) => `${one.server} ${one.authorization}`));
    expect(told).toEqual(new Set([`hub Bearer ${server.token}`, 'storage null']));
  });
});

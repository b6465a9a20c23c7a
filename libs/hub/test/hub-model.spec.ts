import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';

import { hubModel, type HubHost, type HubModel } from '../src/hub-model.js';
import { parseHubName } from '../src/hub-name.js';
import { hubSettings } from '../src/settings.js';
import {
  defaultCommit,
  hashOf,
  HubServer,
  hubTokens,
  type ServedModel,
} from '../src/testing/index.js';

const weights = randomBytes(200_000);
const otherCommit = 'f'.repeat(40);

const small: ServedModel = {
  name: 'owner/small',
  files: {
    '.gitattributes': 'x',
    'README.md': '# small',
    'config.json': '{"model_type":"llama"}',
    'tokenizer.json': JSON.stringify({ filler: 'x'.repeat(2000) }),
    'additional_chat_templates/tools.jinja': '{{ messages }}',
    'model.safetensors': weights,
    'pytorch_model.bin': randomBytes(2000),
    'original/consolidated.00.pth': randomBytes(2000),
  },
};
const needed = [
  'additional_chat_templates/tools.jinja',
  'config.json',
  'model.safetensors',
  'tokenizer.json',
];
const weightsHash = hashOf(weights);

describe('a model by its hub name', () => {
  let server: HubServer;
  let home: string;
  let notices: string[];

  beforeEach(async () => {
    server = await HubServer.start(small);
    home = mkdtempSync(join(tmpdir(), 'hub-'));
    notices = [];
  });
  afterEach(async () => {
    await server.close();
    rmSync(home, { recursive: true, force: true });
  });

  const get = (
    text: string,
    { env = {}, ...host }: Partial<HubHost> & { env?: Record<string, string> } = {},
  ): Promise<HubModel> => {
    const settings = hubSettings({ HF_ENDPOINT: server.endpoint, HF_HOME: home, ...env }, home);
    return hubModel(parseHubName(text) ?? { name: 'none/none', revision: null }, {
      settings,
      program: 'test/1',
      policy: { attempts: 3, firstDelayMs: 1 },
      onNotice: (message) => notices.push(message),
      ...host,
    });
  };
  const cache = (...parts: string[]): string => join(home, 'hub', 'models--owner--small', ...parts);
  const read = (...parts: string[]): string => readFileSync(cache(...parts), 'utf8');
  const files = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
      .sort();
  const expectWeights = (folder: string): void =>
    expect(weights.equals(readFileSync(join(folder, 'model.safetensors')))).toBe(true);
  const rangesOf = (path: string): (string | null)[] =>
    server.requests
      .filter((request) => request.server === 'files' && request.path.includes(path))
      .map(({ range }) => range);

  describe('in the cache', () => {
    it('has what is needed and nothing else, as huggingface_hub lays it out', async () => {
      const { folder, commit, name } = await get('owner/small');
      expect([name, commit, folder]).toEqual([
        'owner/small',
        defaultCommit,
        cache('snapshots', defaultCommit),
      ]);
      expect(files(folder)).toEqual(needed);
      expectWeights(folder);
      expect(readlinkSync(join(folder, 'model.safetensors'))).toBe(`../../blobs/${weightsHash}`);
      expect(readlinkSync(join(folder, 'additional_chat_templates', 'tools.jinja'))).toBe(
        `../../../blobs/${hashOf(Buffer.from('{{ messages }}'))}`,
      );
      expect(read('refs', 'main')).toBe(defaultCommit);
      expect(files(cache('blobs'))).toHaveLength(needed.length);
    });

    it('is asked for its commit only when it is there, and not at all for a commit', async () => {
      await get('owner/small');
      server.requests.length = 0;
      await get('owner/small');
      expect(server.pathsOf('hub')).toEqual(['/api/models/owner/small/revision/main']);
      await get(`owner/small@${defaultCommit}`);
      expect(server.requests).toHaveLength(1);
    });

    it('keeps a branch, a tag and a pull request under their names', async () => {
      server.serve({ ...small, refs: { 'v1.0': defaultCommit, 'refs/pr/7': defaultCommit } });
      await get('owner/small@v1.0');
      await get('owner/small@refs/pr/7');
      expect(files(cache('refs'))).toEqual(['refs/pr/7', 'v1.0']);
      expect(server.pathsOf('hub')).toContain('/api/models/owner/small/revision/refs%2Fpr%2F7');
    });

    it('gets the shards that the index names, and no other weights', async () => {
      const index = { weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' } };
      server.serve({
        name: 'owner/small',
        files: {
          'config.json': '{}',
          'consolidated.safetensors': randomBytes(3000),
          'model-1.safetensors': randomBytes(3000),
          'model-2.safetensors': randomBytes(3000),
          'model.safetensors.index.json': JSON.stringify(index),
        },
      });
      const { folder } = await get('owner/small');
      expect(files(folder)).toEqual([
        'config.json',
        'model-1.safetensors',
        'model-2.safetensors',
        'model.safetensors.index.json',
      ]);
    });

    it('gets a file again that is shorter than the listing says', async () => {
      await get('owner/small');
      writeFileSync(cache('blobs', weightsHash), 'short');
      const { folder } = await get('owner/small');
      expectWeights(folder);
    });

    it('downloads a blob once for two who ask at the same time', async () => {
      const both = await Promise.all([get('owner/small'), get('owner/small')]);
      expect(both[0]).toEqual(both[1]);
      expect(rangesOf('model.safetensors')).toEqual([null]);
      expect(files(cache('blobs'))).toHaveLength(needed.length);
    });

    it('tells how far the download is, to the byte', async () => {
      const seen: [number, number][] = [];
      await get('owner/small', { onProgress: (done, total) => seen.push([done, total]) });
      const total = needed.reduce(
        (sum, path) => sum + Buffer.from(small.files[path] ?? '').length,
        0,
      );
      expect(seen.at(-1)).toEqual([total, total]);
      expect(seen.every(([done]) => done >= 0 && done <= total)).toBe(true);
    });
  });

  describe('over a connection that breaks', () => {
    it('goes on from where it was', async () => {
      server.disturbances.push({ at: 'model.safetensors?', cutAfterBytes: 70_000 });
      const { folder } = await get('owner/small');
      expectWeights(folder);
      expect(rangesOf('model.safetensors')).toEqual([null, 'bytes=70000-']);
    });

    it('goes on when a server has fallen silent', async () => {
      server.disturbances.push({ at: 'model.safetensors?', stallAfterBytes: 70_000 });
      const { folder } = await get('owner/small', { env: { HF_HUB_DOWNLOAD_TIMEOUT: '0.2' } });
      expectWeights(folder);
      expect(rangesOf('model.safetensors')).toEqual([null, 'bytes=70000-']);
    });

    it('begins anew where a server knows no ranges', async () => {
      server.disturbances.push(
        { at: 'model.safetensors?', cutAfterBytes: 70_000 },
        { at: 'model.safetensors?', ignoreRange: true },
      );
      const { folder } = await get('owner/small');
      expectWeights(folder);
    });

    it('goes on in the next command after an interruption, and leaves nothing behind', async () => {
      server.disturbances.push({ at: 'model.safetensors?', stallAfterBytes: 70_000 });
      const abort = new AbortController();
      const first = get('owner/small', {
        signal: abort.signal,
        onProgress: (done) => done >= 70_000 && abort.abort(new Error('stopped')),
      });
      await expect(first).rejects.toMatchObject({ code: 'HUB_INTERRUPTED' });
      expect(files(cache('blobs')).filter((name) => name.startsWith(weightsHash))).toHaveLength(1);
      expect(existsSync(cache('refs', 'main'))).toBe(false);
      const { folder } = await get('owner/small');
      expectWeights(folder);
      expect(rangesOf('model.safetensors')).toEqual([null, 'bytes=70000-']);
      expect(files(cache('blobs'))).toHaveLength(needed.length);
    });

    it.each([`${weightsHash}.incomplete`, `${weightsHash}.0123abcd.incomplete`])(
      'goes on with %s of another program',
      async (name) => {
        mkdirSync(cache('blobs'), { recursive: true });
        writeFileSync(cache('blobs', name), weights.subarray(0, 123_000));
        const { folder } = await get('owner/small');
        expectWeights(folder);
        expect(rangesOf('model.safetensors')).toEqual(['bytes=123000-']);
        expect(files(cache('blobs'))).toHaveLength(needed.length);
      },
    );

    it('begins anew where what was left is damaged', async () => {
      mkdirSync(cache('blobs'), { recursive: true });
      writeFileSync(cache('blobs', `${weightsHash}.incomplete`), randomBytes(5000));
      const { folder } = await get('owner/small');
      expectWeights(folder);
      expect(notices).toEqual([
        'model.safetensors: what was there before is damaged; it is downloaded again',
      ]);
    });

    it.each([429, 500, 503])('tries again after an answer of %d', async (status) => {
      server.disturbances.push(
        { at: '/revision/', status },
        { at: '/tree/', status, headers: { 'retry-after': '0' } },
        { at: 'model.safetensors?', status },
      );
      await expect(get('owner/small')).resolves.toMatchObject({ commit: defaultCommit });
    });

    it('tries again where a listing is cut off', async () => {
      const headers = { 'content-length': '500' };
      server.disturbances.push({ at: '/revision/', status: 200, headers, body: '[{' });
      await expect(
        get('owner/small', { env: { HF_HUB_DOWNLOAD_TIMEOUT: '0.2' } }),
      ).resolves.toMatchObject({ commit: defaultCommit });
    });

    it('gives up after some tries, by name and reason', async () => {
      server.disturbances.push({ at: '/revision/', status: 503, times: 3 });
      await expect(get('owner/small')).rejects.toMatchObject({
        code: 'HUB_UNREACHABLE',
        message: `owner/small: ${server.endpoint} answered 503 (tried 3 times)`,
      });
    });
  });

  describe('whose contents are not those that were announced', () => {
    it.each(['model.safetensors', 'config.json'])('refuses and deletes %s', async (path) => {
      server.disturbances.push({ at: path, damage: true, times: 9 });
      await expect(get('owner/small')).rejects.toMatchObject({
        code: 'HUB_FILE_CORRUPT',
        message: expect.stringContaining(`${path} of owner/small`) as string,
      });
      const hash = hashOf(Buffer.from(small.files[path] ?? ''));
      expect(files(cache('blobs')).filter((name) => name.startsWith(hash))).toEqual([]);
      expect(existsSync(cache('snapshots', defaultCommit, path))).toBe(false);
    });

    it.each(['../../../evil.json', '/evil.json', 'a/../../evil.json', 'a\\..\\evil.json'])(
      'refuses a listing with the path %s',
      async (path) => {
        server.serve({ ...small, files: { ...small.files, [path]: '{}' } });
        await expect(get('owner/small')).rejects.toMatchObject({ code: 'HUB_RESPONSE_INVALID' });
        expect(existsSync(cache('blobs'))).toBe(false);
      },
    );

    it('refuses a listing without hashes', async () => {
      const entries = [{ type: 'file', path: 'model.safetensors', size: 10 }];
      server.disturbances.push({ at: '/tree/', body: JSON.stringify(entries) });
      await expect(get('owner/small')).rejects.toMatchObject({ code: 'HUB_RESPONSE_INVALID' });
    });

    it('refuses a server that is no hub', async () => {
      server.disturbances.push({ at: '/revision/', body: '<html></html>' });
      await expect(get('owner/small')).rejects.toMatchObject({
        code: 'HUB_RESPONSE_INVALID',
        message: expect.stringContaining('not that of a hub') as string,
      });
    });

    it('asks for no file where the disk has no room for all', async () => {
      const entries = ['config.json', 'model.safetensors'].map((path) => ({
        type: 'file',
        path,
        size: 2 ** 52,
        oid: '0'.repeat(40),
      }));
      server.disturbances.push({ at: '/tree/', body: JSON.stringify(entries) });
      await expect(get('owner/small')).rejects.toMatchObject({
        code: 'HUB_DISK_FULL',
        message: expect.stringContaining(join(home, 'hub')) as string,
      });
      expect(server.requests.some(({ path }) => path.includes('/resolve/'))).toBe(false);
    });

    it('names the weights of a model that has no safetensors', async () => {
      server.serve({ ...small, files: { 'config.json': '{}', 'pytorch_model.bin': 'x' } });
      await expect(get('owner/small')).rejects.toMatchObject({
        code: 'HUB_UNSUPPORTED_REPOSITORY',
        message: expect.stringContaining('pytorch_model.bin') as string,
      });
    });
  });

  describe('with a token', () => {
    it('sends it to the hub and to nobody else', async () => {
      await get('owner/small', { env: { HF_TOKEN: hubTokens.account } });
      const of = (name: string): Set<string | null> =>
        new Set(
          server.requests.filter((one) => one.server === name).map((one) => one.authorization),
        );
      expect(of('hub')).toEqual(new Set([`Bearer ${hubTokens.account}`]));
      expect(of('files')).toEqual(new Set([null]));
    });

    it('opens a private and a gated model', async () => {
      server.serve({ ...small, access: 'private' });
      await get('owner/small', { env: { HF_TOKEN: hubTokens.account } });
      server.serve({ ...small, name: 'owner/gated', access: 'gated' });
      await get('owner/gated', { env: { HF_TOKEN: hubTokens.licensed } });
      expect(existsSync(join(home, 'hub', 'models--owner--gated', 'refs', 'main'))).toBe(true);
    });

    it.each([
      ['none', {}, '401', 'give a token'],
      ['one without access', { HF_TOKEN: hubTokens.account }, '403', 'with that account'],
    ])('says where the licence of a gated model is: %s', async (_, env, status, what) => {
      server.serve({ ...small, access: 'gated' });
      const error = await get('owner/small', { env: env as Record<string, string> }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: 'HUB_GATED' });
      const { message } = error as Error;
      for (const part of [`${server.endpoint}/owner/small`, status, what])
        expect(message).toContain(part);
      expect(message).not.toContain(hubTokens.account);
    });

    it.each([
      [401, {}],
      [403, { HF_TOKEN: 'hf_expired' }],
    ])('says so where access is refused without a reason: %d', async (status, env) => {
      server.disturbances.push({ at: '/revision/', status });
      const error = await get('owner/small', { env: env as Record<string, string> }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({
        code: 'HUB_ACCESS_DENIED',
        message: expect.stringContaining(`${server.endpoint}/owner/small`) as string,
      });
      expect(String(error)).not.toContain('hf_expired');
    });

    it('keeps it from networks in the clear, and says so', async () => {
      const env = { HF_TOKEN: 'hf_secret', HF_ENDPOINT: 'http://0.0.0.0:1' };
      await expect(get('owner/small', { env })).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
      expect(notices).toEqual([
        'the token is not sent to http://0.0.0.0:1, which is not encrypted',
      ]);
    });
  });

  it('comes through a proxy where there is one', async () => {
    const tunnels: string[] = [];
    const proxy = createServer();
    proxy.on('connect', ({ url = '' }, socket) => {
      tunnels.push(url);
      const far = connect(Number(url.split(':').at(1)), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connected\r\n\r\n');
        far.pipe(socket).pipe(far);
      });
      for (const end of [far, socket]) end.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    process.env['HTTP_PROXY'] = `http://127.0.0.1:${port}`;
    try {
      await get('owner/small');
    } finally {
      delete process.env['HTTP_PROXY'];
      proxy.closeAllConnections();
      proxy.close();
    }
    expect(tunnels).toContain(new URL(server.endpoint).host);
  });

  it.each([
    ['owner/none', 'HUB_NOT_FOUND'],
    ['owner/small@none', 'HUB_REVISION_NOT_FOUND'],
  ])('that is not there, %s: %s', async (name, code) => {
    await expect(get(name)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(name) as string,
    });
  });

  describe('without a network', () => {
    const offline = { env: { HF_HUB_OFFLINE: '1' } };
    const away = { env: { HF_ENDPOINT: 'http://127.0.0.1:1' } };

    it('is taken from the cache offline, and nobody is asked', async () => {
      const { folder } = await get('owner/small');
      server.requests.length = 0;
      await expect(get('owner/small', offline)).resolves.toMatchObject({ folder });
      await expect(get('owner/small', { env: { HF_HUB_OFFLINE: 'true' } })).resolves.toBeDefined();
      expect(server.requests).toEqual([]);
    });

    it('offline, says what is missing', async () => {
      await expect(get('owner/small', offline)).rejects.toMatchObject({
        code: 'HUB_NOT_CACHED',
        message: `owner/small is not in ${join(home, 'hub')}, and HF_HUB_OFFLINE forbids to download it`,
      });
      await get('owner/small');
      rmSync(cache('blobs', weightsHash));
      await expect(get('owner/small', offline)).rejects.toMatchObject({
        code: 'HUB_NOT_CACHED',
        message: expect.stringContaining('lacks model.safetensors') as string,
      });
    });

    it.each([
      [['config.json', 'model.safetensors'], null],
      [['config.json'], 'model.safetensors'],
      [['model.safetensors'], 'config.json'],
    ])('offline, knows a snapshot of others with %j: %s is missing', async (paths, missing) => {
      for (const path of paths) {
        mkdirSync(dirname(cache('snapshots', otherCommit, path)), { recursive: true });
        writeFileSync(cache('snapshots', otherCommit, path), '{}');
      }
      mkdirSync(cache('refs'));
      writeFileSync(cache('refs', 'main'), otherCommit);
      const found = get('owner/small', offline);
      if (missing === null) await expect(found).resolves.toMatchObject({ commit: otherCommit });
      else await expect(found).rejects.toThrow(`lacks ${missing} in`);
    });

    it('is taken from the cache where the hub is away, which is said', async () => {
      const { folder } = await get('owner/small');
      await expect(get('owner/small', away)).resolves.toMatchObject({ folder });
      expect(notices).toHaveLength(1);
      expect(notices[0]).toMatch(
        new RegExp(
          `cannot be reached.*commit ${defaultCommit} of owner/small in the cache is used`,
        ),
      );
      await expect(get('owner/other', away)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    });

    it('is the older commit where a newer one cannot be downloaded, which is said', async () => {
      await get('owner/small');
      server.serve({ ...small, commit: otherCommit });
      server.disturbances.push({ at: '/tree/', status: 503, times: 9 });
      await expect(get('owner/small')).resolves.toMatchObject({ commit: defaultCommit });
      expect(notices).toHaveLength(1);
    });

    it('stays what it was while a newer commit is not whole', async () => {
      await get('owner/small');
      server.serve({
        ...small,
        commit: otherCommit,
        files: { ...small.files, 'model.safetensors': randomBytes(3000) },
      });
      server.disturbances.push({ at: 'model.safetensors?', status: 404 });
      await expect(get('owner/small')).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' });
      await expect(get('owner/small', offline)).resolves.toMatchObject({ commit: defaultCommit });
    });
  });
});

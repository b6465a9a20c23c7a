import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { hubModel, type HubHost, type HubModel } from '../src/hub-model.js';
import { hubSettings } from '../src/settings.js';
import {
  defaultCommit,
  hashOf,
  HubServer,
  hubTokens,
  type ServedModel,
} from '../src/testing/index.js';

const name = 'owner/pictures';
const indexOf = (...shards: string[]): string =>
  JSON.stringify({ weight_map: Object.fromEntries(shards.map((shard, i) => [`t${i}`, shard])) });

const transformerShards = [1, 2, 3].map(
  (shard) => `diffusion_pytorch_model-0000${shard}-of-00003.safetensors`,
);
const t5Shards = [1, 2].map((shard) => `model-0000${shard}-of-00002.safetensors`);
const transformerIndex = 'transformer/diffusion_pytorch_model.safetensors.index.json';
const t5Index = 'text_encoder_2/model.safetensors.index.json';
const shardPath = `transformer/${transformerShards.at(1)}`;

const needed: ServedModel['files'] = {
  'model_index.json': '{"_class_name":"FluxPipeline"}',
  'scheduler/scheduler_config.json': '{"shift":3}',
  'text_encoder/config.json': '{"model_type":"clip_text_model"}',
  'text_encoder/model.safetensors': randomBytes(4000),
  'text_encoder_2/config.json': '{"model_type":"t5"}',
  [t5Index]: indexOf(...t5Shards),
  ...Object.fromEntries(t5Shards.map((shard) => [`text_encoder_2/${shard}`, randomBytes(5000)])),
  'tokenizer/merges.txt': '#version: 0.2',
  'tokenizer/tokenizer_config.json': '{}',
  'tokenizer/vocab.json': '{"a":0}',
  'tokenizer_2/spiece.model': randomBytes(3000),
  'tokenizer_2/tokenizer.json': '{"model":{}}',
  'tokenizer_2/tokenizer_config.json': '{}',
  'transformer/config.json': '{"num_layers":1}',
  [transformerIndex]: indexOf(...transformerShards),
  ...Object.fromEntries(
    transformerShards.map((shard) => [`transformer/${shard}`, randomBytes(200_000)]),
  ),
  'vae/config.json': '{"latent_channels":16}',
  'vae/diffusion_pytorch_model.safetensors': randomBytes(6000),
};
const served: ServedModel = {
  name,
  files: {
    '.gitattributes': 'x',
    'README.md': '# pictures',
    'ae.safetensors': randomBytes(3000),
    'flux1-dev.safetensors': randomBytes(3000),
    'grid.jpg': randomBytes(3000),
    'text_encoder/model.fp16.safetensors': randomBytes(3000),
    'vae/diffusion_pytorch_model.bin': randomBytes(3000),
    ...needed,
  },
};
const shardHash = hashOf(Buffer.from(needed[shardPath] ?? ''));

describe('a model of several folders by its hub name', () => {
  let server: HubServer;
  let home: string;

  beforeEach(async () => {
    server = await HubServer.start(served);
    home = mkdtempSync(join(tmpdir(), 'hub-diffusion-'));
  });
  afterEach(async () => {
    await server.close();
    rmSync(home, { recursive: true, force: true });
  });

  const get = ({
    env = {},
    ...host
  }: Partial<HubHost> & { env?: Record<string, string> } = {}): Promise<HubModel> =>
    hubModel(
      { name, revision: null },
      {
        settings: hubSettings({ HF_ENDPOINT: server.endpoint, HF_HOME: home, ...env }, home),
        program: 'test/1',
        policy: { attempts: 3, firstDelayMs: 1 },
        ...host,
      },
    );
  const offline = { env: { HF_HUB_OFFLINE: '1' } };
  const cache = (...parts: string[]): string =>
    join(home, 'hub', 'models--owner--pictures', ...parts);
  const snapshot = (...parts: string[]): string => cache('snapshots', defaultCommit, ...parts);
  const files = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .sort();
  const expectWhole = (folder: string): void => {
    expect(files(folder)).toEqual(Object.keys(needed).sort());
    for (const [path, contents] of Object.entries(needed))
      expect(Buffer.from(contents).equals(readFileSync(join(folder, path)))).toBe(true);
  };
  const rangesOf = (path: string): (string | null)[] =>
    server.requests
      .filter((request) => request.server === 'files' && request.path.includes(path))
      .map(({ range }) => range);
  const serveWith = (others: ServedModel['files']): void =>
    server.serve({ ...served, files: { ...served.files, ...others } });
  const serveWithout = (isLeftOut: (path: string) => boolean): void => {
    const kept = Object.entries(served.files).filter(([path]) => !isLeftOut(path));
    server.serve({ ...served, files: Object.fromEntries(kept) });
  };

  it('has every component whole and nothing else, as relative links at any depth', async () => {
    const { folder } = await get();
    expect(folder).toBe(snapshot());
    expectWhole(folder);
    expect(readlinkSync(join(folder, shardPath))).toBe(`../../../blobs/${shardHash}`);
    expect(readlinkSync(join(folder, 'model_index.json'))).toMatch(/^\.\.\/\.\.\/blobs\//);
  });

  it('tells of a download of all components as one, to the byte', async () => {
    const seen: [number, number][] = [];
    await get({ onProgress: (done, total) => seen.push([done, total]) });
    const totalBytes = Object.entries(needed)
      .filter(([path]) => path !== transformerIndex && path !== t5Index)
      .reduce((sum, [, contents]) => sum + Buffer.from(contents).length, 0);
    expect(seen.at(-1)).toEqual([totalBytes, totalBytes]);
  });

  it('goes on with a shard in a folder after an interruption, and gets no other again', async () => {
    server.disturbances.push({ at: `${shardPath}?`, stallAfterBytes: 70_000 });
    const abort = new AbortController();
    const first = get({
      signal: abort.signal,
      // All but what the shard lacks is there.
      onProgress: (done, total) => done === total - 130_000 && abort.abort(),
    });
    await expect(first).rejects.toMatchObject({ code: 'HUB_INTERRUPTED' });
    expect(existsSync(snapshot(shardPath))).toBe(false);
    server.requests.length = 0;
    const { folder } = await get();
    expectWhole(folder);
    expect(rangesOf(shardPath)).toEqual(['bytes=70000-']);
    expect(rangesOf('text_encoder/')).toEqual([]);
  });

  it.each([shardPath, 'vae/diffusion_pytorch_model.safetensors', transformerIndex])(
    'refuses and deletes %s where its contents are not those that were announced',
    async (path) => {
      server.disturbances.push({ at: path, damage: true, times: 9 });
      await expect(get()).rejects.toMatchObject({
        code: 'HUB_FILE_CORRUPT',
        message: expect.stringContaining(`${path} of ${name}`) as string,
      });
      expect(existsSync(snapshot(path))).toBe(false);
      server.disturbances.length = 0;
      expectWhole((await get()).folder);
    },
  );

  it.each(['../model.safetensors', '../vae/diffusion_pytorch_model.safetensors', '/x.safetensors'])(
    'refuses the index of a folder that names %s',
    async (shard) => {
      serveWith({ [transformerIndex]: indexOf(...transformerShards, shard) });
      await expect(get()).rejects.toMatchObject({
        code: 'HUB_UNSUPPORTED_REPOSITORY',
        message: `${name} has ${transformerIndex}, which names no safetensors files beside itself`,
      });
      expect(server.pathsOf('files')).toEqual([]);
    },
  );

  it('refuses a listing with a path that leads out of a folder', async () => {
    serveWith({ 'vae/../../evil.json': '{}' });
    await expect(get()).rejects.toMatchObject({ code: 'HUB_RESPONSE_INVALID' });
    expect(existsSync(cache('blobs'))).toBe(false);
  });

  it('names a shard that an index names and the repository has not', async () => {
    serveWithout((path) => path === shardPath);
    await expect(get()).rejects.toMatchObject({
      code: 'HUB_UNSUPPORTED_REPOSITORY',
      message: `${name} has ${transformerIndex}, which names ${shardPath}, but not that file`,
    });
  });

  it('names the folder of a repository that has single files alone, and asks for none', async () => {
    serveWithout((path) => path in needed);
    await expect(get()).rejects.toMatchObject({
      code: 'HUB_UNSUPPORTED_REPOSITORY',
      message: expect.stringContaining(`${name} has no folder transformer,`) as string,
    });
    expect(server.requests.some(({ path }) => path.includes('/resolve/'))).toBe(false);
  });

  it('takes the single file of a transformer where all else is there', async () => {
    serveWithout((path) => path.startsWith('transformer/'));
    const { folder } = await get();
    const others = Object.keys(needed).filter((path) => !path.startsWith('transformer/'));
    expect(files(folder)).toEqual([...others, 'flux1-dev.safetensors'].sort());
    await expect(get(offline)).resolves.toMatchObject({ folder });
  });

  it('is refused by the page of its licence where it is gated, and opened by a token', async () => {
    server.serve({ ...served, access: 'gated' });
    await expect(get()).rejects.toMatchObject({
      code: 'HUB_GATED',
      message: expect.stringContaining(`${server.endpoint}/${name}`) as string,
    });
    expectWhole((await get({ env: { HF_TOKEN: hubTokens.licensed } })).folder);
  });

  describe('offline', () => {
    beforeEach(async () => {
      await get();
      server.requests.length = 0;
    });
    afterEach(() => expect(server.requests).toEqual([]));

    it('is taken from the cache, and nobody is asked', async () => {
      expectWhole((await get(offline)).folder);
    });

    it('is refused without any one of its files', async () => {
      for (const path of Object.keys(needed)) {
        renameSync(snapshot(path), cache('away'));
        await expect(get(offline)).rejects.toMatchObject({
          code: 'HUB_NOT_CACHED',
          message: expect.stringContaining(`lacks ${path} in`) as string,
        });
        renameSync(cache('away'), snapshot(path));
      }
    });

    it('is refused where a shard in a folder is shorter than the listing says', async () => {
      writeFileSync(cache('blobs', shardHash), 'short');
      await expect(get(offline)).rejects.toThrow(`lacks ${shardPath} in`);
    });

    describe('without a listing', () => {
      beforeEach(() => rmSync(cache('trees'), { recursive: true }));

      it('is taken from the cache, as links or as files', async () => {
        await expect(get(offline)).resolves.toMatchObject({ folder: snapshot() });
        cpSync(snapshot(), cache('copy'), { recursive: true, dereference: true });
        rmSync(snapshot(), { recursive: true });
        cpSync(cache('copy'), snapshot(), { recursive: true });
        rmSync(cache('blobs'), { recursive: true });
        expectWhole((await get(offline)).folder);
      });

      it.each([
        shardPath,
        `text_encoder_2/${t5Shards.at(0)}`,
        'text_encoder_2/config.json',
        'tokenizer/merges.txt',
        'vae/diffusion_pytorch_model.safetensors',
      ])('is refused without %s', async (path) => {
        rmSync(snapshot(path));
        await expect(get(offline)).rejects.toThrow(`lacks ${path} in`);
      });

      it('is refused where a link leads nowhere, or a folder is missing', async () => {
        rmSync(cache('blobs', shardHash));
        rmSync(snapshot('scheduler'), { recursive: true });
        await expect(get(offline)).rejects.toThrow(`lacks folder scheduler, ${shardPath} in`);
      });
    });
  });
});

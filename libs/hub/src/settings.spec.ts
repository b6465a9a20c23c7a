import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { hubSettings } from './settings.js';

const home = '/home/me';

describe('the settings of a hub', () => {
  it('have the defaults of huggingface_hub', () => {
    expect(hubSettings({}, home)).toEqual({
      endpoint: 'https://huggingface.co',
      cacheFolder: '/home/me/.cache/huggingface/hub',
      token: null,
      isOffline: false,
      timeoutMs: 30_000,
    });
  });

  it.each([
    [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }, '/h/hub'],
    [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new' }, '/new'],
    [{ HF_HOME: '~/h' }, '/home/me/h/hub'],
    [{ HF_HOME: '$DISK/${SUB}/h', DISK: '/disk', SUB: 'a' }, '/disk/a/h/hub'],
    [{ HF_HOME: '', HF_HUB_CACHE: ' ' }, '/home/me/.cache/huggingface/hub'],
  ])('put the cache of %j into %s', (env, folder) => {
    expect(hubSettings(env, home).cacheFolder).toBe(folder);
  });

  it.each(['1', 'true', 'YES', 'On'])('are offline by %s', (value) => {
    expect(hubSettings({ HF_HUB_OFFLINE: value }, home).isOffline).toBe(true);
    expect(hubSettings({ TRANSFORMERS_OFFLINE: value }, home).isOffline).toBe(true);
  });

  it.each(['0', 'false', 'no', ''])('are not offline by %j', (value) => {
    expect(hubSettings({ HF_HUB_OFFLINE: value }, home).isOffline).toBe(false);
  });

  it('take another hub, with a path too', () => {
    const of = (endpoint: string): string => hubSettings({ HF_ENDPOINT: endpoint }, home).endpoint;
    expect(of('https://hub.example/')).toBe('https://hub.example');
    expect(of('http://hub.example:8080/api/hf/')).toBe('http://hub.example:8080/api/hf');
  });

  it.each(['hub.example', 'file:///x', 'https://me:secret@hub.example'])(
    'refuse the address %s without repeating it',
    (endpoint) => {
      const settings = (): unknown => hubSettings({ HF_ENDPOINT: endpoint }, home);
      expect(settings).toThrow(expect.objectContaining({ code: 'HUB_OPTION_INVALID' }) as Error);
      expect(settings).not.toThrow('secret');
    },
  );

  describe('have a token', () => {
    let folder: string;

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'hub-token-'));
      writeFileSync(join(folder, 'token'), 'hf_file\n');
      writeFileSync(join(folder, 'other'), 'hf_other');
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    it('from the environment, else from the file that was named, else from the home', () => {
      const named = { HF_HOME: folder, HF_TOKEN_PATH: join(folder, 'other') };
      expect(hubSettings({ ...named, HF_TOKEN: ' hf_env ' }, home).token).toBe('hf_env');
      expect(hubSettings(named, home).token).toBe('hf_other');
      expect(hubSettings({ HF_HOME: folder }, home).token).toBe('hf_file');
      expect(
        hubSettings({ HF_HOME: folder, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }, home).token,
      ).toBeNull();
    });

    it.each([
      ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
      ['a device', (path: string) => symlinkSync('/dev/zero', path)],
      ['a folder', (path: string) => mkdirSync(path)],
    ])('in %s is refused without waiting', (_, make) => {
      const path = join(mkdtempSync(join(folder, 'token-')), 'token');
      make(path);
      expect(() => hubSettings({ HF_TOKEN_PATH: path }, home)).toThrow(
        `${path}: the token cannot be read (it is not a regular file)`,
      );
    });

    it('that no header can hold is refused without repeating it', () => {
      const settings = (): unknown => hubSettings({ HF_TOKEN: 'hf_a\nb' }, home);
      expect(settings).toThrow(expect.objectContaining({ code: 'HUB_OPTION_INVALID' }) as Error);
      expect(settings).not.toThrow('hf_a');
    });
  });

  it.each(['0', '-1', 'soon'])('refuse a timeout of %s', (value) => {
    expect(() => hubSettings({ HF_HUB_DOWNLOAD_TIMEOUT: value }, home)).toThrow(
      'HF_HUB_DOWNLOAD_TIMEOUT',
    );
  });
});

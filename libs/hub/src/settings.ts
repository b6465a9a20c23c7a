import { join, resolve } from 'node:path';
import { FileRefusal, readRegularFileSync } from '@emloc/untrusted';

import { HubError } from './errors.js';

/** Where models come from and where they are kept. */
export interface HubSettings {
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string;
  /** Folder with `models--OWNER--NAME`; absolute. */
  readonly cacheFolder: string;
  /** Sent to the endpoint's origin and to nobody else. */
  readonly token: string | null;
  /** Whether only the cache is used. */
  readonly isOffline: boolean;
  /** Silence of a server after which a request is given up. */
  readonly timeoutMs: number;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const defaultEndpoint = 'https://huggingface.co';
const defaultTimeoutSeconds = 30;
const maxTokenBytes = 65_536;
const trueValues: readonly string[] = ['1', 'ON', 'YES', 'TRUE'];

/**
 * The settings that Python's huggingface_hub reads from the environment, with its names and
 * defaults.
 * @param home the user's home folder
 * @throws HubError HUB_OPTION_INVALID naming the variable, never with a token's value
 */
export function hubSettings(env: Environment, home: string): HubSettings {
  const tokenFile = given(env, 'HF_TOKEN_PATH');
  return {
    endpoint: endpointOf(given(env, 'HF_ENDPOINT') ?? defaultEndpoint),
    cacheFolder: hubCacheFolder(env, home),
    token: tokenOf(
      env,
      tokenFile === undefined ? join(hfHome(env, home), 'token') : pathOf(tokenFile, env, home),
    ),
    isOffline: isTrue(given(env, 'HF_HUB_OFFLINE') ?? given(env, 'TRANSFORMERS_OFFLINE')),
    timeoutMs: timeoutOf(given(env, 'HF_HUB_DOWNLOAD_TIMEOUT')) * 1000,
  };
}

/** Where models are kept, for whoever downloads none. */
export function hubCacheFolder(env: Environment, home: string): string {
  const cache = given(env, 'HF_HUB_CACHE') ?? given(env, 'HUGGINGFACE_HUB_CACHE');
  return cache === undefined ? join(hfHome(env, home), 'hub') : pathOf(cache, env, home);
}

function hfHome(env: Environment, home: string): string {
  const caches = given(env, 'XDG_CACHE_HOME') ?? join(home, '.cache');
  return pathOf(given(env, 'HF_HOME') ?? join(caches, 'huggingface'), env, home);
}

function pathOf(value: string, env: Environment, home: string): string {
  return resolve(expandPath(value, env, home));
}

function given(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && trueValues.includes(value.toUpperCase());
}

/** `~` and `$VARIABLE`, as Python's huggingface_hub expands them. */
function expandPath(path: string, env: Environment, home: string): string {
  return path
    .replace(/^~(?=$|[/\\])/, () => home)
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced?: string, bare?: string) => {
      return env[braced ?? bare ?? ''] ?? whole;
    });
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username || url.password)
    throw new HubError(
      'HUB_OPTION_INVALID',
      'HF_ENDPOINT: an address as https://HOST is expected, without a user name',
    );
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function tokenOf(env: Environment, file: string): string | null {
  const fromEnv = given(env, 'HF_TOKEN') ?? given(env, 'HUGGING_FACE_HUB_TOKEN');
  if (fromEnv !== undefined) return assertToken(fromEnv, 'HF_TOKEN');
  if (isTrue(given(env, 'HF_HUB_DISABLE_IMPLICIT_TOKEN'))) return null;
  const fromFile = readIfThere(file)?.trim();
  return fromFile ? assertToken(fromFile, file) : null;
}

function assertToken(token: string, source: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new HubError(
    'HUB_OPTION_INVALID',
    `${source}: a token has printable ASCII characters only, this one has others`,
  );
}

function readIfThere(path: string): string | null {
  try {
    return readRegularFileSync(path, maxTokenBytes).toString('utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    const reason = error instanceof FileRefusal ? `it ${error.reason}` : code;
    throw new HubError('HUB_OPTION_INVALID', `${path}: the token cannot be read (${reason})`, {
      cause: error,
    });
  }
}

function timeoutOf(text: string | undefined): number {
  if (text === undefined) return defaultTimeoutSeconds;
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 86_400) return seconds;
  throw new HubError(
    'HUB_OPTION_INVALID',
    `HF_HUB_DOWNLOAD_TIMEOUT: ${JSON.stringify(text.slice(0, 40))} given, seconds above 0 expected`,
  );
}

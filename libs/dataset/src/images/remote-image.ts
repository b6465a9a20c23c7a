import { lookup as lookUp, type LookupAddress } from 'node:dns';
import { get as getByHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { get as getByHttps } from 'node:https';
import { BlockList, isIP } from 'node:net';

import { ImageRefusal } from './image-folder.js';

const maxBytes = 50 * 2 ** 20;
const maxMs = 60_000;
const maxRedirects = 5;

export interface RemoteOptions {
  /** Whether addresses of this machine and of private networks are refused. */
  readonly isPublicOnly: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The bytes at an http or https URL, redirects followed.
 * @throws ImageRefusal, which names no URL; the signal's reason
 */
export async function fetchImage(
  url: string,
  { isPublicOnly, signal }: RemoteOptions,
): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(maxMs);
  const ending = signal ? AbortSignal.any([signal, timeout]) : timeout;
  try {
    let next: URL | null = urlOf(url);
    for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
      const answer: Uint8Array | URL = await request(next, { isPublicOnly, signal: ending });
      if (answer instanceof Uint8Array) return answer;
      next = answer;
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ImageRefusal) throw error;
    const { code, name } = error as NodeJS.ErrnoException;
    throw new ImageRefusal(
      timeout.aborted
        ? `was not fetched within ${maxMs / 1000} seconds`
        : `cannot be fetched: ${code ?? name}`,
    );
  }
  throw new ImageRefusal(`cannot be fetched: more than ${maxRedirects} redirects`);
}

function urlOf(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new ImageRefusal('cannot be fetched: it leads to no http or https URL');
}

/** The body, or where else it is. */
function request(url: URL, { isPublicOnly, signal }: RemoteOptions): Promise<Uint8Array | URL> {
  if (isPublicOnly && isPrivate(url.hostname.replace(/^\[|\]$/g, ''))) throw privateAddress();
  const options: RequestOptions = { signal, ...(isPublicOnly ? { lookup: publicLookup } : {}) };
  const get = url.protocol === 'https:' ? getByHttps : getByHttp;
  return new Promise((resolve, reject) => {
    get(url, options, (response) => {
      answerOf(response, url).then(resolve, (error: unknown) => {
        response.destroy();
        reject(error as Error);
      });
    }).on('error', reject);
  });
}

async function answerOf(response: IncomingMessage, url: URL): Promise<Uint8Array | URL> {
  const { statusCode = 0, headers } = response;
  if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
    response.resume();
    return urlOf(headers.location, url);
  }
  if (statusCode !== 200) throw new ImageRefusal(`cannot be fetched: status ${statusCode}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new ImageRefusal(`cannot be fetched: it has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Uint8Array.from(Buffer.concat(chunks));
}

/** Looked at where the connection is made, so that a name cannot mean another address then. */
const publicLookup: NonNullable<RequestOptions['lookup']> = (host, options, callback) => {
  lookUp(host, { ...options, all: true }, (error, found: LookupAddress[]) => {
    const [first] = found ?? [];
    if (error || !first) return callback(error ?? new Error('no address'), '', 0);
    if (found.some(({ address }) => isPrivate(address))) return callback(privateAddress(), '', 0);
    if (options.all === true) return callback(null, found);
    callback(null, first.address, first.family);
  });
};

function privateAddress(): ImageRefusal {
  return new ImageRefusal('cannot be fetched: it leads to an address that is not public');
}

const privateRanges = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const)
  privateRanges.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['::', 127],
  ['64:ff9b::', 96],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  privateRanges.addSubnet(network, prefix, 'ipv6');

/** Addresses alone; a name is looked up first. IPv4 within IPv6 counts as IPv4. */
function isPrivate(host: string): boolean {
  const version = isIP(host);
  return version !== 0 && privateRanges.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

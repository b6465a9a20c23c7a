import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from '@emloc/rpc';

import { connect, EmlocError, type ConnectOptions, type EmlocClient } from '../src/index.js';
import {
  startFakeDeployment,
  type FakeDeployment,
  type FakeDeploymentOptions,
} from '../src/testing/index.js';

const fastRetry = { attempts: 4, initialDelayMs: 5, maxDelayMs: 20, factor: 2 };

const open: (() => void | Promise<void>)[] = [];

/** A deployment and a client of it, both closed by `closeAll`. */
export async function start(
  options: FakeDeploymentOptions = {},
): Promise<FakeDeployment & { client: EmlocClient }> {
  const deployment = await startFakeDeployment(options);
  open.push(() => deployment.close());
  return Object.assign(deployment, { client: clientOf(deployment.address) });
}

export function clientOf(address: string, options: Partial<ConnectOptions> = {}): EmlocClient {
  const client = connect({ address, retry: fastRetry, ...options });
  open.push(() => client.close());
  return client;
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-sdk-'));
  open.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function closeAll(): Promise<void> {
  for (const close of open.splice(0).reverse()) await close();
}

/** What something threw. */
export async function thrownBy(work: () => Promise<unknown>): Promise<EmlocError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof EmlocError) return error;
    throw new Error('not an EmlocError', { cause: error });
  }
  throw new Error('nothing was thrown');
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A certificate and the authority that made it. */
export function tlsOf(
  name: 'localhost' | 'coordinator' | 'stranger',
): TlsOptions & { ca: Buffer; identity: { certificate: Buffer; key: Buffer } } {
  const read = (file: string): Buffer =>
    readFileSync(new URL(`../../rpc/test/certificates/${file}`, import.meta.url));
  return {
    ca: read('authority.pem'),
    identity: { certificate: read(`${name}.pem`), key: read(`${name}.key`) },
  };
}

/** Bytes without a pattern that a shift would hide. */
export function bytesOf(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0;
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

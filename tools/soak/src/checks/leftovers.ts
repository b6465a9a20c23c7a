import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { NatsConnection } from '@emloc/nats';

import { listStreams, newestMessage, type StreamState } from './jetstream.js';

interface DeviceRecord {
  readonly job: string | null;
  readonly grants: Readonly<Record<string, { readonly expiresAtMs: number }>>;
}

/** What a deployment stores, in numbers. */
export interface Stored {
  readonly streams: number;
  /** Without those that are only there until the server ends them. */
  readonly consumers: number;
  /** When these were made. */
  readonly abandoned: readonly Date[];
  /** Without what killed processes had stored and not named. */
  readonly bytes: number;
  /** The stream with the most bytes. */
  readonly most: string;
}

/**
 * Uploads of killed processes have to be gone so long after their last chunk: the leader looks
 * every five minutes for those of a quarter of an hour.
 */
const orphansGoneMs = 25 * 60_000;

export async function measureStored(nats: NatsConnection): Promise<Stored> {
  const streams = await listStreams(nats);
  const orphans = await orphansIn(nats, streams);
  const sum = (value: (stream: StreamState) => number): number =>
    streams.reduce((total, stream) => total + value(stream), 0);
  return {
    streams: streams.length,
    consumers: sum(({ consumers, abandoned }) => consumers - abandoned.length),
    abandoned: streams.flatMap(({ abandoned }) => abandoned),
    bytes: sum(({ bytes }) => bytes) - orphans.reduce((total, { bytes }) => total + bytes, 0),
    most: mostOf(streams),
  };
}

/**
 * Consumers that were made after a time and that nobody listens to any more: the client library's
 * watches and listings leave them for minutes where they are not ended.
 */
export async function abandonedSince(nats: NatsConnection, time: Date): Promise<string[]> {
  const { abandoned } = await measureStored(nats);
  const count = abandoned.filter((made) => made >= time).length;
  return count === 0 ? [] : [`${count} consumers are abandoned, and nothing was disturbed`];
}

function mostOf(streams: readonly StreamState[]): string {
  const [most] = [...streams].sort((a, b) => b.bytes - a.bytes);
  return most ? `${most.name} ${Math.round(most.bytes / 1024)}` : '-';
}

/**
 * What is still stored of a job that was deleted, and uploads that nobody will name and nobody has
 * swept. Messages which only say that a record was deleted do not count.
 * @param job its identifier, without `jobs/`
 */
export async function leftInBuckets(nats: NatsConnection, job: string): Promise<string[]> {
  const streams = await listStreams(nats);
  const found: string[] = [];
  for (const { name, subjects } of streams) {
    if (name.includes(job)) found.push(`stream ${name}`);
    for (const subject of Object.keys(subjects)) {
      const message = isAbout(subject, job) ? await newestMessage(nats, name, subject) : null;
      if (message && !message.isTombstone) found.push(`${readable(subject)} in ${name}`);
    }
  }
  const devices = streams.find(({ name }) => name === 'KV_emloc-devices');
  for (const subject of Object.keys(devices?.subjects ?? {})) {
    const message = await newestMessage(nats, 'KV_emloc-devices', subject);
    if (message && holdsMemory(message.text, job, Date.now())) found.push(`memory of ${subject}`);
  }
  const old = (await orphansIn(nats, streams)).filter(
    ({ time }) => Date.now() - time.getTime() > orphansGoneMs,
  );
  return [...found, ...old.map(({ subject }) => `${subject}, which no object names`)];
}

/**
 * Whether a device's record grants a job memory. What is granted to a process that ended with the
 * server runs out by itself, and goes from the record with the next grant.
 */
export function holdsMemory(record: string, job: string, nowMs: number): boolean {
  const { job: served, grants } = JSON.parse(record) as DeviceRecord;
  return (
    served !== null &&
    served.endsWith(job) &&
    Object.values(grants).some(({ expiresAtMs }) => expiresAtMs > nowMs)
  );
}

/** Keys of objects are encoded in their subjects. */
function isAbout(subject: string, job: string): boolean {
  return readable(subject).includes(job);
}

function readable(subject: string): string {
  const [, prefix, encoded = ''] = /^(\$O\.[\w-]+\.M\.)(.+)$/.exec(subject) ?? [];
  return prefix ? prefix + Buffer.from(encoded, 'base64url').toString('utf8') : subject;
}

/** Chunks of an object that has no name. */
interface Orphan {
  readonly subject: string;
  /** Of the newest of them. */
  readonly time: Date;
  readonly bytes: number;
}

async function orphansIn(nats: NatsConnection, streams: readonly StreamState[]): Promise<Orphan[]> {
  const found: Orphan[] = [];
  for (const { name, subjects } of streams.filter((stream) => stream.name.startsWith('OBJ_'))) {
    const all = Object.keys(subjects);
    const named = new Set<string>();
    for (const subject of all.filter((one) => one.includes('.M.')))
      named.add(idOf((await newestMessage(nats, name, subject))?.text ?? '{}'));
    for (const subject of all.filter((one) => one.includes('.C.'))) {
      if (named.has(subject.slice(subject.lastIndexOf('.') + 1))) continue;
      const message = await newestMessage(nats, name, subject);
      const bytes = (subjects[subject] ?? 0) * (message?.size ?? 0);
      if (message) found.push({ subject, time: message.time, bytes });
    }
  }
  return found;
}

function idOf(description: string): string {
  return (JSON.parse(description) as { readonly nuid?: string }).nuid ?? '';
}

/**
 * Files and folders in scratch space, without those that were there before. Of names that end at
 * random only the number counts: each process has such a folder, another one after every start.
 */
export async function leftInScratch(folder: string, before: readonly string[]): Promise<string[]> {
  const known = [...before];
  return (await entriesOf(folder)).filter((path) => {
    const index = known.indexOf(path);
    if (index >= 0) known.splice(index, 1);
    return index < 0;
  });
}

/** Every file and folder below, relative, with a star for the random end of a name. */
export async function entriesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      // A folder that goes while it is read is none that is left.
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  return entries
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
    .map((path) => path.replace(/-[A-Za-z0-9]{6}(?=\/|$)/g, '-*'))
    .sort();
}

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CreateJobOptions } from '@emloc/sdk';

import type { JobKind } from './plan/rounds.js';

/** Paths of the repository that a soak works with. */
export interface SoakPaths {
  readonly root: string;
  /** The folder of all built programs. */
  readonly dist: string;
  /** Of this soak's own. */
  readonly work: string;
}

/** Digests by file: what has to come out the same, whoever made it. */
export type Digests = ReadonlyMap<string, string>;

/** What a job has to give. */
export interface Reference {
  readonly adapter: Digests;
  /** Null: the job merges nothing. */
  readonly merged: Digests | null;
}

type JobOptions = CreateJobOptions['options'];

export const modelPath = 'examples/models/tiny-qwen2';
/** Blocks of that model. */
export const blockCount = 4;
const rows = 96;
/** Less than the first stage needs. */
const tooFewBytes = 2 ** 20;

/** The files of an adapter that are compared: the others tell of time and place. */
const comparedFiles = Object.freeze(['adapter_model.safetensors', 'adapter_config.json']);

/** Writes the rows that all jobs train on. @returns their file */
export async function writeRows({ root, work }: SoakPaths): Promise<string> {
  const file = join(work, 'rows.jsonl');
  const lines = (await readFile(join(root, 'examples/data/train.jsonl'), 'utf8'))
    .split('\n')
    .slice(0, rows);
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

/** A job of some seconds that goes through all stages that jobs of its kind have. */
export function jobOf(
  kind: JobKind,
  { root }: Pick<SoakPaths, 'root'>,
  data: JobOptions['data'],
): Pick<CreateJobOptions, 'options' | 'merge'> {
  const options = {
    model: join(root, modelPath),
    data,
    vramBytes: kind === 'failing' ? tooFewBytes : 64 * 2 ** 20,
    steps: 24,
    batch: 4,
    calibrationRows: 16,
    maxLength: 64,
    refineSteps: 6,
    seed: 7,
    ...(kind === 'ratio-1' ? { ratios: ['1'], refineSteps: 0 } : {}),
  };
  return { options, merge: kind === 'merge' ? { dtype: null } : null };
}

/**
 * Runs the same job by `emloc tune`, and `emloc merge` after it where the job merges.
 * @param signal ends it
 */
export async function makeReference(
  kind: JobKind,
  paths: SoakPaths,
  file: string,
  signal: AbortSignal,
): Promise<Reference> {
  const { options, merge } = jobOf(kind, paths, file);
  const adapter = await tuneReference(paths, options, { name: `reference-${kind}`, signal });
  if (!merge) return { adapter, merged: null };
  const out = join(paths.work, 'reference-merged');
  const from = join(paths.work, `reference-${kind}`);
  const args = ['merge', '--model', options.model, '--adapter', from, '--out', out];
  await runEmloc(paths, args, signal);
  return { adapter, merged: await digestsIn(out) };
}

/** Runs a job by `emloc tune`. @returns the digests of its adapter */
export async function tuneReference(
  paths: SoakPaths,
  options: JobOptions,
  { name = 'reference', signal }: { readonly name?: string; readonly signal?: AbortSignal } = {},
): Promise<Digests> {
  const out = join(paths.work, name);
  const tune = ['tune', ...tuneFlags(options), '--out', out, '--overwrite', '--json'];
  await runEmloc(paths, tune, signal);
  return digestsOf(out);
}

/** SHA-256 of the compared files in a folder. @throws what is missing */
export async function digestsOf(
  folder: string,
  names: readonly string[] = comparedFiles,
): Promise<Digests> {
  const digests = names.map(
    async (name) =>
      [
        name,
        createHash('sha256')
          .update(await readFile(join(folder, name)))
          .digest('hex'),
      ] as const,
  );
  return new Map(await Promise.all(digests));
}

/** SHA-256 of every tensor file in a folder. */
export async function digestsIn(folder: string): Promise<Digests> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
  return digestsOf(folder, names);
}

/** Files that differ. */
export function differences(expected: Digests, found: Digests): string[] {
  return [...expected]
    .filter(([file, digest]) => found.get(file) !== digest)
    .map(([file]) => `${file} differs from that of emloc tune`);
}

function tuneFlags({
  model,
  data,
  validation,
  vramBytes,
  ratios,
  steps,
  batch,
  calibrationRows,
  maxLength,
  refineSteps,
  seed,
}: JobOptions): string[] {
  const flags = {
    model,
    data,
    vram: vramBytes,
    steps,
    batch,
    calibration: calibrationRows,
    'max-length': maxLength,
    'refine-steps': refineSteps,
    seed,
    ...(typeof validation === 'string' ? { validation } : {}),
  };
  return [
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ...(ratios ?? []).flatMap((ratio) => ['--ratio', ratio]),
  ];
}

async function runEmloc(
  { dist }: SoakPaths,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const program = join(dist, 'emloc', 'emloc.mjs');
  const child = spawn(process.execPath, ['--enable-source-maps', program, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors = (errors + text.toString()).slice(-4000)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  }).finally(() => signal?.removeEventListener('abort', kill));
  // 3: done, though the model got no better.
  if (code !== 0 && code !== 3) throw new Error(`emloc ${args[0]} ended with ${code}: ${errors}`);
}

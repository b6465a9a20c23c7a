import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CreateJobOptions } from '@emloc/sdk';

/** Paths of the repository that a soak works with. */
export interface SoakPaths {
  readonly root: string;
  /** The folder of all built programs. */
  readonly dist: string;
  /** Of this soak's own. */
  readonly work: string;
}

export const modelPath = 'examples/models/tiny-qwen2';
/** Blocks of that model. */
export const blockCount = 4;
const rows = 96;

/** The files that have to come out the same, whoever made them. */
const comparedFiles = Object.freeze(['adapter_model.safetensors', 'adapter_config.json']);

/** A job of some seconds that goes through all stages. */
export async function prepareJob({ root, work }: SoakPaths): Promise<CreateJobOptions['options']> {
  const data = join(work, 'rows.jsonl');
  const lines = (await readFile(join(root, 'examples/data/train.jsonl'), 'utf8'))
    .split('\n')
    .slice(0, rows);
  await writeFile(data, `${lines.join('\n')}\n`);
  return {
    model: join(root, modelPath),
    data,
    vramBytes: 64 * 2 ** 20,
    steps: 24,
    batch: 4,
    calibrationRows: 16,
    maxLength: 64,
    refineSteps: 6,
    seed: 7,
  };
}

/** Runs the same job by `emloc tune`. @returns the digests of its adapter */
export async function tuneReference(
  { dist, work }: SoakPaths,
  options: CreateJobOptions['options'],
): Promise<ReadonlyMap<string, string>> {
  const out = join(work, 'reference');
  await run(join(dist, 'emloc', 'emloc.mjs'), [
    'tune',
    ...tuneFlags(options),
    '--out',
    out,
    '--overwrite',
    '--json',
  ]);
  return digestsOf(out);
}

/** SHA-256 of the compared files in a folder. @throws what is missing */
export async function digestsOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const digests = comparedFiles.map(
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

function tuneFlags({
  model,
  data,
  validation,
  vramBytes,
  steps,
  batch,
  calibrationRows,
  maxLength,
  refineSteps,
  seed,
}: CreateJobOptions['options']): string[] {
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
  return Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--enable-source-maps', program, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (text: Buffer) => (errors = (errors + text.toString()).slice(-4000)));
    child.once('error', reject).once('close', (code) =>
      // 3: done, though the model got no better.
      code === 0 || code === 3
        ? resolve()
        : reject(new Error(`emloc ${args[0]} ended with ${code}: ${errors}`)),
    );
  });
}

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Backend, DeviceTarget } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';

import { resolveTuneOptions, type TuneOptions } from '../src/options/resolve.js';
import type { TuneHost } from '../src/tune.js';

const examples = new URL('../../../examples/', import.meta.url);

export const tinyModel = fileURLToPath(new URL('models/tiny-qwen2', examples));

/** A folder of a test's own, with the first rows of the example data in it. */
export interface Workspace {
  readonly data: string;
  /** Where an adapter may be written: `out` in a folder that holds nothing else. */
  readonly outputs: string;
  /**
   * A small job on the 1M model: 2 steps of 4 rows, one strength of correction, 1 step of
   * refinement, 3 rows to validate on.
   */
  options(overrides?: Partial<TuneOptions>): TuneOptions;
  /** Names of everything in `outputs`, hidden entries included. */
  leftovers(): Promise<readonly string[]>;
  /** Removes an entry of `outputs`. */
  remove(name: string): Promise<void>;
  close(): Promise<void>;
}

export async function openWorkspace(rows = 48): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-pipeline-'));
  const data = join(folder, 'train.jsonl');
  const outputs = join(folder, 'outputs');
  await mkdir(outputs);
  const validation = join(folder, 'validation.jsonl');
  const lines = (await readFile(new URL('data/train.jsonl', examples), 'utf8')).split('\n');
  await writeFile(data, `${lines.slice(0, rows).join('\n')}\n`);
  await writeFile(validation, `${lines.slice(rows, rows + 3).join('\n')}\n`);
  return {
    data,
    outputs,
    options: (overrides = {}) =>
      resolveTuneOptions({
        date: '2026-01-31',
        model: tinyModel,
        data,
        validation,
        out: join(outputs, 'out'),
        steps: 2,
        batch: 4,
        maxLength: 64,
        calibrationRows: 4,
        rank: 4,
        alpha: 8,
        learningRate: 2e-3,
        correction: 3,
        refineSteps: 1,
        vramBytes: 2 ** 30,
        ...overrides,
      }),
    leftovers: () => readdir(outputs),
    remove: (name) => rm(join(outputs, name), { recursive: true }),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The CPU as a device to take, which remembers the backends it gave away. */
export interface CpuTarget extends DeviceTarget {
  readonly opened: readonly Backend[];
}

export function cpuTarget(): CpuTarget {
  const opened: Backend[] = [];
  return {
    profile: cpuProfile,
    opened,
    open: () => {
      const backend = createCpuBackend();
      opened.push(backend);
      return Promise.resolve(backend);
    },
  };
}

export function tuneHost(overrides: Partial<TuneHost> = {}): TuneHost {
  return {
    target: cpuTarget(),
    provenance: { program: 'emloc test', device: 'cpu' },
    ...overrides,
  };
}

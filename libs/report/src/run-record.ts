import { join } from 'node:path';
import { runFileName, writeFileAtomic } from '@emloc/checkpoint';

import { listAt, numberAt, textAt } from './fields.js';
import { readJson } from './read-file.js';

/**
 * What is known of one run of a job and decides none of its bytes: it stands beside the record of
 * the job, which is the same for equal inputs.
 */
export interface RunRecord {
  /** Program and arguments as they were given; null: not known. */
  readonly command: readonly string[] | null;
  /** Of the program, of Node and of what it ran on. */
  readonly versions: Readonly<Record<string, string>>;
  /** null: not known. */
  readonly budgetBytes: number | null;
  readonly peakDeviceBytes: number | null;
  readonly stages: readonly RunStage[];
}

/** Seconds and peak device memory of a stage. */
interface RunStage {
  readonly name: string;
  readonly seconds: number;
  readonly peakDeviceBytes: number;
}

/** Writes the record into an adapter's folder, whole or not at all. */
export async function writeRunRecord(folder: string, record: RunRecord): Promise<void> {
  await writeFileAtomic(join(folder, runFileName), `${JSON.stringify(record, null, 2)}\n`);
}

/** What of a record can be read; nothing where there is none. */
export async function readRunRecord(folder: string): Promise<RunRecord> {
  const document = await readJson(join(folder, runFileName));
  const command = listAt(document, 'command').filter((part) => typeof part === 'string');
  const versions = Object(document) as { versions?: unknown };
  return {
    command: command.length > 0 ? command : null,
    versions: Object.fromEntries(
      Object.entries(Object(versions.versions) as object).filter(
        (entry): entry is [string, string] => typeof entry[1] === 'string',
      ),
    ),
    budgetBytes: numberAt(document, 'budgetBytes'),
    peakDeviceBytes: numberAt(document, 'peakDeviceBytes'),
    stages: listAt(document, 'stages').flatMap(stageOf),
  };
}

function stageOf(value: unknown): RunStage[] {
  const [name, seconds] = [textAt(value, 'name'), numberAt(value, 'seconds')];
  const peakDeviceBytes = numberAt(value, 'peakDeviceBytes');
  return name === null || seconds === null || peakDeviceBytes === null
    ? []
    : [{ name, seconds, peakDeviceBytes }];
}

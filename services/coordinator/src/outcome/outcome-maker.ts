import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { at } from '@emloc/checked';
import { logFileName } from '@emloc/checkpoint';
import {
  fromTuneOptionsMessage,
  JobSpecReferenceSchema,
  type StoredObject,
} from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import type { NumberedLog } from '@emloc/nats';
import { isMethodChoice, type MethodChoice, type TensorRecord } from '@emloc/pipeline';
import { RpcError } from '@emloc/rpc';

import { uploadFolder } from '../artifacts.js';
import type { OutcomeMaker } from '../drive/drive-job.js';
import { adaptersOf, logsOf } from '../drive/stage-results.js';
import type { LogEntry } from '../jobs/ledger.js';
import type { JobRecord } from '../jobs/record.js';
import type { DatasetFiles, OptionSources } from './dataset-files.js';
import type { Engine } from './engine.js';
import { eventsOf, jobLogText } from './job-log.js';

export interface OutcomeMakerParts {
  readonly storage: JobStorage;
  readonly datasetFiles: DatasetFiles;
  readonly engine: Pick<Engine, 'writeOutcome'>;
  /** Events of jobs. */
  readonly log: Pick<NumberedLog<LogEntry>, 'read'>;
  /** Name and version, which the outcome remembers. */
  readonly program: string;
}

/**
 * Makes outcomes from what the stages stored: the engine writes the folder, whose files become
 * artifacts.
 */
export function createOutcomeMaker({
  storage,
  datasetFiles,
  engine,
  log: events,
  program,
}: OutcomeMakerParts): OutcomeMaker {
  return {
    make: async (record, signal) => {
      const { choice, ...sources } = await sourcesOf(record, storage);
      const held = await datasetFiles.open(sources, { signal });
      try {
        const results = Object.fromEntries(
          Object.entries(record.stages).map(([stage, state]) => [stage, state.result]),
        );
        const adapters = adaptersOf(record);
        const log = join(held.folder, logFileName);
        await writeFile(log, await logText(record, { storage, events }));
        const { budgetBytes } = await engine.writeOutcome(
          { options: held.options, results, program, choice, log },
          (name) => readRecord(storage, adapters[name]),
          signal,
        );
        return {
          artifacts: await uploadFolder(storage.artifacts, record.id, held.options.out, signal),
          budgetBytes,
        };
      } finally {
        await held.close();
      }
    },
  };
}

async function sourcesOf(
  { id, spec }: JobRecord,
  storage: JobStorage,
): Promise<OptionSources & { readonly choice: MethodChoice | null }> {
  const { options, data, moreData, validation, classData, methodChoice } = await storage.readSpec(
    create(JobSpecReferenceSchema, { ...spec, revision: BigInt(spec.revision) }),
  );
  if (!options)
    throw new RpcError('DATA_LOSS', `the specification of jobs/${id} has no options`, {
      reason: 'JOB_SPEC_INCOMPLETE',
    });
  return {
    plain: fromTuneOptionsMessage(options),
    choice: isMethodChoice(methodChoice) ? methodChoice : null,
    ...(data ? { data } : {}),
    ...(moreData.length > 0 ? { moreData } : {}),
    ...(validation ? { validation } : {}),
    ...(classData ? { classData } : {}),
  };
}

/** What the stages and the job's events say of how it went. */
function logText(
  record: JobRecord,
  { storage, events }: { storage: JobStorage; events: OutcomeMakerParts['log'] },
): Promise<string> {
  const logs = logsOf(record);
  return jobLogText(eventsOf(events, record.id), async (stage) => {
    const stored = stage === 'train' || stage === 'refine' ? logs[stage] : undefined;
    return stored ? ((await readRecord(storage, stored)).attributes['log'] ?? '') : '';
  });
}

async function readRecord(storage: JobStorage, { name }: StoredObject): Promise<TensorRecord> {
  const stored = await storage.tensors.open(name);
  if (!stored)
    throw new RpcError('DATA_LOSS', `${name} is not stored any more`, {
      reason: 'ADAPTER_MISSING',
    });
  const buffers = await stored.toMemory();
  const tensors = stored.tensors.map(({ name: tensor, dtype, shape }, index) => ({
    name: tensor,
    dtype: dtype as TensorRecord['tensors'][number]['dtype'],
    shape,
    bytes: at(buffers, index),
  }));
  return { tensors, attributes: stored.attributes };
}

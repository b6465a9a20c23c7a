import { create } from '@bufbuild/protobuf';
import { at } from '@emloc/checked';
import {
  fromTuneOptionsMessage,
  JobSpecReferenceSchema,
  type StoredObject,
} from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import { isMethodChoice, type MethodChoice, type TensorRecord } from '@emloc/pipeline';
import { RpcError } from '@emloc/rpc';

import { uploadFolder } from '../artifacts.js';
import type { OutcomeMaker } from '../drive/drive-job.js';
import { adaptersOf } from '../drive/stage-results.js';
import type { JobRecord } from '../jobs/record.js';
import type { DatasetFiles, OptionSources } from './dataset-files.js';
import type { Engine } from './engine.js';

export interface OutcomeMakerParts {
  readonly storage: JobStorage;
  readonly datasetFiles: DatasetFiles;
  readonly engine: Pick<Engine, 'writeOutcome'>;
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
        const { budgetBytes } = await engine.writeOutcome(
          { options: held.options, results, program, choice },
          (name) => readAdapter(storage, adapters[name]),
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
  const { options, data, validation, methodChoice } = await storage.readSpec(
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
    ...(validation ? { validation } : {}),
  };
}

async function readAdapter(storage: JobStorage, { name }: StoredObject): Promise<TensorRecord> {
  const stored = await storage.tensors.open(name);
  if (!stored)
    throw new RpcError('DATA_LOSS', `adapter ${name} is not stored any more`, {
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

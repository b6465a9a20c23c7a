import { rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  createFolderAtomic,
  writeFileAtomic,
  writePeftAdapter,
  type LoraAdapter,
} from '@emloc/checkpoint';
import { linearModules } from '@emloc/models';

import type { Job } from './job.js';
import { outputPaths } from './output-folder.js';
import type { JobResult } from './run-job.js';
import { textRecordOf } from './text-record.js';

/** What decides a job's bytes besides its inputs. */
export interface Provenance {
  readonly program: string;
  /** Device and numerical library, e.g. `cpu, OpenBLAS 0.3.21, 2 threads`. */
  readonly device: string;
}

/**
 * Writes a job's adapter folder, whole or not at all: the PEFT adapter, in `uncorrected/` the
 * adapter as training on the emulator left it, and `emloc.json` with everything that must be
 * remembered. Equal inputs give equal bytes.
 */
export async function writeOutcome(
  folder: string,
  job: Job,
  { result, provenance }: { result: JobResult; provenance: Provenance },
): Promise<void> {
  const aside = outputPaths(folder).replaced;
  await rename(folder, aside).catch(ignoreMissing);
  try {
    await createFolderAtomic(folder, async (temporary) => {
      await writeAdapter(temporary, job, result.adapter);
      await writeAdapter(join(temporary, 'uncorrected'), job, result.uncorrected);
      const record = Buffer.from(
        `${JSON.stringify(await recordOf(job, result, provenance), null, 2)}\n`,
      );
      await writeFileAtomic(join(temporary, 'emloc.json'), record);
    });
  } catch (error) {
    await rename(aside, folder).catch(ignoreMissing);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

function writeAdapter(folder: string, job: Job, adapter: LoraAdapter): Promise<void> {
  return writePeftAdapter(folder, adapter, { linearModules: linearModules(job.model.layout) });
}

async function recordOf(
  job: Job,
  result: JobResult,
  provenance: Provenance,
): Promise<Record<string, unknown>> {
  const { options, report } = job;
  return {
    program: provenance.program,
    device: provenance.device,
    job: job.id,
    baseModel: {
      name: basename(options.model),
      sha256: await job.model.checkpoint.fingerprint(),
      architecture: job.model.layout.family,
    },
    data: {
      sha256: report.datasetSha256,
      train: report.train,
      validation: report.validation,
      trainRows: job.trainRows.length,
    },
    text: textRecordOf(options),
    lora: {
      rank: options.rank,
      alpha: options.alpha,
      useRslora: options.useRslora,
      targets: options.targets,
    },
    training: {
      seed: options.seed,
      batch: options.batch,
      gradientAccumulation: options.gradientAccumulation,
      maxLength: options.maxLength,
      weightDecay: options.weightDecay,
      maxGradientNorm: options.maxGradientNorm,
      ...job.training.schedule,
    },
    calibration:
      job.emulated.length > 0 ? { seed: options.seed, rows: options.calibrationRows } : null,
    ratios: options.ratios,
    emulator: result.emulator,
    correction: result.correction,
    refinement: result.refinement && {
      ...result.refinement,
      learningRate: job.refinement?.schedule.learningRate,
    },
    validation: result.validation,
  };
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

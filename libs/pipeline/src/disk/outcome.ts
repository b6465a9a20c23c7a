import { createHash } from 'node:crypto';
import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { at } from '@emloc/checked';
import {
  cardFileName,
  keepCard,
  logFileName,
  recordFileName,
  writeDiffusersAdapter,
  writeFileAtomic,
  writeOutput,
  writePeftAdapter,
  type LoraAdapter,
  type OutputPlace,
} from '@emloc/checkpoint';
import { linearModules } from '@emloc/models';

import type { FileReport } from '../job/file-report.js';
import type { JobResult } from '../job/job-result.js';
import type { Job } from '../job/job.js';
import { textRecordOf } from '../job/text-record.js';
import { baseNameOf, baseRevisionOf } from '../options/base-name.js';
import { pictureRecordOf } from '../pictures/picture-record.js';
import { samplesFolder } from '../pictures/training-samples.js';
import type { MethodChoice } from '../plan/method-choice.js';
import { baseLicense } from './base-license.js';
import { modelCard } from './model-card.js';
import { outcomeFiles } from './output-folder.js';
import { peftModules } from './peft-modules.js';

/** What decides a job's bytes besides its inputs. */
export interface Provenance {
  readonly program: string;
  /** Device and numerical library, e.g. `cpu, OpenBLAS 0.3.21, 2 threads`. */
  readonly device: string;
}

/**
 * Writes a job's adapter folder, whole or not at all, in place of another adapter where
 * `overwrite` says so:
 * the PEFT adapter, in `uncorrected/` the adapter as training on the emulator left it, and
 * `emloc.json` with everything that must be remembered, and a card for hubs, which stays what it is
 * where its owner has changed it. Equal inputs give equal bytes, but for the log of how it went.
 */
export function writeOutcome(
  place: OutputPlace,
  job: Job,
  {
    result,
    provenance,
    choice = null,
    overwrite = true,
    samples = [],
    log,
  }: {
    result: JobResult;
    provenance: Provenance;
    /** What a plan has decided of the job. */
    choice?: MethodChoice | null;
    overwrite?: boolean;
    /** Files of pictures that were made on the way. */
    samples?: readonly string[];
    /** The job's log, which is copied. */
    log: string;
  },
): Promise<void> {
  const fill = async (temporary: string): Promise<void> => {
    await writeAdapter(temporary, job, result.adapter);
    await writeAdapter(join(temporary, 'uncorrected'), job, result.uncorrected);
    await copyFile(log, join(temporary, logFileName));
    const shown = samples.map((path) => `${samplesFolder}/${basename(path)}`);
    if (samples.length > 0) await mkdir(join(temporary, samplesFolder));
    for (const [index, path] of samples.entries())
      await copyFile(path, join(temporary, at(shown, index)));
    const { program } = provenance;
    const license = await baseLicense(job.options.model);
    const card = modelCard(job, result, { program, license });
    await writeFileAtomic(join(temporary, cardFileName), card);
    await keepCard(place.folder, temporary);
    const record = {
      ...(await recordOf(job, result, provenance)),
      choice,
      card: createHash('sha256').update(card).digest('hex'),
    };
    await writeFileAtomic(
      join(temporary, recordFileName),
      `${JSON.stringify({ ...record, files: [...outcomeFiles(job.whole.layout), cardFileName, ...shown] }, null, 2)}\n`,
    );
  };
  return writeOutput(place, fill, { overwrite });
}

function writeAdapter(folder: string, job: Job, adapter: LoraAdapter): Promise<void> {
  const { layout } = job.whole;
  if (layout.diffusion)
    return writeDiffusersAdapter(folder, adapter, { linearModules: linearModules(layout) });
  const { baseName, loraDropout: dropout } = job.options;
  const baseModel = baseNameOf(baseName, job.model.checkpoint) ?? undefined;
  const baseRevision = baseRevisionOf(baseName, job.model.checkpoint) ?? undefined;
  return writePeftAdapter(
    folder,
    { ...adapter, baseModel, baseRevision, dropout },
    { linearModules: peftModules(job.whole), targetsWithin: layout.others.targetsWithin },
  );
}

async function recordOf(
  job: Job,
  result: JobResult,
  provenance: Provenance,
): Promise<Record<string, unknown>> {
  const { options } = job;
  const { checkpoint, layout } = job.model;
  return {
    program: provenance.program,
    device: provenance.device,
    job: job.id,
    baseModel: {
      name: baseNameOf(options.baseName, checkpoint) ?? basename(options.model),
      revision: baseRevisionOf(options.baseName, checkpoint),
      sha256: await checkpoint.fingerprint(),
      architecture: layout.family,
    },
    ...dataRecord(job),
    lora: {
      rank: options.rank,
      alpha: options.alpha,
      useRslora: options.useRslora,
      ...(options.useDora && { useDora: true }),
      dropout: options.loraDropout,
      targets: options.targets,
      start: job.start && { sha256: job.start.sha256 },
    },
    training: {
      seed: options.seed,
      batch: options.batch,
      batchTokens: options.batchTokens,
      gradientAccumulation: options.gradientAccumulation,
      maxLength: options.maxLength,
      weightDecay: options.weightDecay,
      loraPlusRatio: options.loraPlusRatio,
      maxGradientNorm: options.maxGradientNorm,
      evalSteps: options.evalSteps,
      patience: options.patience,
      anchors: anchorRecord(job),
      ...job.training.schedule,
    },
    calibration:
      job.emulated.length > 0
        ? { seed: options.seed, rows: options.calibrationRows, metric: options.emulatorMetric }
        : null,
    method: options.method ?? (job.emulated.length > 0 ? 'emulator' : 'paged'),
    ratios: options.ratios,
    levels: options.levels,
    factors: options.factors,
    storage: options.storage,
    emulator: result.emulator,
    correction: result.correction,
    refinement: result.refinement && {
      ...result.refinement,
      learningRate: job.refinement?.schedule.learningRate,
    },
    validation: result.validation,
    ending: result.ending,
    courses: result.courses,
  };
}

/** Not by its name, which says something of whoever has it. */
function fileRecord({ sha256, weight, share, report }: FileReport) {
  return { sha256, weight, share, rows: report.rows, tokens: report.tokens };
}

/** null: every gradient was taken on what was trained on. */
function anchorRecord({ options, training: { anchors } }: Job) {
  if (!anchors) return null;
  const { rows, count } = anchors;
  return { everySteps: options.anchorSteps, rows, planned: count };
}

/** What was learned from, and how it was read. */
function dataRecord({ options, report, trainRows, longestRow, model }: Job) {
  const { datasetSha256: sha256 } = report;
  if (report.kind === 'rows') {
    const { train, validation, files } = report;
    return {
      data: {
        sha256,
        ...(options.moreData.length > 0 || options.dataWeights !== null
          ? { files: files.map(fileRecord) }
          : {}),
        ...{ train, validation, trainRows: trainRows.count, longestRow },
      },
      text: textRecordOf(options, model.layout),
    };
  }
  const { pictures, captionsCut, heldOut } = report;
  // Names of files say something of whoever has them.
  const { duplicates, ...counted } = pictures;
  return {
    data: { sha256, pictures: { ...counted, duplicates: duplicates.length }, captionsCut, heldOut },
    pictures: pictureRecordOf(options),
  };
}

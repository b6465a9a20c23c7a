import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@emloc/checked';

import { writeFileAtomic } from '../atomic.js';
import type { ShardedCheckpoint } from '../checkpoint.js';
import type { FloatDType } from '../floats.js';
import type { LoraAdapter } from '../lora-adapter.js';
import { holdPlace, settleOutput } from '../output/held-place.js';
import { recordFileName } from '../output/output-files.js';
import { assertReplaceable } from '../output/owned.js';
import { findPlace } from '../output/place.js';
import { changeFiles, writeOutput } from '../output/write-output.js';
import { withPathsOf } from '../rename-layers.js';
import { safetensorsBytes, writeSafetensors } from '../write-safetensors.js';
import { copyOtherFiles, listOtherFiles, rewriteDType, type OtherFiles } from './other-files.js';
import { assertFreeDisk, assertOutsideModel } from './output-folder.js';
import { assertOwnHead, outputBytes, planMerge, type MergePlan, type TensorMerge } from './plan.js';
import { findMergeSource, type MergeSource } from './source.js';
import { mergedPieces } from './tensor.js';
import { assertLayersUsed } from './unused-layers.js';
import { verifyMerge } from './verify.js';

export interface MergeProgress {
  readonly phase: 'merging' | 'verifying';
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface MergeOptions {
  /**
   * The base model's folder; of a diffusion model also the file with its transformer, whose folder
   * is then the model's.
   */
  readonly model: string;
  readonly adapter: LoraAdapter;
  /** Must not exist, or be empty, unless `overwrite` says otherwise; not inside `model`. */
  readonly out: string;
  /** Whether a merged checkpoint that is there already is replaced. */
  readonly overwrite?: boolean;
  /** Whether a checkpoint may have more layers than its config says. Default: no. */
  readonly allowUnusedLayers?: boolean;
  /** What all floating-point tensors are stored in; by default each keeps its own. */
  readonly dtype?: FloatDType;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: MergeProgress) => void;
}

export interface MergeReport {
  readonly folder: string;
  readonly mergedLayers: number;
  /** Bytes of all tensors. */
  readonly tensorBytes: number;
  /** SHA-256 in hex by weight file. */
  readonly files: Readonly<Record<string, string>>;
  /**
   * Paths in the model's folder that are not part of the merged model, e.g. its weights in other
   * formats.
   */
  readonly leftOut: readonly string[];
  /** What whoever serves the merged model should know, for people. */
  readonly notices: readonly string[];
}

/** Of the heads that guess further tokens, which nothing here trains. */
const guessingHead = 'mtp.';

/**
 * Writes W + s · B A in place of every adapted weight, file by file, with everything else as it
 * was. Memory: the adapter and a few pieces of 8 MiB. The folder appears complete and verified, or
 * not at all.
 * @throws CheckpointError before anything is written where the adapter does not fit, the disk is
 * too full or `out` is taken.
 */
export async function mergeCheckpoint(options: MergeOptions): Promise<MergeReport> {
  const { model, out, dtype, signal, overwrite = false } = options;
  signal?.throwIfAborted();
  await settleOutput(model);
  const source = await findMergeSource(model);
  await using checkpoint = await source.open(source.folder, { signal });
  if (options.allowUnusedLayers !== true) assertLayersUsed(checkpoint);
  const isLayer = (path: string) => checkpoint.tensors.has(`${path}.weight`);
  const adapter = { ...options.adapter, layers: withPathsOf(options.adapter.layers, isLayer) };
  await assertOwnHead(checkpoint, adapter, signal);
  const plan = planMerge(checkpoint, adapter, dtype);
  await assertOutsideModel(source.folder, await findPlace(out));
  const weights = [...plan.keys()].map((file) => source.under + file);
  const others = await listOtherFiles(source, new Set([...weights, recordFileName]));
  const files = [...weights, ...others.copied, recordFileName].sort();
  await using place = await holdPlace(out);
  const kind = { name: 'merged checkpoint', marks: [source.mark] };
  await assertReplaceable(place, { overwrite, kind, written: files });
  const sizes = [...weightFiles(checkpoint, plan), ...otherFiles(others, files, dtype)];
  await assertFreeDisk(place, [...sizes, ...(await changeFiles(place, files))]);
  const written = await writeOutput(
    place,
    (temporary) => fill(temporary, { ...options, source, checkpoint, plan, others, files }),
    { signal, overwrite },
  );
  return {
    folder: out,
    mergedLayers: adapter.layers.size,
    tensorBytes: outputBytes(plan),
    files: Object.fromEntries([...written].map(([file, hash]) => [source.under + file, hash])),
    leftOut: others.leftOut,
    notices: noticesOf(checkpoint),
  };
}

function noticesOf({ tensors }: ShardedCheckpoint): readonly string[] {
  const stale = [...tensors.keys()].filter((name) => name.startsWith(guessingHead));
  if (stale.length === 0) return [];
  return [
    `warning: ${stale.length} tensors of the multi-token prediction (${guessingHead}*) are copied as they were: they guess what the model would say without the adapter, so that fewer of their guesses are taken`,
  ];
}

interface FillInputs extends MergeOptions {
  readonly source: MergeSource;
  readonly checkpoint: ShardedCheckpoint;
  readonly plan: MergePlan;
  readonly others: OtherFiles;
  /** Paths of everything that is written. */
  readonly files: readonly string[];
}

/** Writes and verifies the folder; returns SHA-256 by weight file. */
async function fill(
  temporary: string,
  { dtype, source, checkpoint, plan, others, files, signal, onProgress }: FillInputs,
): Promise<ReadonlyMap<string, string>> {
  const totalBytes = outputBytes(plan);
  const weights = join(temporary, source.under);
  await mkdir(weights, { recursive: true });
  await copyOtherFiles(source.folder, temporary, { ...others, signal });
  if (dtype && source.configFile !== null)
    await rewriteDType(weights, { dtype, totalBytes, indexFile: checkpoint.indexFile });
  const written = new Map<string, string>();
  const onBytes = counter('merging', totalBytes, onProgress);
  for (const [file, tensors] of plan)
    written.set(
      file,
      await mergeFile(join(weights, file), { checkpoint, file, tensors, signal, onBytes }),
    );
  await using merged = await source.open(temporary, { signal });
  await verifyMerge(weights, {
    source: checkpoint,
    merged,
    plan,
    written,
    signal,
    onBytes: counter('verifying', totalBytes, onProgress),
  });
  await checkpoint.assertUnchanged();
  await writeFileAtomic(join(temporary, recordFileName), `${JSON.stringify({ files }, null, 2)}\n`);
  return written;
}

interface MergeFileInputs {
  readonly checkpoint: ShardedCheckpoint;
  readonly file: string;
  readonly tensors: readonly TensorMerge[];
  readonly signal?: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

async function mergeFile(
  path: string,
  { checkpoint, file, tensors, signal, onBytes }: MergeFileInputs,
): Promise<string> {
  const original = checkpoint.files.get(file);
  if (!original) throw new Error(`no file ${file} in ${checkpoint.folder}`);
  const hash = createHash('sha256');
  const entries = tensors.map((tensor) => ({
    name: tensor.name,
    shape: tensor.shape,
    dtype: tensor.to,
    data: () => mergedPieces(original, tensor),
  }));
  await writeSafetensors(path, entries, original.metadata, {
    order: 'given',
    signal,
    onBytes: (bytes) => {
      hash.update(bytes);
      onBytes(bytes.byteLength);
    },
  });
  return hash.digest('hex');
}

/** Bytes of each weight file. */
function weightFiles({ files }: ShardedCheckpoint, plan: MergePlan): number[] {
  return [...plan].map(([file, tensors]) => {
    const entries = tensors.map(({ name, shape, to }) => ({ name, shape, dtype: to }));
    return safetensorsBytes(entries, get(files, file).metadata) + headerSlackBytes;
  });
}

/** Offsets have more digits in the order of the file than in the standard one, or fewer. */
const headerSlackBytes = 4096;

/** Bytes of each other file. What is rewritten for another dtype is there twice for a moment. */
function otherFiles(
  { copiedBytes }: OtherFiles,
  files: readonly string[],
  dtype: FloatDType | undefined,
): number[] {
  const record = Buffer.byteLength(JSON.stringify(files, null, 2)) + headerSlackBytes;
  return [
    record,
    ...copiedBytes,
    ...(dtype
      ? copiedBytes
          .slice()
          .sort((a, b) => b - a)
          .slice(0, 2)
      : []),
  ];
}

/**
 * Counts bytes of whole files against those of their tensors, so the end is where they are equal.
 */
function counter(
  phase: MergeProgress['phase'],
  totalBytes: number,
  onProgress: MergeOptions['onProgress'],
): (bytes: number) => void {
  let doneBytes = 0;
  return (bytes) => {
    doneBytes = Math.min(totalBytes, doneBytes + bytes);
    onProgress?.({ phase, doneBytes, totalBytes });
  };
}

import { safetensorsBytes } from '@emloc/checkpoint';
import { byteLength, type DeviceProfile } from '@emloc/device';
import { adaptedLinears } from '@emloc/finetune';
import type { TensorSpec } from '@emloc/weight-pager';

import type { InputFile } from '../inputs/input-files.js';
import type { EmulatedLinear } from '../job/emulated-linear.js';
import { factorSpecs } from '../job/factor-store.js';
import type { Job } from '../job/job.js';
import { keptStates } from './training-store.js';

/** What decides how much a job has on disk, beside the job. */
export interface JobDiskUse {
  readonly profile: DeviceProfile;
  readonly inputs: readonly InputFile[];
  readonly checkpointSteps: number;
  /** States of training that an interrupted run has left. */
  readonly storedStates: number;
}

/** Numbers and scores beside the tensors of a record, or what a configuration has beside names. */
const attributeBytes = 2048;
/** A card, what is said of the job apart. */
const cardBytes = 8192;
/** A report of a layer as JSON, its name apart. */
const reportBytes = 400;
/** A hash with what stands around it in a line of the log of hashes. */
const hashLineBytes = 128;

/**
 * Bytes of every file that a job has on disk, at each of the moments at which it has most: while it
 * trains, while it refines, and while the output is written beside its progress.
 */
export function jobFiles(job: Job, use: JobDiskUse): readonly (readonly number[])[] {
  const { refinement, training, emulated } = job;
  const adapter = adapterBytes(job);
  const curve = curveBytes(job);
  const outcome = adapter.tensors + attributeBytes + curve;
  const state = stateBytes(job);
  const states = (steps: number, writing: number): number[] =>
    Array.from({ length: Math.min(keptStates + writing, statesOf(steps, use)) }, () => state);
  // The record of the output has it, too, with more around it.
  const log = logBytes(job);
  const always = [...progressFiles(job, use), ...sampleFiles(job), 2 * curve, log];
  const trained = states(training.schedule.steps, 0);
  const refined = refinement ? states(refinement.schedule.steps, 0) : [];
  const refining = refinement ? states(refinement.schedule.steps, 1) : [];
  const outcomes = 1 + (emulated.length > 0 ? 1 : 0) + (refinement ? 1 : 0);
  // With second moments where a last level goes on with them.
  const kept = [
    ...Array.from({ length: outcomes }, () => outcome),
    ...(job.levels ? [adapter.tensors] : []),
  ];
  return [
    [...always, ...states(training.schedule.steps, 1)],
    [...always, ...trained, ...kept, ...refining],
    [...always, ...trained, ...kept, ...refined, ...outputFiles(job, adapter.written), log],
  ];
}

/** States that a stage may have saved by its end; an interruption saves one in place of a later. */
function statesOf(steps: number, { checkpointSteps, storedStates }: JobDiskUse): number {
  return Math.min(steps, Math.ceil(steps / checkpointSteps) + storedStates);
}

/** One adapter in a record and as it is written for others. */
function adapterBytes(job: Job): { readonly tensors: number; readonly written: number } {
  const tensors = parameters(job);
  const named = tensors.map((tensor) => ({ ...tensor, name: `base_model.model.${tensor.name}` }));
  return {
    tensors: safetensorsBytes(tensors, pathsOf(job)),
    written: safetensorsBytes(named, {}) + attributeBytes,
  };
}

/** The matrices of the job's adapter. */
function parameters({ model: { layout }, options: { targets, rank } }: Job) {
  return [...adaptedLinears(layout, targets)].flatMap(([path, { inFeatures, outFeatures }]) => [
    { name: `${path}.lora_A.weight`, shape: [rank, inFeatures], dtype: 'float32' } as const,
    { name: `${path}.lora_B.weight`, shape: [outFeatures, rank], dtype: 'float32' } as const,
  ]);
}

/** Every path with its sizes, as records have them as an attribute. */
function pathsOf({ model: { layout }, options: { targets } }: Job): Record<string, string> {
  const layers = [...adaptedLinears(layout, targets)].map(
    ([path, { inFeatures, outFeatures }]) => ({ path, inFeatures, outFeatures }),
  );
  return { adapter: JSON.stringify(layers) };
}

/** A state of training: beside each matrix what the optimizer keeps of it. */
function stateBytes(job: Job): number {
  const kept = ['first_moment', 'second_moment'];
  if (job.options.optimizer === 'prodigy') kept.push('gradient_sum');
  if (job.options.evalSteps !== null || job.levels) kept.push('best');
  const tensors = parameters(job).flatMap((tensor) => [
    tensor,
    ...kept.map((kind) => ({ ...tensor, name: `${tensor.name}.${kind}` })),
  ]);
  return safetensorsBytes(tensors, pathsOf(job)) + attributeBytes + curveBytes(job);
}

/** A validation loss with its step as JSON. */
const pointBytes = 64;

/** Losses of the validations during training and refinement. */
function curveBytes({ training, refinement, levels, options: { evalSteps } }: Job): number {
  if (evalSteps === null && !levels) return 0;
  const more = 2 + (levels?.length ?? 0);
  const points = (steps: number): number =>
    (evalSteps === null ? 0 : Math.ceil(steps / evalSteps)) + more;
  return pointBytes * (points(training.schedule.steps) + points(refinement?.schedule.steps ?? 0));
}

/** A line of the log: fifteen numbers with their names. */
const logLineBytes = 512;

/** A line a step, a validation, and those of the stages. */
function logBytes({ training, refinement, levels, options: { evalSteps } }: Job): number {
  const lines = (steps: number): number =>
    steps + 8 + (levels?.length ?? 0) + (evalSteps === null ? 0 : Math.ceil(steps / evalSteps));
  return logLineBytes * (lines(training.schedule.steps) + lines(refinement?.schedule.steps ?? 0));
}

/** What is there from the start on: factors, what was made of images, names and hashes. */
function progressFiles(job: Job, { profile, inputs }: JobDiskUse): number[] {
  const made = job.task.keptFiles(job, profile.computeDType);
  const names = [...job.whole.checkpoint.tensors.keys()];
  const hashes = textBytes(names) + hashLineBytes * (names.length + made.length);
  const identity = Buffer.byteLength(JSON.stringify(inputs, null, 2)) + attributeBytes;
  // The identity is written beside itself when a job is gone on with.
  return [...made, ...factorFiles(job.emulated, profile), hashes, identity, identity];
}

function factorFiles(emulated: readonly EmulatedLinear[], profile: DeviceProfile): number[] {
  const blocks = new Map<number, EmulatedLinear[]>();
  for (const linear of emulated)
    blocks.set(linear.block, [...(blocks.get(linear.block) ?? []), linear]);
  return [...blocks.values()].map((linears) => {
    const specs = linears.flatMap((linear) => factorSpecs(linear, profile));
    const reports = textBytes(linears.map(({ path }) => path)) + reportBytes * linears.length;
    return tensorsBytes(specs) + reports + attributeBytes;
  });
}

function tensorsBytes(specs: readonly TensorSpec[]): number {
  const headers = textBytes(specs.map(({ name }) => name)) + 128 * specs.length;
  return specs.reduce((sum, { shape, dtype }) => sum + byteLength(shape, dtype), headers);
}

/** Pictures that are made on the way: what PNG takes where nothing can be compressed. */
function sampleFiles({ options, training }: Job): number[] {
  const { samplePrompts, sampleEvery, resolution } = options;
  if (samplePrompts.length === 0) return [];
  const moments =
    2 + (sampleEvery === null ? 0 : Math.floor(training.schedule.steps / sampleEvery));
  const bytes = Math.ceil(3 * resolution ** 2 * 1.01) + attributeBytes;
  return Array.from({ length: samplePrompts.length * moments }, () => bytes);
}

/** The output's own: two adapters, their configs, the record, the card, and the samples again. */
function outputFiles(job: Job, adapter: number): number[] {
  const paths = textBytes([...adaptedLinears(job.model.layout, job.options.targets).keys()]);
  const config = 2 * paths + attributeBytes;
  const reports = textBytes(job.emulated.map(({ path }) => path));
  const said = textBytes([JSON.stringify([job.options, job.report], null, 2)]);
  const record = said + reports + reportBytes * job.emulated.length + attributeBytes;
  return [adapter, adapter, config, config, record, cardBytes + said, ...sampleFiles(job)];
}

function textBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(JSON.stringify(text)), 0);
}

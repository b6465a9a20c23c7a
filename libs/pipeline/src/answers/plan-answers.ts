import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import { Device, formatBytes, MemoryBudget, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import {
  cacheBytes,
  DeviceAdapter,
  rehearseGeneration,
  type GenerationGroup,
  type Sampling,
} from '@emloc/finetune';
import type { Model } from '@emloc/models';
import { allDeviceBytes, minimumDeviceBytes, openPager } from '@emloc/weight-pager';

import { PipelineError } from '../errors.js';
import { outdoes, weightOf } from '../plan/heaviest-batches.js';
import { groupsOf, type AnswerTask } from './answer-task.js';

/** What answers, and how. */
export interface Answering {
  readonly model: Model;
  readonly adapter: LoraAdapter | null;
  readonly profile: DeviceProfile;
  readonly sampling: Sampling;
  /** See PagedModel. */
  readonly longestRow: number;
}

export interface AnswerPlan {
  /** Prompts that are answered together. */
  readonly groupRows: number;
  /** Device memory beside weights. */
  readonly besideBytes: number;
}

/** Prompts of a group, at most: more of them make a pass no cheaper. */
const mostRows = 256;

/**
 * The most prompts that can be answered together with all weights on the device, or where not even
 * one can, with as few weights there as the pager can work with.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT
 */
export async function planAnswers(
  answering: Answering,
  task: AnswerTask,
  budgetBytes: number,
): Promise<AnswerPlan> {
  const rows = Math.min(mostRows, task.maxTokens.filter((tokens) => tokens > 0).length);
  if (rows === 0) return { groupRows: 1, besideBytes: 0 };
  const { all, least } = await weightBytes(answering);
  const known = new Map<number, number>();
  const beside = async (groupRows: number): Promise<number> => {
    const bytes = known.get(groupRows) ?? (await groupBytes(answering, task, groupRows));
    known.set(groupRows, bytes);
    return bytes;
  };
  for (const weights of [all, least]) {
    const fits = async (count: number) => (await beside(count)) + weights <= budgetBytes;
    const groupRows = await largest(rows, fits);
    if (groupRows > 0) return { groupRows, besideBytes: await beside(groupRows) };
  }
  throw doesNotFit(answering, task, { budgetBytes, neededBytes: (await beside(1)) + least });
}

/** Device memory to answer one prompt at a time, all weights on the device. */
export async function singleAnswerBytes(answering: Answering, task: AnswerTask): Promise<number> {
  const { all } = await weightBytes(answering);
  return all + (await groupBytes(answering, task, 1));
}

function doesNotFit(
  { model, profile }: Answering,
  { promptTokens, maxTokens }: AnswerTask,
  { budgetBytes, neededBytes }: { readonly budgetBytes: number; readonly neededBytes: number },
): PipelineError {
  const tokens = Math.max(...promptTokens.map((length, row) => length + at(maxTokens, row)));
  const kept = cacheBytes(model.layout, profile, tokens);
  return new PipelineError(
    'PIPELINE_DOES_NOT_FIT',
    `answers do not fit into ${formatBytes(budgetBytes)}: one of ${tokens} tokens with its prompt needs at least ${formatBytes(neededBytes)}, ${formatBytes(kept)} of it for keys, values and states`,
  );
}

/** The largest count up to `most` that fits, where smaller ones fit too; 0: none. */
async function largest(most: number, fits: (count: number) => Promise<boolean>): Promise<number> {
  if (await fits(most)) return most;
  let [low, high] = [0, most];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (await fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** Device memory of all weights, and of as few as can be worked with. */
export async function weightBytes({
  model: { source },
  profile,
}: Pick<Answering, 'model' | 'profile'>): Promise<{ all: number; least: number }> {
  await using device = countingDevice(profile);
  const all = allDeviceBytes(source, device);
  return { all, least: minimumDeviceBytes(source, device) };
}

/** What the group that needs most takes beside weights, by a rehearsal of those that may. */
async function groupBytes(
  answering: Answering,
  task: AnswerTask,
  groupRows: number,
): Promise<number> {
  let most = 0;
  for (const group of heaviestGroups(task, groupRows))
    most = Math.max(most, await rehearsedBytes(answering, task, group));
  return most;
}

/** The groups that no other outdoes in everything that memory depends on. */
function heaviestGroups(task: AnswerTask, groupRows: number): readonly GenerationGroup[] {
  const front: { readonly group: GenerationGroup; readonly weight: readonly number[] }[] = [];
  for (const group of groupsOf(task, groupRows)) {
    const weight = weightOfGroup(task, group);
    if (front.some((other) => outdoes(other.weight, weight))) continue;
    const kept = front.filter((other) => !outdoes(weight, other.weight));
    front.splice(0, front.length, ...kept, { group, weight });
  }
  return front.map(({ group }) => group);
}

/** Rows of the cache, answers, the longest of them, and the most of everything in a batch. */
function weightOfGroup(
  { source, promptTokens, maxTokens }: AnswerTask,
  { batches }: GenerationGroup,
): readonly number[] {
  const rows = batches.flat();
  const lengths = rows.map((row) => at(promptTokens, row) + at(maxTokens, row));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const shapes = batches.map((batch) => weightOf(source.prompts.shape(batch)));
  const most = at(shapes, 0).map((_, part) => Math.max(...shapes.map((shape) => at(shape, part))));
  return [total, rows.length, Math.max(...lengths), ...most];
}

async function rehearsedBytes(
  { model: { layout, source: weights }, adapter, profile, sampling, longestRow }: Answering,
  { source }: AnswerTask,
  group: GenerationGroup,
): Promise<number> {
  await using device = countingDevice(profile);
  const scope = device.budget.openPeakScope(['weights']);
  await using pager = openPager({
    ...{ device, source: weights, reads: 'none', hostBytes: Number.POSITIVE_INFINITY },
    deviceBytes: minimumDeviceBytes(weights, device),
  });
  using variant = adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false });
  const model = { device, layout, pager, longestRow };
  await rehearseGeneration({ model, adapter: variant, source, group, sampling });
  return scope.close();
}

function countingDevice(profile: DeviceProfile): Device {
  return new Device(createNullBackend(profile), new MemoryBudget(Number.POSITIVE_INFINITY));
}

import { setImmediate } from 'node:timers/promises';
import { at, get, required } from '@emloc/checked';
import type { Tensor } from '@emloc/device';
import { lossBlock, type Batch, type BatchShape, type Block, type RowSource } from '@emloc/models';

import type { DeviceAdapter } from '../device-adapter.js';
import { DeviceBatch } from '../device-batch.js';
import { FinetuneError } from '../errors.js';
import { PassContext, type PagedModel } from '../paged-model.js';
import { StreamState, visitBlock, type BlockVisit } from '../walk.js';
import { finishedLogits, sampleToken, type Sampling } from './sampling.js';
import {
  cachedSequences,
  CachePlaces,
  SequenceCache,
  type CachedSequence,
} from './sequence-cache.js';
import { BlockInputs, cachedLayout, stepBlocks } from './steps.js';

/** What is answered: rows of one sequence each, whose last position predicts. */
export interface GenerationSource {
  readonly prompts: RowSource;
  /** The sizes of a batch in which so many sequences go on by a row each. */
  stepShape(count: number): BatchShape;
  /** The batch in which each of these tokens is the one row that its sequence goes on by. */
  step(next: Int32Array): Promise<Batch>;
}

/** Prompts that are answered together. */
export interface GenerationGroup {
  /** Numbers of the prompts, by batch of the first pass: their activations are never all there. */
  readonly batches: readonly (readonly number[])[];
  /** Most tokens of an answer, at least 1. */
  maxTokens(row: number): number;
}

export interface GenerateOptions {
  readonly model: PagedModel;
  /** Null: none. */
  readonly adapter: DeviceAdapter | null;
  readonly source: GenerationSource;
  readonly group: GenerationGroup;
  readonly sampling: Sampling;
  /** Token ids that end an answer; they are not part of it. */
  readonly stopIds: ReadonlySet<number>;
  /** Told each token of an answer; true ends the answer with it. */
  readonly onToken?: (row: number, id: number) => boolean | void;
  readonly signal?: AbortSignal;
}

export interface GeneratedAnswer {
  readonly ids: Int32Array;
  /** Whether a stop id or `onToken` ended it, or the most tokens. */
  readonly finish: 'stop' | 'length';
}

/**
 * Answers a group of prompts: one pass over the paged model for all prompts, whose keys, values and
 * states stay in a cache, then one for each further token of all answers that are not done. An
 * answer depends on its prompt, its number and the sampling alone.
 * @returns answers by number of the prompt
 * @throws FinetuneError FINETUNE_NON_FINITE; OutOfBudgetError; the signal's reason when aborted
 */
export async function generate(
  options: GenerateOptions,
): Promise<ReadonlyMap<number, GeneratedAnswer>> {
  const { model, signal } = options;
  using run = new Generation(options);
  let next = await run.prefill();
  for (let open = run.extend(next); open; open = run.extend(next)) {
    // A synchronous device settles every promise in microtasks: signals must have their turn.
    await setImmediate();
    signal?.throwIfAborted();
    next = await run.step();
  }
  model.pager.schedule([]);
  return run.answers();
}

/**
 * Takes the steps of a generation that need the most memory, the first pass and the last token of
 * answers of full length: for a device that only counts.
 */
export async function rehearseGeneration(
  options: Omit<GenerateOptions, 'stopIds' | 'onToken' | 'signal'>,
): Promise<void> {
  using run = new Generation({ ...options, stopIds: new Set() });
  run.extend(await run.prefill());
  if (run.mostSteps === 0) return;
  run.skipToEnd();
  await run.step();
}

/** An answer on its way. */
interface Answer {
  readonly row: number;
  readonly cached: CachedSequence;
  readonly maxTokens: number;
  readonly ids: number[];
  finish: GeneratedAnswer['finish'] | null;
}

class Generation implements Disposable {
  readonly #answers: readonly Answer[];
  readonly #cache: SequenceCache;
  readonly #pass: PassContext;
  /** Those blocks whose streams are not empty in a step. */
  readonly #stepBlocks: readonly Block[];
  /** Row layout of the sequences. */
  readonly #rows: string;
  /** Those that are not done, in the order of the answers. */
  #open: readonly Answer[];

  constructor(private readonly options: GenerateOptions) {
    const { model, source, group } = options;
    const { device, layout } = model;
    this.#rows = cachedLayout(layout);
    const rows = group.batches.flat();
    const prompts = group.batches.flatMap((batch) => this.#promptLengths(batch));
    const capacities = rows.map((row, index) => at(prompts, index) + group.maxTokens(row));
    const sequences = cachedSequences(capacities);
    this.#answers = rows.map((row, index) => ({
      ...{ row, cached: at(sequences, index), maxTokens: group.maxTokens(row) },
      ...{ ids: [], finish: null },
    }));
    this.#open = this.#answers;
    const shape = source.stepShape(1);
    this.#stepBlocks = stepBlocks(layout, shape);
    const longest = new Map([[this.#rows, [0, Math.max(1, ...capacities)]]]);
    const shapes = group.batches.map((batch) => source.prompts.shape(batch));
    this.#pass = new PassContext(model, [...shapes, { ...shape, layouts: longest }]);
    try {
      const total = capacities.reduce((sum, rowsOf) => sum + rowsOf, 0);
      this.#cache = new SequenceCache(device, layout, { rows: total, sequences: rows.length });
    } catch (error) {
      this.#pass.close();
      throw error;
    }
  }

  /** The first token of every answer. */
  async prefill(): Promise<number[]> {
    const { model, group } = this.options;
    const { layout } = model;
    const states = group.batches.map(() => new StreamState(layout, new Map()));
    const starts = offsetsOf(group.batches.map(({ length }) => length));
    const next: number[] = [];
    this.#schedulePrefill();
    try {
      for (const block of layout.blocks) {
        // A block may take seconds of a long prompt: signals must have their turn here, too.
        await setImmediate();
        this.options.signal?.throwIfAborted();
        await visitBlock({ model, pass: this.#pass, block }, async (visit) => {
          for (const [index, rows] of group.batches.entries()) {
            const answers = this.#answers.slice(at(starts, index), at(starts, index + 1));
            const state = at(states, index);
            next.push(...(await this.#prefillBlock(visit, { rows, answers, state })));
          }
        });
      }
    } finally {
      for (const state of states) state.dispose();
    }
    for (const [index, rows] of group.batches.entries())
      this.#promptLengths(rows).forEach((length, i) => {
        at(this.#answers, at(starts, index) + i).cached.length = length;
      });
    this.#scheduleSteps();
    return next;
  }

  /** The next token of every answer that is not done. */
  async step(): Promise<number[]> {
    const { model, source } = this.options;
    const { device, layout } = model;
    const open = this.#open;
    const host = await source.step(
      Int32Array.from(open, ({ ids }) => required(ids.at(-1), 'a token')),
    );
    const sequences = open.map(({ cached }) => cached);
    const positions = new Map([[this.#rows, Int32Array.from(sequences, ({ length }) => length)]]);
    using batch = new DeviceBatch(device, host, { positions });
    using places = new CachePlaces(device, sequences, null);
    using state = new StreamState(layout, batch.values);
    let next: number[] = [];
    for (const block of this.#stepBlocks) {
      this.options.signal?.throwIfAborted();
      await visitBlock({ model, pass: this.#pass, block }, async (visit) => {
        next = await this.#runBlock(visit, { batch, places, state, answers: open });
      });
    }
    for (const cached of sequences) cached.length += 1;
    return next;
  }

  /** Adds a token to every answer that is not done; false where all are done then. */
  extend(next: readonly number[]): boolean {
    const { stopIds, onToken } = this.options;
    this.#open.forEach((answer, index) => {
      const id = at(next, index);
      if (stopIds.has(id)) {
        answer.finish = 'stop';
        return;
      }
      answer.ids.push(id);
      if (answer.ids.length >= answer.maxTokens) answer.finish = 'length';
      if (onToken?.(answer.row, id) === true) answer.finish = 'stop';
    });
    this.#open = this.#open.filter(({ finish }) => finish === null);
    return this.#open.length > 0;
  }

  /** Every answer goes on where only its last token is missing. */
  skipToEnd(): void {
    this.#open = this.#answers;
    for (const { cached } of this.#open) cached.length = cached.capacity - 1;
  }

  answers(): ReadonlyMap<number, GeneratedAnswer> {
    return new Map(
      this.#answers.map(({ row, ids, finish }) => [
        row,
        {
          ids: Int32Array.from(ids),
          finish: required(finish ?? undefined, 'an end of the answer'),
        },
      ]),
    );
  }

  /** Passes after the first one, at most. */
  get mostSteps(): number {
    return Math.max(0, ...this.#answers.map(({ maxTokens }) => maxTokens - 1));
  }

  [Symbol.dispose](): void {
    this.#cache.dispose();
    this.#pass.close();
  }

  /** Steps with the pages of the first pass go on with it, so that nothing is loaded late. */
  #schedulePrefill(): void {
    const { pager, layout } = this.options.model;
    pager.schedule(pagesOf(layout.blocks), this.#skips ? 1 : 1 + this.mostSteps);
  }

  #scheduleSteps(): void {
    if (this.#skips && this.mostSteps > 0)
      this.options.model.pager.schedule(pagesOf(this.#stepBlocks), this.mostSteps);
  }

  /** Whether steps leave out blocks of the first pass. */
  get #skips(): boolean {
    return this.#stepBlocks.length < this.options.model.layout.blocks.length;
  }

  async #prefillBlock(
    visit: BlockVisit,
    { rows, answers, state }: Pick<BlockRun, 'answers' | 'state'> & { rows: readonly number[] },
  ): Promise<number[]> {
    const { model, source } = this.options;
    const { inputs } = visit.block.program;
    const isWanted = (stream: string): boolean => inputs.has(stream);
    const host = await source.prompts.load(rows, isWanted);
    using batch = new DeviceBatch(model.device, host, { isWanted });
    const sequences = answers.map(({ cached }) => cached);
    using places = new CachePlaces(model.device, sequences, this.#promptLengths(rows));
    return await this.#runBlock(visit, { batch, places, state, answers });
  }

  /** Takes a batch through a block; gives the next tokens where the block ends the chain. */
  async #runBlock(visit: BlockVisit, run: BlockRun): Promise<number[]> {
    const { model, adapter, sampling } = this.options;
    const { block } = visit;
    const { batch, places, state } = run;
    using inputs = new BlockInputs(model.device, visit.block, run);
    const { outputs, results } = visit.infer(
      {
        ...{ batch, adapter, wantsLogits: sampling.temperature > 0 },
        ...this.#cache.of(block, places),
      },
      inputs.tensors,
    );
    try {
      state.advance(block, outputs);
      return results.size > 0 ? await this.#choose(results, run.answers) : [];
    } finally {
      for (const tensor of results.values()) tensor.dispose();
    }
  }

  async #choose(
    results: ReadonlyMap<string, Tensor>,
    answers: readonly Answer[],
  ): Promise<number[]> {
    const { model, sampling } = this.options;
    const { device, layout } = model;
    if (sampling.temperature === 0) {
      const losses = await device.download(get(results, 'losses'));
      assertFinite(losses, answers);
      return [...(await device.download(get(results, 'predictions')))];
    }
    const spec = required(lossBlock(layout).program.logits ?? undefined, 'logits of the model');
    const all = await device.download(get(results, 'logits'));
    return answers.map(({ row, ids }, index) => {
      const start = index * spec.vocabularySize;
      const logits = finishedLogits(all.subarray(start, start + spec.vocabularySize), spec);
      return sampleToken(logits, sampling, { row, position: ids.length });
    });
  }

  #promptLengths(rows: readonly number[]): number[] {
    const offsets = get(this.options.source.prompts.shape(rows).layouts, this.#rows);
    return rows.map((_, index) => at(offsets, index + 1) - at(offsets, index));
  }
}

/** A batch on its way through the chain. */
interface BlockRun {
  readonly batch: DeviceBatch;
  readonly places: CachePlaces;
  readonly state: StreamState;
  readonly answers: readonly Answer[];
}

function pagesOf(blocks: readonly Block[]): number[] {
  return blocks.map(({ page }) => page);
}

/** Cumulative sums, first 0. */
function offsetsOf(lengths: readonly number[]): number[] {
  const offsets = [0];
  for (const length of lengths) offsets.push(at(offsets, offsets.length - 1) + length);
  return offsets;
}

function assertFinite(losses: ArrayLike<number>, answers: readonly Answer[]): void {
  answers.forEach(({ row, ids }, index) => {
    if (Number.isFinite(losses[index])) return;
    throw new FinetuneError(
      'FINETUNE_NON_FINITE',
      `token ${ids.length + 1} of answer ${row + 1}: the logits give a loss of ${losses[index]}`,
    );
  });
}

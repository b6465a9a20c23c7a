import { at, get } from '@emloc/checked';
import { BreadthFirstPass, inferenceOrder, type BreadthFirstOptions } from '@emloc/finetune';

import { TextRows } from './text-rows.js';

export interface GenerateOptions extends Pick<BreadthFirstOptions, 'model' | 'signal'> {
  readonly variant: BreadthFirstOptions['variants'][number];
  readonly prompts: readonly GenerationPrompt[];
  /** Token ids that end an answer; they are not part of it. */
  readonly stopIds: ReadonlySet<number>;
}

interface GenerationPrompt {
  readonly ids: Int32Array;
  /** Most tokens to answer with. */
  readonly maxTokens: number;
}

interface Answer {
  readonly ids: number[];
  readonly promptLength: number;
  readonly end: number;
  isDone: boolean;
}

/**
 * Greedy answers to several prompts at once, by a whole forward pass for every token: meant for a
 * look at a few answers, through the same paged model that everything else uses. Takes the memory
 * of a batch of the finished rows.
 */
export async function generate(options: GenerateOptions): Promise<readonly Int32Array[]> {
  const answers = options.prompts.map(({ ids, maxTokens }): Answer => ({
    ids: [...ids],
    promptLength: ids.length,
    end: ids.length + maxTokens,
    isDone: maxTokens === 0,
  }));
  for (let open = answers.filter(isOpen); open.length > 0; open = open.filter(isOpen)) {
    options.signal?.throwIfAborted();
    const next = await nextTokens(
      options,
      open.map(({ ids }) => ids),
    );
    open.forEach((answer, index) => extend(answer, at(next, index), options.stopIds));
  }
  return answers.map(({ ids, promptLength }) => Int32Array.from(ids.slice(promptLength)));
}

function isOpen({ isDone }: Answer): boolean {
  return !isDone;
}

function extend(answer: Answer, token: number, stopIds: ReadonlySet<number>): void {
  if (stopIds.has(token)) {
    answer.isDone = true;
    return;
  }
  answer.ids.push(token);
  answer.isDone = answer.ids.length >= answer.end;
}

/**
 * The most likely next token of every sequence: each is followed by a target of any value, whose
 * prediction is what is wanted.
 */
async function nextTokens(
  { model, variant, signal }: GenerateOptions,
  sequences: readonly (readonly number[])[],
): Promise<ArrayLike<number>> {
  const source = new TextRows(
    sequences.map((ids) => {
      const trained = new Uint8Array(ids.length + 1);
      trained[ids.length] = 1;
      return { ids: Int32Array.from([...ids, 0]), trained, line: 0 };
    }),
  );
  const batches = { source, rows: [[...sequences.keys()]] };
  model.pager.schedule(inferenceOrder(model.layout));
  using pass = new BreadthFirstPass({ model, batches, variants: [variant], signal });
  let predictions: ArrayLike<number> = [];
  for (const block of model.layout.blocks)
    await pass.run(block, {
      onResults: async (results) => {
        if (results.size > 0)
          predictions = await model.device.download(get(results, 'predictions'));
      },
    });
  return predictions;
}

import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import type { EncodedRow } from '@emloc/dataset';
import type { Backend, HostValues, KernelOptions } from '@emloc/device';
import { DeviceAdapter, gradientsOf, type PagedModel } from '@emloc/finetune';
import type { ModelLayout } from '@emloc/models';
import { evaluateText, TextRows } from '@emloc/tasks';

import type { Measured, MeasuredGradients } from './compare.js';
import { goldenAdapter, goldenAlpha, goldenRank } from './golden-adapter.js';
import type { Golden } from './golden.js';

/** Computes with a model what its golden has: logits and loss of each sequence, and gradients. */
export async function measureGolden(
  model: PagedModel,
  golden: Golden,
  recorder: LogitRecorder,
): Promise<Measured> {
  const sequences: { logits: Float32Array; nllMean: number }[] = [];
  for (const { ids } of golden.sequences) {
    const nllMean = await lossOf(model, fullRow(ids));
    recorder.begin();
    // Every row predicts, the last one a token of any value.
    await lossOf(model, fullRow([...ids, 0]));
    sequences.push({ logits: await recorder.end(), nllMean });
  }
  return { sequences, lora: await measureLora(model, golden) };
}

async function lossOf(model: PagedModel, row: EncodedRow): Promise<number> {
  const batches = { source: new TextRows([row]), rows: [[0]] };
  const [evaluation] = await evaluateText({ model, batches, variants: [null] });
  return evaluation?.loss ?? Number.NaN;
}

/** Sequence by sequence, as the golden was made: some rotary tables depend on a row's length. */
async function measureLora(model: PagedModel, golden: Golden): Promise<Measured['lora']> {
  const source = new TextRows(golden.sequences.map(({ ids }) => fullRow(ids)));
  const rows = golden.sequences.map((_, row) => [row]);
  const weights = rows.map((batch) => source.shape(batch).lossWeight);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const host = adapterOn(model.layout);
  using adapter = DeviceAdapter.load(model.device, model.layout, host, { trainable: true });
  let loss = 0;
  const gradients = new Map<string, MeasuredGradients>();
  for (const [index, batch] of rows.entries()) {
    const found = await gradientsOf({ model, adapter, source, rows: batch });
    const share = at(weights, index) / whole;
    loss += share * found.loss;
    for (const [path, { a, b }] of found.gradients) {
      const sum = gradients.get(path);
      gradients.set(path, { a: plus(sum?.a, share, a), b: plus(sum?.b, share, b) });
    }
  }
  return { loss, gradients };
}

/** sum + share · values; without a sum: share · values */
function plus(sum: Float32Array | undefined, share: number, values: Float32Array): Float32Array {
  return values.map((value, index) => (sum ? at(sum, index) : 0) + share * value);
}

/** The golden's LoRA on every linear layer. */
function adapterOn({ linears }: ModelLayout): LoraAdapter {
  const layers = linears.map(({ path, inFeatures, outFeatures }) => {
    const values = goldenAdapter(inFeatures, outFeatures);
    return [path, { ...values, inFeatures, outFeatures }] as const;
  });
  return {
    rank: goldenRank,
    alpha: goldenAlpha,
    useRslora: false,
    targetModules: [],
    layers: new Map(layers),
  };
}

/** A row whose every token but the first is a target. */
function fullRow(ids: readonly number[]): EncodedRow {
  const trained = Uint8Array.from(ids, (_, index) => (index > 0 ? 1 : 0));
  return { ids: Int32Array.from(ids), trained, line: 1 };
}

/** Sees the logits that a backend's cross-entropy is given. */
export class LogitRecorder {
  #pending: Promise<Float32Array>[] | null = null;

  constructor(backend: Backend) {
    const { crossEntropy } = backend.kernels;
    const recorded = (options: KernelOptions<'crossEntropy'>): void => {
      this.#pending?.push(
        backend.download(options.logits).then((values) => scaled(values, options)),
      );
      crossEntropy.call(backend.kernels, options);
    };
    Object.assign(backend.kernels, { crossEntropy: recorded });
  }

  begin(): void {
    this.#pending = [];
  }

  /** What was seen since `begin`, in order: (rows, vocabulary). */
  async end(): Promise<Float32Array> {
    const parts = await Promise.all(this.#pending ?? []);
    this.#pending = null;
    const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let start = 0;
    for (const part of parts) {
      all.set(part, start);
      start += part.length;
    }
    return all;
  }
}

/** Logits with their factor and cap. */
function scaled(
  values: HostValues,
  { logitScale = 1, softCap }: KernelOptions<'crossEntropy'>,
): Float32Array {
  return Float32Array.from(values, (value) =>
    softCap === undefined
      ? logitScale * value
      : softCap * Math.tanh((logitScale * value) / softCap),
  );
}

import { at, get } from '@emloc/checked';
import { toFloat32 } from '@emloc/checkpoint';
import type { Backend, HostValues, KernelOptions } from '@emloc/device';
import {
  BreadthFirstPass,
  DeviceAdapter,
  frontLength,
  gradientsOf,
  inferenceOrder,
  type PagedModel,
} from '@emloc/finetune';
import { imageStreams, type TableReader } from '@emloc/models';
import { evaluateText, TextTables, type TextRows } from '@emloc/tasks';

import type { Measured, MeasuredGradients } from './compare.js';
import { goldenGradients, goldenModules, loraOn } from './golden-lora.js';
import { goldenRows, readTiles, rowOf } from './golden-rows.js';
import type { Golden, GoldenSequence } from './golden.js';

/** What is measured, and with what. */
interface Measurement {
  readonly model: PagedModel;
  /** Those that stay on the host. */
  readonly tables: TableReader;
  readonly golden: Golden;
  /** config.json */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Computes with a model what its golden has: logits and loss of each sequence, gradients, and what
 * becomes of images.
 */
export async function measureGolden(
  { model, tables: reader, golden, config }: Measurement,
  recorder: LogitRecorder,
): Promise<Measured> {
  const tiles = await readTiles(model.layout, golden);
  const tables = new TextTables(model.layout, reader);
  const rows = (sequences: Sequences): TextRows => goldenRows(sequences.map(rowOf), tiles, tables);
  const own = rows(golden.sequences);
  const bare = golden.sequences.map(({ ids }) => ({ ids, labels: undefined }));
  const full = rows(bare);
  // Every row predicts, the last one a token of any value.
  const longer = rows(bare.map(({ ids }) => ({ ids: [...ids, 0], labels: undefined })));
  const sequences: { logits: Float32Array; nllMean: number }[] = [];
  for (const index of golden.sequences.keys()) {
    const nllMean = await lossOf(model, full, index);
    recorder.begin();
    await lossOf(model, longer, index);
    sequences.push({ logits: await recorder.end(), nllMean });
  }
  const lora = await measureLora({ model, golden, config }, own);
  const imageFeatures = golden.imageFeatures && (await featuresOf(model, own));
  return { sequences, lora, imageFeatures };
}

type Sequences = readonly Pick<GoldenSequence, 'ids' | 'labels'>[];

async function lossOf(model: PagedModel, source: TextRows, row: number): Promise<number> {
  const batches = { source, rows: [[row]] };
  const [evaluation] = await evaluateText({ model, batches, variants: [null] });
  return evaluation?.loss ?? Number.NaN;
}

/** What tower and projector make of the tiles of all rows. */
async function featuresOf(model: PagedModel, source: TextRows): Promise<Float32Array> {
  const { layout, device, pager } = model;
  const front = layout.blocks.slice(
    0,
    frontLength(layout, () => false),
  );
  const batches = { source, rows: [Array.from({ length: source.count }, (_, row) => row)] };
  pager.schedule(inferenceOrder(layout, front.length));
  using pass = new BreadthFirstPass({ model, batches, variants: [null] });
  for (const block of front) await pass.run(block);
  const { buffer } = get(pass.waiting(0), imageStreams.image);
  return toFloat32(buffer.bytes, device.profile.computeDType);
}

/** Sequence by sequence, as the golden was made: some rotary tables depend on a row's length. */
async function measureLora(
  { model, golden, config }: Omit<Measurement, 'tables'>,
  source: TextRows,
): Promise<Measured['lora']> {
  const rows = golden.sequences.map((_, row) => [row]);
  const weights = rows.map((batch) => source.shape(batch).lossWeight);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const modules = goldenModules(model.layout, golden, config);
  const host = loraOn(modules);
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
  return { loss, gradients: goldenGradients(modules, gradients) };
}

/** sum + share · values; without a sum: share · values */
function plus(sum: Float32Array | undefined, share: number, values: Float32Array): Float32Array {
  return values.map((value, index) => (sum ? at(sum, index) : 0) + share * value);
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

import { at } from '@emloc/checked';
import type { Device } from '@emloc/device';
import { defaultAdamw, initialAdapter, train, type PagedModel } from '@emloc/finetune';
import type { Model } from '@emloc/models';
import { consecutive, evaluateText, TextRows } from '@emloc/tasks';
import {
  allDeviceBytes,
  minimumDeviceBytes,
  openPager,
  streamingHostBytes,
  type Pager,
} from '@emloc/weight-pager';

/** One streamed forward pass over a model. */
export interface StreamedPass {
  readonly seconds: number;
  /** Weights that were copied to the device. */
  readonly bytes: number;
  /** Of them, read from the checkpoint. */
  readonly readBytes: number;
}

export interface StreamInputs {
  readonly model: Model;
  readonly device: Device;
  readonly rows: TextRows;
}

export type HostTier = 'pinned' | 'files';

/**
 * Forward passes over a model of which two layers fit on the device. `pinned`: the host tier holds
 * every layer after the first pass; `files`: it holds what streaming needs, so that every pass
 * reads the checkpoint.
 */
export async function streamForward(
  inputs: StreamInputs,
  tier: HostTier,
  passes: number,
): Promise<readonly StreamedPass[]> {
  const {
    model: { source, layout },
    device,
    rows,
  } = inputs;
  const hostBytes =
    tier === 'pinned'
      ? Number.POSITIVE_INFINITY
      : streamingHostBytes(source, Number.POSITIVE_INFINITY);
  const pager = openPager({
    device,
    source,
    deviceBytes: minimumDeviceBytes(source, device),
    hostBytes,
  });
  try {
    const results: StreamedPass[] = [];
    for (let pass = 0; pass < passes; pass += 1) {
      results.push(
        await timePass(pager, () =>
          evaluateText({
            model: { device, layout, pager },
            batches: { source: rows, rows: consecutive(rows.count, rows.count) },
            variants: [null],
          }),
        ),
      );
    }
    return results;
  } finally {
    await pager.close();
  }
}

async function timePass(pager: Pager, run: () => Promise<unknown>): Promise<StreamedPass> {
  const before = pager.statistics.bytesMoved;
  const started = performance.now();
  await run();
  const seconds = (performance.now() - started) / 1000;
  const { hostToDevice, diskToHost } = pager.statistics.bytesMoved;
  return {
    seconds,
    bytes: hostToDevice - before.hostToDevice,
    readBytes: diskToHost - before.diskToHost,
  };
}

/** Training steps of LoRA on a model, every block run forward twice. */
export interface TrainingRun {
  readonly stepSeconds: readonly number[];
  readonly tokensPerStep: number;
  /** Weights copied to the device in all steps together. */
  readonly copiedBytes: number;
  /** Time in which the program waited for a layer whose copy had not been started. */
  readonly stallSeconds: number;
  readonly losses: readonly number[];
}

/**
 * Steps with `pagerBytes` for weights (null: all of them), so that what paging costs is the
 * difference of two runs.
 */
export async function trainingSteps(
  inputs: StreamInputs,
  pagerBytes: number | null,
  steps: number,
): Promise<TrainingRun> {
  const {
    model: { source, layout },
    device,
    rows,
  } = inputs;
  const all = allDeviceBytes(source, device);
  const pager = openPager({
    device,
    source,
    deviceBytes: pagerBytes ?? all,
    hostBytes: Number.POSITIVE_INFINITY,
  });
  const model: PagedModel = { device, layout, pager };
  const stepSeconds: number[] = [];
  const losses: number[] = [];
  try {
    await train({
      model,
      rows,
      keptBlocks: 0,
      optimizer: defaultAdamw,
      adapter: initialAdapter(layout, { rank: 8, alpha: 16, useRslora: false, targets: null }, 0),
      batches: Array.from({ length: steps }, () => consecutive(rows.count, rows.count)),
      schedule: { kind: 'constant', learningRate: 1e-5, steps, warmupRatio: 0 },
      onStep: ({ seconds, loss }) => {
        stepSeconds.push(seconds);
        losses.push(loss);
      },
    });
    const { bytesMoved, stallSeconds } = pager.statistics;
    return {
      stepSeconds,
      tokensPerStep: rows.items,
      copiedBytes: bytesMoved.hostToDevice,
      stallSeconds,
      losses,
    };
  } finally {
    await pager.close();
  }
}

/** Rows of random tokens, all of them targets but the first. */
export function randomRows(count: number, tokens: number, vocabulary: number): TextRows {
  let state = 12_345;
  const rows = Array.from({ length: count }, () => ({
    ids: Int32Array.from({ length: tokens }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return (state >>> 8) % vocabulary;
    }),
    trained: new Uint8Array(tokens).fill(1, 1),
    line: 0,
  }));
  return new TextRows(rows);
}

/** The middle one of a list, or the higher of the middle two. */
export function median(values: readonly number[]): number {
  return at(
    [...values].sort((a, b) => a - b),
    Math.floor(values.length / 2),
  );
}

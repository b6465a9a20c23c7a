import type { AdapterBinding } from '@emloc/autograd';
import type { Device, Tensor } from '@emloc/device';
import type { ModelLayout } from '@emloc/models';

import type { DeviceBatch } from './device-batch.js';

/** Per-target results of the head; the caller's to dispose. */
export interface HeadResult {
  /** float32 (M): −log p(target) */
  readonly losses: Tensor;
  /** int32 (M): argmax of the logits */
  readonly predictions: Tensor;
  /** (N, hidden): gradient of gradientScale · Σ losses; null when none was asked for. */
  readonly dX: Tensor | null;
  dispose(): void;
}

interface HeadInputs {
  readonly device: Device;
  readonly layout: ModelLayout;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** (N, hidden): output of the last block */
  readonly x: Tensor;
  readonly batch: DeviceBatch;
  /** null: loss only */
  readonly gradientScale: number | null;
  /** LoRA on the head itself, where no gradient is asked for. */
  readonly adapter?: AdapterBinding | null;
}

/**
 * Rows of logits that exist at once: a function of the vocabulary alone, so that a budget never
 * changes a reduction.
 */
function headChunkRows(vocabularySize: number): number {
  const rows = Math.floor(2 ** 25 / vocabularySize / 8) * 8;
  return Math.max(16, Math.min(256, rows));
}

/**
 * Final norm, LM head and cross-entropy on the rows that predict a target. Logits exist only for
 * `headChunkRows` rows at a time.
 */
export function runHead(inputs: HeadInputs): HeadResult {
  const { device, x, batch, gradientScale } = inputs;
  const count = batch.targetCount;
  const owned: Tensor[] = [];
  const own = (tensor: Tensor): Tensor => {
    owned.push(tensor);
    return tensor;
  };
  const dispose = (): void => {
    for (const tensor of owned.splice(0)) tensor.dispose();
  };
  try {
    const losses = own(device.allocate([count], 'float32', 'activations', 'head.losses'));
    const predictions = own(device.allocate([count], 'int32', 'activations', 'head.predictions'));
    const dX =
      gradientScale === null ? null : device.allocate(x.shape, x.dtype, 'activations', 'head.dX');
    try {
      if (dX) device.kernels.fill({ out: dX, value: 0 });
      const chunk = headChunkRows(inputs.layout.vocabularySize);
      for (let start = 0; start < count; start += chunk) {
        runChunk(
          inputs,
          { start, end: Math.min(count, start + chunk) },
          { losses, predictions, dX },
        );
      }
    } catch (error) {
      dX?.dispose();
      throw error;
    }
    return { losses, predictions, dX, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

function runChunk(
  { device, layout, tensors, x, batch, gradientScale, adapter }: HeadInputs,
  { start, end }: { start: number; end: number },
  out: { losses: Tensor; predictions: Tensor; dX: Tensor | null },
): void {
  const { kernels, profile } = device;
  const weight = tensors.get(layout.finalNorm.tensor);
  const table = tensors.get(layout.headTensor);
  if (!weight || !table)
    throw new Error(`head unit lacks ${layout.finalNorm.tensor} or ${layout.headTensor}`);
  const rows = batch.targetRows.rows(start, end);
  const owned: Tensor[] = [];
  const allocate = (width: number, label: string): Tensor => {
    const tensor = device.allocate(
      [end - start, width],
      profile.computeDType,
      'activations',
      `head.${label}`,
    );
    owned.push(tensor);
    return tensor;
  };
  const inverseRms = device.allocate([end - start], 'float32', 'activations', 'head.inverseRms');
  owned.push(inverseRms);
  try {
    const gathered = allocate(layout.hiddenSize, 'x');
    kernels.gatherRows({ table: x, rows, out: gathered });
    const normed = allocate(layout.hiddenSize, 'normed');
    kernels.rmsNorm({
      x: gathered,
      weight,
      epsilon: layout.finalNorm.epsilon,
      out: normed,
      inverseRms,
    });
    const logits = allocate(layout.vocabularySize, 'logits');
    kernels.gemm({ a: normed, b: table, transposeB: true, out: logits });
    if (adapter) {
      const hidden = allocate(adapter.rank, 'loraHidden');
      kernels.gemm({ a: normed, b: adapter.a, transposeB: true, out: hidden });
      const { b, scale: alpha } = adapter;
      kernels.gemm({ a: hidden, b, transposeB: true, out: logits, alpha, accumulate: true });
    }
    kernels.crossEntropy({
      logits,
      targets: batch.targets.rows(start, end),
      loss: out.losses.rows(start, end),
      prediction: out.predictions.rows(start, end),
      gradientScale: gradientScale ?? undefined,
    });
    if (!out.dX) return;
    kernels.gemm({ a: logits, b: table, out: normed });
    const dGathered = allocate(layout.hiddenSize, 'dX');
    kernels.rmsNormBackward({ dOut: normed, x: gathered, weight, inverseRms, dX: dGathered });
    kernels.scatterRows({ x: dGathered, rows, out: out.dX });
  } finally {
    for (const tensor of owned) tensor.dispose();
  }
}

import { bytesPerElement, elementCount } from '@emloc/device';

import { rowsIn, type ShardedCheckpoint } from '../checkpoint.js';
import { CheckpointError, quoted } from '../errors.js';
import { isFloat, type FloatDType } from '../floats.js';
import {
  assertAdapter,
  assertFitsModel,
  layerRank,
  layerScale,
  type LoraAdapter,
  type LoraLayer,
} from '../lora-adapter.js';
import { tensorBytes, type TensorDType } from '../tensor-dtype.js';
import { isHead, isHeadTied } from '../tied-head.js';

/**
 * What becomes of one tensor. It is worked on in units: rows where it is adapted, elements where it
 * is converted, else bytes.
 */
export interface TensorMerge {
  readonly name: string;
  readonly shape: readonly number[];
  readonly from: TensorDType;
  readonly to: TensorDType;
  readonly units: number;
  /** Bytes of a unit in the source. */
  readonly unitBytes: number;
  readonly outputBytes: number;
  /** Of rows that do not overlap. */
  readonly updates: readonly LowRankUpdate[];
}

/**
 * W += scale · B A in some rows of W; B has as many, and so has the magnitude, which those rows
 * have as their norms then.
 */
export interface LowRankUpdate extends Pick<LoraLayer, 'a' | 'b' | 'magnitude' | 'inFeatures'> {
  readonly rank: number;
  readonly scale: number;
  readonly startRow: number;
  readonly rows: number;
}

/** Every tensor of every file, in the order of its data. */
export type MergePlan = ReadonlyMap<string, readonly TensorMerge[]>;

/**
 * Decides, before anything is written, what becomes of each tensor.
 * @throws CheckpointError when the adapter does not fit the checkpoint, or its weights are
 * quantized.
 */
export function planMerge(
  checkpoint: ShardedCheckpoint,
  adapter: LoraAdapter,
  dtype: FloatDType | undefined,
): MergePlan {
  assertAdapter(adapter);
  assertMergeable(checkpoint, adapter, dtype);
  const updates = updatesOf(checkpoint, adapter);
  return new Map(
    [...checkpoint.files].map(([file, { tensors }]) => [
      file,
      [...tensors].map(([name, tensor]) =>
        planTensor({
          name,
          ...tensor,
          to: outputDType(tensor.dtype, dtype),
          updates: updates.get(name) ?? [],
        }),
      ),
    ]),
  );
}

/** Bytes of all tensors after merging. */
export function outputBytes(plan: MergePlan): number {
  return [...plan.values()].flat().reduce((sum, tensor) => sum + tensor.outputBytes, 0);
}

/** By the names that tensors have in their files. */
function updatesOf(
  checkpoint: ShardedCheckpoint,
  adapter: LoraAdapter,
): Map<string, LowRankUpdate[]> {
  const updates = new Map<string, LowRankUpdate[]>();
  for (const [path, layer] of adapter.layers) {
    const rank = layerRank(adapter, layer);
    const scale = layerScale(adapter, layer);
    const { a, inFeatures } = layer;
    let row = 0;
    for (const { stored, start, rows } of checkpoint.partsOf(`${path}.weight`)) {
      const b = layer.b.subarray(row * rank, (row + rows) * rank);
      const magnitude = layer.magnitude?.subarray(row, row + rows);
      const update = { a, b, magnitude, inFeatures, rank, scale, startRow: start, rows };
      updates.set(stored, [...(updates.get(stored) ?? []), update]);
      row += rows;
    }
  }
  return updates;
}

function planTensor({
  name,
  shape,
  dtype: from,
  to,
  updates,
}: Pick<TensorMerge, 'name' | 'shape' | 'to' | 'updates'> & {
  readonly dtype: TensorDType;
}): TensorMerge {
  const outputBytes = tensorBytes(shape, to) ?? 0;
  const common = { name, shape, from, to, outputBytes, updates };
  const [update] = updates;
  if (update && isFloat(from))
    return {
      ...common,
      units: rowsIn(shape),
      unitBytes: update.inFeatures * bytesPerElement[from],
    };
  if (from !== to && isFloat(from))
    return { ...common, units: elementCount(shape), unitBytes: bytesPerElement[from] };
  return { ...common, units: outputBytes, unitBytes: 1 };
}

/**
 * @throws CheckpointError CHECKPOINT_ADAPTER_MISMATCH where the adapter would change a head that is
 * the embedding
 */
export async function assertOwnHead(
  checkpoint: ShardedCheckpoint,
  adapter: LoraAdapter,
  signal?: AbortSignal,
): Promise<void> {
  const path = [...adapter.layers.keys()].find((each) => isHead(`${each}.weight`));
  if (path === undefined || !(await isHeadTied(checkpoint, signal))) return;
  throw new CheckpointError(
    'CHECKPOINT_ADAPTER_MISMATCH',
    `${path} is tied to the embedding in ${checkpoint.folder}: merging into it would change the embedding too`,
  );
}

function assertMergeable(
  checkpoint: ShardedCheckpoint,
  adapter: LoraAdapter,
  dtype: FloatDType | undefined,
): void {
  const { config, folder, tensors } = checkpoint;
  if (config['quantization_config'] && dtype) {
    throw new CheckpointError(
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      `${folder} is quantized (quantization_config): its dtype cannot be changed to ${dtype}`,
    );
  }
  for (const path of adapter.layers.keys()) {
    const tensor = tensors.get(`${path}.weight`);
    if (tensor && !isFloat(tensor.dtype)) {
      throw new CheckpointError(
        'CHECKPOINT_UNSUPPORTED_FORMAT',
        `${folder}: ${quoted(path)}.weight has dtype ${tensor.dtype}; merging needs float32, bfloat16 or float16`,
      );
    }
  }
  assertFitsModel(adapter, matricesOf(checkpoint));
}

function matricesOf({
  tensors,
}: ShardedCheckpoint): Map<string, { inFeatures: number; outFeatures: number }> {
  const matrices = new Map<string, { inFeatures: number; outFeatures: number }>();
  for (const [
    name,
    {
      shape: [outFeatures, inFeatures, ...rest],
    },
  ] of tensors) {
    const isMatrix = outFeatures !== undefined && inFeatures !== undefined && rest.length === 0;
    if (isMatrix && name.endsWith('.weight'))
      matrices.set(name.slice(0, -'.weight'.length), { inFeatures, outFeatures });
  }
  return matrices;
}

function outputDType(from: TensorDType, dtype: FloatDType | undefined): TensorDType {
  return dtype && isFloat(from) ? dtype : from;
}

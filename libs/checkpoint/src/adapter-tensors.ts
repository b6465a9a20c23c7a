import type { AdapterWeights } from './adapter-weights.js';
import { CheckpointError, quoted } from './errors.js';
import { assertFinite } from './finite.js';
import { isFloat, toFloat32 } from './floats.js';
import type { LoraLayer } from './lora-adapter.js';
import type { LayerNumbers } from './peft-patterns.js';

/** Ranks and alphas of an adapter's layers. */
export interface LayerNumbersOf {
  readonly rank: number;
  readonly alpha: number;
  /** Of layers that have their own. */
  readonly ranks: LayerNumbers;
  readonly alphas: LayerNumbers;
}

/** How a file names the matrices of a layer, and where ranks were said. */
export interface LayerNames {
  nameOf(path: string, matrix: 'a' | 'b'): string;
  readonly ranksFrom: string;
  /** Name of a layer's magnitude, where the file is of DoRA. */
  readonly magnitudeOf?: ((path: string) => string) | null;
}

/** A layer of an adapter before its values are read. */
export interface LayerShape extends Pick<LoraLayer, 'inFeatures' | 'outFeatures'> {
  /** What the file calls it. */
  readonly stored: string;
  /** Where they are the layer's own. */
  readonly own: Pick<LoraLayer, 'rank' | 'alpha'>;
}

/**
 * What the shapes of a layer's tensors say.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID
 */
export function layerShape(
  file: AdapterWeights,
  stored: string,
  {
    rank: common,
    alpha: commonAlpha,
    ranks,
    alphas,
    nameOf,
    ranksFrom,
  }: LayerNumbersOf & LayerNames,
): LayerShape {
  const rank = ranks(stored) ?? common;
  const alpha = alphas(stored) ?? commonAlpha;
  const [aRank, inFeatures] = matrixShape(file, nameOf(stored, 'a'));
  const [outFeatures, bRank] = matrixShape(file, nameOf(stored, 'b'));
  if (aRank !== rank || bRank !== rank)
    throw invalidAdapter(
      file,
      `layer ${quoted(stored)} has rank ${aRank} in A and ${bRank} in B, ${ranksFrom} says ${rank}`,
    );
  const own = { ...(rank !== common && { rank }), ...(alpha !== commonAlpha && { alpha }) };
  return { stored, inFeatures, outFeatures, own };
}

/**
 * A, B and, of DoRA, the magnitude of one layer, widened to float32.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID, CHECKPOINT_ADAPTER_UNSUPPORTED,
 * CHECKPOINT_NOT_FINITE
 */
export async function readLayer(
  file: AdapterWeights,
  { stored, inFeatures, outFeatures, own }: LayerShape,
  { nameOf, magnitudeOf = null }: LayerNames,
): Promise<LoraLayer> {
  return {
    a: await readFloats(file, nameOf(stored, 'a')),
    b: await readFloats(file, nameOf(stored, 'b')),
    ...(magnitudeOf && { magnitude: await readVector(file, magnitudeOf(stored)) }),
    inFeatures,
    outFeatures,
    ...own,
  };
}

function matrixShape(file: AdapterWeights, name: string): readonly [number, number] {
  const tensor = file.tensors.get(name);
  if (!tensor) throw invalidAdapter(file, `lacks ${quoted(name)}`);
  const [rows, columns, ...rest] = tensor.shape;
  if (rows === undefined || columns === undefined || rest.length > 0)
    throw invalidAdapter(
      file,
      `${quoted(name)} has shape [${tensor.shape.join(', ')}], not two dimensions`,
    );
  return [rows, columns];
}

/** Sizes are compared with the layer's where the adapter is whole. */
async function readVector(file: AdapterWeights, name: string): Promise<Float32Array> {
  const tensor = file.tensors.get(name);
  if (!tensor) throw invalidAdapter(file, `lacks ${quoted(name)}`);
  if (tensor.shape.length !== 1)
    throw invalidAdapter(
      file,
      `${quoted(name)} has shape [${tensor.shape.join(', ')}], not one dimension`,
    );
  return await readFloats(file, name);
}

/** A tensor in float32. @throws CheckpointError as `readLayer` */
export async function readFloats(file: AdapterWeights, name: string): Promise<Float32Array> {
  const { dtype, start = 0, end = 0 } = file.tensors.get(name) ?? {};
  if (!isFloat(dtype)) {
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      `${file.path}: ${quoted(name)} has dtype ${String(dtype)}; supported are float32, bfloat16, float16`,
    );
  }
  const bytes = new Uint8Array(end - start);
  await file.read(name, bytes);
  assertFinite(bytes, dtype, { name, file: file.rangeOf(name).path });
  return toFloat32(bytes, dtype);
}

export function invalidAdapter(
  { path }: Pick<AdapterWeights, 'path'>,
  reason: string,
): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_INVALID', `${path}: ${reason}`);
}

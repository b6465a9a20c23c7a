import { CheckpointError, quoted } from './errors.js';
import { assertFinite } from './finite.js';
import { isFloat, toFloat32 } from './floats.js';
import type { LoraLayer } from './lora-adapter.js';
import type { LayerNumbers } from './peft-patterns.js';
import type { SafetensorsFile } from './safetensors-file.js';

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

/**
 * A, B and, of DoRA, the magnitude of one layer, widened to float32.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID, CHECKPOINT_ADAPTER_UNSUPPORTED,
 * CHECKPOINT_NOT_FINITE
 */
export async function readLayer(
  file: SafetensorsFile,
  path: string,
  {
    rank: common,
    alpha: commonAlpha,
    ranks,
    alphas,
    nameOf,
    ranksFrom,
    magnitudeOf = null,
  }: LayerNumbersOf & LayerNames,
): Promise<LoraLayer> {
  const rank = ranks(path) ?? common;
  const alpha = alphas(path) ?? commonAlpha;
  const [aRank, inFeatures] = matrixShape(file, nameOf(path, 'a'));
  const [outFeatures, bRank] = matrixShape(file, nameOf(path, 'b'));
  if (aRank !== rank || bRank !== rank)
    throw invalidAdapter(
      file,
      `layer ${quoted(path)} has rank ${aRank} in A and ${bRank} in B, ${ranksFrom} says ${rank}`,
    );
  return {
    a: await readFloats(file, nameOf(path, 'a')),
    b: await readFloats(file, nameOf(path, 'b')),
    ...(magnitudeOf && { magnitude: await readVector(file, magnitudeOf(path)) }),
    inFeatures,
    outFeatures,
    ...(rank !== common && { rank }),
    ...(alpha !== commonAlpha && { alpha }),
  };
}

function matrixShape(file: SafetensorsFile, name: string): readonly [number, number] {
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
async function readVector(file: SafetensorsFile, name: string): Promise<Float32Array> {
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
export async function readFloats(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const { dtype, start = 0, end = 0 } = file.tensors.get(name) ?? {};
  if (!isFloat(dtype)) {
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      `${file.path}: ${quoted(name)} has dtype ${String(dtype)}; supported are float32, bfloat16, float16`,
    );
  }
  const bytes = new Uint8Array(end - start);
  await file.read(name, bytes);
  assertFinite(bytes, dtype, { name, file: file.path });
  return toFloat32(bytes, dtype);
}

export function invalidAdapter({ path }: SafetensorsFile, reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_INVALID', `${path}: ${reason}`);
}

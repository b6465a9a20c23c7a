import { at, get, required } from '@emloc/checked';
import { isFloat, toFloat32, type LoraAdapter, type LoraLayer } from '@emloc/checkpoint';
import { byteLength } from '@emloc/device';
import { linearModules, weightPlace, type Model, type ModelLinear } from '@emloc/models';

import type { JobEnvironment } from './environment.js';
import { startingAdapter, type Job } from './job.js';

/** Bytes of a weight that are widened at a time. */
const pieceBytes = 2 ** 20;

/**
 * The adapter that training starts from. Magnitudes of a fresh one are the norms of the weights'
 * rows, for which all adapted weights are read, in float64.
 */
export async function trainingStart(
  job: Job,
  environment: Partial<Pick<JobEnvironment, 'reads' | 'signal'>> = {},
): Promise<LoraAdapter> {
  const adapter = startingAdapter(job, environment);
  if (environment.reads === 'none' || !job.options.useDora || job.start !== null) return adapter;
  const linears = linearModules(job.model.layout);
  const layers = new Map<string, LoraLayer>();
  for (const [path, layer] of adapter.layers) {
    environment.signal?.throwIfAborted();
    layers.set(path, { ...layer, magnitude: await rowNorms(job.model, get(linears, path)) });
  }
  return { ...adapter, layers };
}

async function rowNorms({ layout, source }: Model, linear: ModelLinear): Promise<Float32Array> {
  const { page, tensor } = weightPlace(layout, linear);
  const spec = required(
    at(source.layers, page).tensors.find(({ name }) => name === tensor),
    `${linear.path}.weight`,
  );
  const bytes = new Uint8Array(byteLength(spec.shape, spec.dtype));
  await source.read(page, tensor, bytes);
  const { dtype } = spec;
  if (!isFloat(dtype)) throw new Error(`${linear.path} is ${dtype}`);
  const { inFeatures, outFeatures } = linear;
  const rowBytes = bytes.byteLength / outFeatures;
  const rowsPerPiece = Math.max(1, Math.floor(pieceBytes / rowBytes));
  const norms = new Float32Array(outFeatures);
  for (let start = 0; start < outFeatures; start += rowsPerPiece) {
    const end = Math.min(outFeatures, start + rowsPerPiece);
    const values = toFloat32(bytes.subarray(start * rowBytes, end * rowBytes), dtype);
    for (let row = start; row < end; row += 1) {
      const first = (row - start) * inFeatures;
      norms[row] = normOf(values.subarray(first, first + inFeatures));
    }
  }
  return norms;
}

function normOf(values: Float32Array): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}

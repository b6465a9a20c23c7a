import { openSafetensors, toFloat32 } from '@emloc/checkpoint';
import { byteLength } from '@emloc/device';

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Beside golden.json. */
export const tensorsFile = 'tensors.safetensors';

/** @throws Error for a tensor of another dtype than float32 */
export async function readGoldenTensors(path: string): Promise<ReadonlyMap<string, GoldenTensor>> {
  await using file = await openSafetensors(path);
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, { dtype, shape }] of file.tensors) {
    if (dtype !== 'float32') throw new Error(`${path}: ${name} is ${dtype}, float32 expected`);
    const bytes = new Uint8Array(byteLength(shape, dtype));
    await file.read(name, bytes);
    tensors.set(name, { shape, values: toFloat32(bytes, dtype) });
  }
  return tensors;
}

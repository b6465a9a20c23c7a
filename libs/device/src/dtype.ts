/** Element types a device tensor can have. float64 serves statistics and factorisations only. */
export type DType = 'float32' | 'bfloat16' | 'float64' | 'int32';

/** Element types of tensors in a checkpoint or in host memory. */
export type HostDType = DType | 'float16';

export const bytesPerElement: Readonly<Record<HostDType, number>> = Object.freeze({
  float64: 8,
  float32: 4,
  int32: 4,
  bfloat16: 2,
  float16: 2,
});

/** Number of elements of a shape; 1 for a scalar shape `[]`. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Bytes that a tensor of this shape and dtype occupies without padding. */
export function byteLength(shape: readonly number[], dtype: HostDType): number {
  return elementCount(shape) * bytesPerElement[dtype];
}

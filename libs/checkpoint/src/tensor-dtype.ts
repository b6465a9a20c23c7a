import type { HostDType } from '@emloc/device';

/**
 * Element types of tensors in a safetensors file. The product computes with `HostDType`; the others
 * can be read and kept as bytes.
 */
export type TensorDType =
  | HostDType
  | 'bool'
  | 'uint8'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'complex64'
  | 'float4'
  | 'float6_e2m3'
  | 'float6_e3m2'
  | 'float8_e5m2'
  | 'float8_e4m3'
  | 'float8_e8m0'
  | 'float8_e4m3fnuz'
  | 'float8_e5m2fnuz';

interface DTypeFormat {
  /** The name in a safetensors header. */
  readonly name: string;
  readonly dtype: TensorDType;
  readonly bits: number;
}

/**
 * In the order of the reference writer's dtype enumeration: data of later ones comes first in a
 * file.
 */
const formats: readonly DTypeFormat[] = Object.freeze([
  { name: 'BOOL', dtype: 'bool', bits: 8 },
  { name: 'F4', dtype: 'float4', bits: 4 },
  { name: 'F6_E2M3', dtype: 'float6_e2m3', bits: 6 },
  { name: 'F6_E3M2', dtype: 'float6_e3m2', bits: 6 },
  { name: 'U8', dtype: 'uint8', bits: 8 },
  { name: 'I8', dtype: 'int8', bits: 8 },
  { name: 'F8_E5M2', dtype: 'float8_e5m2', bits: 8 },
  { name: 'F8_E4M3', dtype: 'float8_e4m3', bits: 8 },
  { name: 'F8_E8M0', dtype: 'float8_e8m0', bits: 8 },
  { name: 'F8_E4M3FNUZ', dtype: 'float8_e4m3fnuz', bits: 8 },
  { name: 'F8_E5M2FNUZ', dtype: 'float8_e5m2fnuz', bits: 8 },
  { name: 'I16', dtype: 'int16', bits: 16 },
  { name: 'U16', dtype: 'uint16', bits: 16 },
  { name: 'F16', dtype: 'float16', bits: 16 },
  { name: 'BF16', dtype: 'bfloat16', bits: 16 },
  { name: 'I32', dtype: 'int32', bits: 32 },
  { name: 'U32', dtype: 'uint32', bits: 32 },
  { name: 'F32', dtype: 'float32', bits: 32 },
  { name: 'C64', dtype: 'complex64', bits: 64 },
  { name: 'F64', dtype: 'float64', bits: 64 },
  { name: 'I64', dtype: 'int64', bits: 64 },
  { name: 'U64', dtype: 'uint64', bits: 64 },
]);

const byName: ReadonlyMap<string, DTypeFormat> = new Map(
  formats.map((format) => [format.name, format]),
);
const byDType: ReadonlyMap<TensorDType, DTypeFormat & { rank: number }> = new Map(
  formats.map((format, rank) => [format.dtype, { ...format, rank }]),
);

/** The dtype of a safetensors header's name, or undefined. */
export function dtypeOfName(name: string): TensorDType | undefined {
  return byName.get(name)?.dtype;
}

/** The name of a dtype in a safetensors header. */
export function nameOfDType(dtype: TensorDType): string {
  return formatOf(dtype).name;
}

/**
 * Where a dtype's data stands in a file: higher ranks come first, so that every tensor is aligned
 * to its elements.
 */
export function alignmentRank(dtype: TensorDType): number {
  return formatOf(dtype).rank;
}

/** Bytes of a tensor; null when it is no whole number of bytes or too large to count. */
export function tensorBytes(shape: readonly number[], dtype: TensorDType): number | null {
  const elements = shape.reduce((product, extent) => product * extent, 1);
  const bits = elements * formatOf(dtype).bits;
  return Number.isSafeInteger(bits) && bits % 8 === 0 ? bits / 8 : null;
}

function formatOf(dtype: TensorDType): DTypeFormat & { rank: number } {
  const format = byDType.get(dtype);
  if (!format) throw new RangeError(`unknown dtype ${String(dtype)}`);
  return format;
}

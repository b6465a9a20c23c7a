import { byteLength } from '@emloc/device';

import { PipelineError } from '../errors.js';

/** Raw little-endian data of one tensor, row-major. */
export interface RecordTensor {
  readonly name: string;
  readonly dtype: 'float32' | 'float64' | 'bfloat16';
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What stages store and send: tensors, with what must be known of them as text. */
export interface TensorRecord {
  readonly tensors: readonly RecordTensor[];
  readonly attributes: Readonly<Record<string, string>>;
}

/** A float32 tensor of a record; its bytes are those of `values`. */
export function float32Tensor(
  name: string,
  shape: readonly number[],
  values: Float32Array,
): RecordTensor {
  return {
    name,
    dtype: 'float32',
    shape,
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

/**
 * Reads a record with checks. Each method throws PipelineError PIPELINE_RECORD_INVALID, which names
 * the record and what is wrong.
 */
export class RecordReader {
  readonly #tensors: ReadonlyMap<string, RecordTensor>;

  /** @param label what the record should be, for messages */
  constructor(
    private readonly record: TensorRecord,
    private readonly label: string,
  ) {
    this.#tensors = new Map(record.tensors.map((tensor) => [tensor.name, tensor]));
  }

  /** Bytes of a tensor that must have this dtype and shape. */
  bytes(name: string, dtype: RecordTensor['dtype'], shape: readonly number[]): Uint8Array {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw this.invalid(`tensor ${name} is missing`);
    const isExpected =
      tensor.dtype === dtype &&
      tensor.shape.length === shape.length &&
      shape.every((extent, axis) => extent === tensor.shape[axis]);
    if (!isExpected)
      throw this.invalid(
        `tensor ${name} is ${tensor.dtype} [${tensor.shape.join(', ')}], ${dtype} [${shape.join(', ')}] expected`,
      );
    const expected = byteLength(shape, dtype);
    if (tensor.bytes.byteLength !== expected)
      throw this.invalid(
        `tensor ${name} has ${tensor.bytes.byteLength} bytes, ${expected} expected`,
      );
    return tensor.bytes;
  }

  float32(name: string, shape: readonly number[]): Float32Array {
    const bytes = aligned(this.bytes(name, 'float32', shape), Float32Array.BYTES_PER_ELEMENT);
    return new Float32Array(
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength / Float32Array.BYTES_PER_ELEMENT,
    );
  }

  float64(name: string, shape: readonly number[]): Float64Array {
    const bytes = aligned(this.bytes(name, 'float64', shape), Float64Array.BYTES_PER_ELEMENT);
    return new Float64Array(
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength / Float64Array.BYTES_PER_ELEMENT,
    );
  }

  /** The value of an attribute that holds JSON. */
  json<T>(name: string, isExpected: (value: unknown) => value is T): T {
    const text = this.record.attributes[name];
    if (text === undefined) throw this.invalid(`attribute ${name} is missing`);
    let value: unknown;
    try {
      value = JSON.parse(text, withNumber);
    } catch (cause) {
      throw this.invalid(`attribute ${name} is no JSON`, { cause });
    }
    if (!isExpected(value)) throw this.invalid(`attribute ${name} has an unknown form`);
    return value;
  }

  invalid(reason: string, options?: ErrorOptions): PipelineError {
    return new PipelineError('PIPELINE_RECORD_INVALID', `${this.label}: ${reason}`, options);
  }
}

/** JSON that `RecordReader.json` reads, with numbers that JSON has no word for. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'number' && !Number.isFinite(item) ? String(item) : item,
  );
}

function withNumber(_key: string, item: unknown): unknown {
  const isNumber = item === 'NaN' || item === 'Infinity' || item === '-Infinity';
  return isNumber ? Number(item) : item;
}

type FieldType = 'number' | 'string' | 'boolean';

/** Whether a value is an object with these fields, others beside them. */
export function hasFields(
  value: unknown,
  fields: Readonly<Record<string, FieldType>>,
): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(fields).every(
    ([name, type]) => typeof (value as Record<string, unknown>)[name] === type,
  );
}

function aligned(bytes: Uint8Array, elementBytes: number): Uint8Array {
  return bytes.byteOffset % elementBytes === 0 ? bytes : new Uint8Array(bytes);
}

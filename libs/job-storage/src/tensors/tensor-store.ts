import { at } from '@emloc/checked';
import {
  isNatsError,
  rangeSource,
  type ObjectBucket,
  type ObjectSink,
  type PutOptions,
} from '@emloc/nats';

import { TensorBusError } from './errors.js';
import { tensorLayout, type TensorLayout } from './layout.js';
import { memorySink } from './memory.js';
import type { TensorHeader, TensorSink, TensorSource } from './tensor.js';

type StoreOptions = Pick<PutOptions, 'signal' | 'onResend'>;

/** Tensors under a key, and what is to be known of them. */
interface TensorSet {
  readonly tensors: readonly TensorSource[];
  readonly attributes?: Readonly<Record<string, string>>;
}

/** What stands under a key; its bytes come when `read` is called. */
interface StoredTensors {
  readonly key: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorHeader[];
  /** @throws TensorBusError TENSOR_BUS_STALLED, TENSOR_BUS_CORRUPT; what a sink throws */
  read(sinkOf: (tensor: TensorHeader, index: number) => TensorSink): Promise<void>;
  toMemory(): Promise<Uint8Array[]>;
}

/**
 * Layer tensors that outlive the processes that make and use them, by key: statistics until the
 * factors are stored, factors until the job is done. Each write replaces the key's tensors at once,
 * when all is stored.
 */
export interface TensorStore {
  write(key: string, set: TensorSet, options?: StoreOptions): Promise<void>;
  open(key: string): Promise<StoredTensors | undefined>;
  /** Keys that start so, sorted. */
  list(prefix?: string): Promise<string[]>;
  /** @returns whether it was there */
  delete(key: string): Promise<boolean>;
}

/** A store in a bucket of its own; the bucket stays the caller's. */
export function createTensorStore(bucket: ObjectBucket): TensorStore {
  return {
    write: (key, set, options = {}) => writeTensors(bucket, key, set, options),
    open: (key) => openTensors(bucket, key),
    list: async (prefix = '') =>
      (await bucket.names()).filter((name) => name.startsWith(prefix)).sort(),
    delete: (key) => bucket.delete(key),
  };
}

async function writeTensors(
  bucket: ObjectBucket,
  key: string,
  { tensors, attributes = {} }: TensorSet,
  options: StoreOptions,
): Promise<void> {
  const layout = tensorLayout(tensors);
  const source = rangeSource(layout.totalBytes, (offset, target) =>
    readRanges(tensors, layout, offset, target),
  );
  const headers = tensors.map(({ name, dtype, shape, byteLength }) => ({
    name,
    dtype,
    shape,
    byteLength,
  }));
  try {
    await bucket.put(key, source, {
      ...options,
      metadata: { tensors: JSON.stringify(headers), attributes: JSON.stringify(attributes) },
    });
  } catch (error) {
    throw toBusError(key, error);
  }
}

async function openTensors(bucket: ObjectBucket, key: string): Promise<StoredTensors | undefined> {
  const info = await bucket.info(key);
  if (!info) return undefined;
  const tensors = JSON.parse(info.metadata['tensors'] ?? '[]') as TensorHeader[];
  const attributes = JSON.parse(info.metadata['attributes'] ?? '{}') as Record<string, string>;
  const read: StoredTensors['read'] = async (sinkOf) => {
    const sinks = tensors.map(sinkOf);
    try {
      await bucket.get(key, tensorsSink(tensors, sinks));
    } catch (error) {
      throw toBusError(key, error);
    }
  };
  const toMemory = async (): Promise<Uint8Array[]> => {
    const buffers = tensors.map(({ byteLength }) => new Uint8Array(byteLength));
    await read((_, index) => memorySink(at(buffers, index)));
    return buffers;
  };
  return { key, attributes, tensors, read, toMemory };
}

/** Spreads the bytes of the whole over the sinks. */
function tensorsSink(tensors: readonly TensorHeader[], sinks: readonly TensorSink[]): ObjectSink {
  const layout = tensorLayout(tensors);
  return {
    write: async (offset, bytes) => {
      for (const { tensor, offsetBytes, at: from, byteLength } of layout.rangesBetween(
        offset,
        offset + bytes.length,
      )) {
        await at(sinks, tensor).write(offsetBytes, bytes.subarray(from, from + byteLength));
      }
    },
  };
}

async function readRanges(
  tensors: readonly TensorSource[],
  layout: TensorLayout,
  offset: number,
  target: Uint8Array,
): Promise<void> {
  for (const { tensor, offsetBytes, at: from, byteLength } of layout.rangesBetween(
    offset,
    offset + target.length,
  )) {
    await at(tensors, tensor).read(offsetBytes, target.subarray(from, from + byteLength));
  }
}

/** The code for what the object bucket says; what a source or sink threw passes. */
function toBusError(name: string, error: unknown): unknown {
  if (!isNatsError(error)) return error;
  const code =
    error.code === 'OBJECT_CORRUPT'
      ? 'TENSOR_BUS_CORRUPT'
      : error.code === 'OBJECT_STALLED'
        ? 'TENSOR_BUS_STALLED'
        : 'TENSOR_BUS_ABORTED';
  return new TensorBusError(code, `tensor bus: ${name}: ${error.message}`, { cause: error });
}

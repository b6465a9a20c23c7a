import { at } from '@emloc/checked';
import type { StoredObject } from '@emloc/contracts';
import {
  bucketNames,
  JobStorageError,
  memorySource,
  storedObjectMessage,
  TensorBusError,
  type JobStorage,
  type TensorStore,
} from '@emloc/job-storage';
import { isNatsError } from '@emloc/nats';
import type { TensorRecord } from '@emloc/pipeline';
import { moved, type Moved } from '@emloc/service/worker';
import type { Metrics } from '@emloc/telemetry';

/** What tensors are, as a label of metrics. */
type TensorKind = 'statistics' | 'factors' | 'lora';

/** Layer tensors as the engine has them, in and out of the store that stages share. */
export interface TensorRecords {
  write(kind: TensorKind, key: string, record: TensorRecord, signal?: AbortSignal): Promise<void>;
  /** @throws TensorBusError TENSOR_BUS_CORRUPT when there is nothing under the key */
  read(kind: TensorKind, key: string): Promise<TensorRecord>;
  delete(key: string): Promise<void>;
}

/** Records in a store, counted in the metrics of the tensor bus. */
export function countedRecords(store: TensorStore, metrics: Metrics): TensorRecords {
  const count = (
    direction: 'sent' | 'received',
    kind: TensorKind,
    { record, startedMs }: { record: TensorRecord; startedMs: number },
  ): void => {
    const labels = { direction, kind, path: 'durable' };
    metrics.tensorBusBytes.add(
      labels,
      record.tensors.reduce((sum, { bytes }) => sum + bytes.byteLength, 0),
    );
    metrics.tensorBusMessages.add(labels, record.tensors.length);
    metrics.tensorBusLatency.observe(labels, (performance.now() - startedMs) / 1000);
  };
  return {
    write: async (kind, key, record, signal) => {
      const startedMs = performance.now();
      const resent = (chunks: number): void =>
        metrics.tensorBusRetransmissions.add({ kind, path: 'durable' }, chunks);
      // A counter that is not there before it counts hides its first increment.
      resent(0);
      await store.write(
        key,
        {
          tensors: record.tensors.map(({ bytes, ...header }) => memorySource(header, bytes)),
          attributes: record.attributes,
        },
        { signal, onResend: resent },
      );
      count('sent', kind, { record, startedMs });
    },
    read: async (kind, key) => {
      const startedMs = performance.now();
      const record = await readRecord(store, key);
      count('received', kind, { record, startedMs });
      return record;
    },
    delete: async (key) => {
      await store.delete(key);
    },
  };
}

/** What stands under a key. @throws TensorBusError TENSOR_BUS_CORRUPT when nothing does */
async function readRecord(store: TensorStore, key: string): Promise<TensorRecord> {
  const stored = await store.open(key);
  if (!stored)
    throw new TensorBusError('TENSOR_BUS_CORRUPT', `tensor bus: there is nothing under ${key}`);
  const buffers = await stored.toMemory();
  const tensors = stored.tensors.map(({ name, dtype, shape }, index) => ({
    name,
    dtype: dtype as TensorRecord['tensors'][number]['dtype'],
    shape,
    bytes: at(buffers, index),
  }));
  return { tensors, attributes: stored.attributes };
}

/**
 * Has a record name what is stored under a key. When that is refused, because a newer attempt has
 * begun or the job's work is discarded, what is stored is deleted: nothing will ever name it.
 */
export async function nameOrDiscard(
  records: TensorRecords,
  key: string,
  name: () => Promise<void>,
): Promise<void> {
  try {
    await name();
  } catch (error) {
    const isRefused =
      isNatsError(error, 'RECORD_NOT_FOUND') ||
      (error instanceof JobStorageError && error.code === 'STAGE_STALE_FENCING_TOKEN');
    if (isRefused) await records.delete(key);
    throw error;
  }
}

/** Stores a record, such as an adapter, and names it for whoever reads it next. */
export async function storeRecord(
  records: TensorRecords,
  storage: JobStorage,
  { key, record }: { key: string; record: TensorRecord },
): Promise<StoredObject> {
  await records.write('lora', key, record);
  const stored = await storage.tensorBucket.info(key);
  if (!stored)
    throw new TensorBusError('TENSOR_BUS_CORRUPT', `tensor bus: there is nothing under ${key}`);
  return storedObjectMessage(bucketNames.tensors, stored);
}

/** A record that moves to the engine's thread. */
export function movedRecord(record: TensorRecord): Moved<TensorRecord> {
  return moved(record, [
    ...new Set(record.tensors.map(({ bytes }) => bytes.buffer as ArrayBuffer)),
  ]);
}

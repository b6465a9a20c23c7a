import { create, fromJson, toJson } from '@bufbuild/protobuf';
import {
  JobSpecReferenceSchema,
  JobSpecSchema,
  type JobSpec,
  type JobSpecReference,
} from '@emloc/contracts';
import {
  destroyWorkQueue,
  openObjectBucket,
  openRecordStore,
  openWorkQueue,
  type Lane,
  type NatsConnection,
  type ObjectBucket,
  type RecordStore,
  type WorkQueue,
} from '@emloc/nats';

import { createIfMissing } from './create-if-missing.js';
import { openDeviceLedger, type DeviceLedger, type DeviceRecord } from './device-ledger.js';
import { JobStorageError } from './errors.js';
import { openInputHashes, type InputHash, type InputHashes } from './input-hashes.js';
import { jobIdOf, tensorKeys } from './keys.js';
import { openStageRecords, type StageRecord, type StageRecords } from './stage-records.js';
import { createTensorStore, type TensorStore } from './tensors/tensor-store.js';

/** A block whose statistics wait for their factors. */
export interface LayerWork {
  readonly block: number;
  /** Key of the statistics among the tensors. */
  readonly statistics: string;
}

/** A block's factors. */
export interface LayerResult {
  readonly block: number;
  /** Key of the factors among the tensors. */
  readonly factors: string;
  /** What is reported of the block's linear layers. */
  readonly reports: readonly LayerReport[];
}

/**
 * A part of a job's correction: a block, or the choice among the candidates when all blocks are
 * corrected.
 */
export interface CorrectionWork {
  /** null: the choice. */
  readonly block: number | null;
}

/** What came of it. */
export type CorrectionDone =
  | {
      readonly kind: 'block';
      readonly block: number;
      /** Key among the tensors. */ readonly corrections: string;
    }
  /** The stage's result message, as JSON. */
  | { readonly kind: 'choice'; readonly result: unknown };

/** A linear layer that was replaced by factors. */
export interface LayerReport {
  readonly name: string;
  readonly ratio: number;
  readonly rank: number;
  readonly relativeError: number;
  readonly solver: string;
  readonly usedFallback: boolean;
}

/** Everything that coordinator and stages share of jobs. Closing the connection closes it. */
export interface JobStorage {
  /** Written once per job. */
  writeSpec(spec: JobSpec): Promise<JobSpecReference>;
  /**
   * @throws JobStorageError JOB_SPEC_MISSING when the reference names no spec, or another than it
   * meant
   */
  readSpec(reference: JobSpecReference): Promise<JobSpec>;
  /** Statistics, factors, training states and adapters on their way from stage to stage. */
  readonly tensors: TensorStore;
  /** Where the bytes of `tensors` are. */
  readonly tensorBucket: ObjectBucket;
  /** Uploaded data sets. */
  readonly datasets: ObjectBucket;
  /** Files that jobs made. */
  readonly artifacts: ObjectBucket;
  readonly stages: StageRecords;
  readonly inputs: InputHashes;
  readonly devices: DeviceLedger;
  /**
   * The layers of a job that is being emulated, shared by the replicas of the builder. Keys are
   * `block-N`.
   */
  openLayers(job: string, owner: string): Promise<WorkQueue<LayerWork, LayerResult>>;
  /**
   * The parts of a job's correction, shared by the replicas of the corrector. Keys are `block-N`
   * and `choice`.
   */
  openCorrections(job: string, owner: string): Promise<WorkQueue<CorrectionWork, CorrectionDone>>;
  /**
   * Bucket of the tensors etc., for a StoredObject.
   * @throws JobStorageError JOB_SPEC_MISSING for a bucket that is none of these
   */
  bucketOf(name: string): ObjectBucket;
  /**
   * Deletes what the stages of a job left to each other; its artifacts and its spec stay. Again is
   * harmless.
   */
  discardWork(job: string): Promise<void>;
  /** Jobs whose stages have left anything to each other. */
  jobsWithWork(): Promise<ReadonlySet<string>>;
  deleteSpec(job: string): Promise<void>;
}

/** Names of the buckets. */
export const bucketNames = Object.freeze({
  specs: 'emloc-specs',
  stages: 'emloc-stages',
  devices: 'emloc-devices',
  tensors: 'emloc-tensors',
  datasets: 'emloc-datasets',
  artifacts: 'emloc-artifacts',
});

const queueNames = Object.freeze({
  layers: (job: string) => `layers-${job}`,
  corrections: (job: string) => `corrections-${job}`,
});

export interface JobStorageOptions {
  readonly nats: NatsConnection;
  readonly lane: Lane;
  readonly replicas?: number;
  /** Silence after which a builder's layer goes to another. */
  readonly layerAckWaitMs?: number;
  /** Silence after which a stage's device memory is free. */
  readonly deviceTtlMs?: number;
}

/** Opens the buckets, making those that are missing. */
export async function openJobStorage(options: JobStorageOptions): Promise<JobStorage> {
  const { nats, lane, replicas } = options;
  const bucket = (name: string): Promise<ObjectBucket> =>
    openObjectBucket({ nats, lane, bucket: name, replicas });
  const records = <T>(name: string): Promise<RecordStore<T>> =>
    openRecordStore<T>({ nats, bucket: name, replicas });
  const [specs, stages, devices] = [
    await records<unknown>(bucketNames.specs),
    await records<StageRecord>(bucketNames.stages),
    await records<DeviceRecord>(bucketNames.devices),
  ];
  const buckets = new Map<string, ObjectBucket>();
  for (const name of [bucketNames.tensors, bucketNames.datasets, bucketNames.artifacts])
    buckets.set(name, await bucket(name));
  return new JetStreamJobStorage(options, {
    specs,
    buckets,
    stages: openStageRecords(stages),
    // In one bucket with the stages' records, with which they are discarded.
    inputs: openInputHashes(await records<InputHash>(bucketNames.stages)),
    devices: openDeviceLedger(devices, { ttlMs: options.deviceTtlMs }),
  });
}

interface Parts {
  readonly specs: RecordStore<unknown>;
  readonly buckets: ReadonlyMap<string, ObjectBucket>;
  readonly stages: StageRecords;
  readonly inputs: InputHashes;
  readonly devices: DeviceLedger;
}

class JetStreamJobStorage implements JobStorage {
  readonly tensors: TensorStore;
  readonly tensorBucket: ObjectBucket;
  readonly datasets: ObjectBucket;
  readonly artifacts: ObjectBucket;
  readonly stages: StageRecords;
  readonly inputs: InputHashes;
  readonly devices: DeviceLedger;

  constructor(
    private readonly options: JobStorageOptions,
    private readonly parts: Parts,
  ) {
    this.tensorBucket = this.bucketOf(bucketNames.tensors);
    this.datasets = this.bucketOf(bucketNames.datasets);
    this.artifacts = this.bucketOf(bucketNames.artifacts);
    this.tensors = createTensorStore(this.tensorBucket);
    this.stages = parts.stages;
    this.inputs = parts.inputs;
    this.devices = parts.devices;
  }

  async writeSpec(spec: JobSpec): Promise<JobSpecReference> {
    const key = jobIdOf(spec.job);
    const value = toJson(JobSpecSchema, spec);
    await createIfMissing(this.parts.specs, key, value);
    const found = await this.parts.specs.get(key);
    if (!found)
      throw new JobStorageError(
        'JOB_SPEC_MISSING',
        `job spec ${bucketNames.specs}/${key} was deleted while it was written`,
      );
    return create(JobSpecReferenceSchema, {
      bucket: bucketNames.specs,
      key,
      revision: BigInt(found.revision),
    });
  }

  async readSpec({ bucket, key, revision }: JobSpecReference): Promise<JobSpec> {
    const found = bucket === bucketNames.specs ? await this.parts.specs.get(key) : undefined;
    if (!found || BigInt(found.revision) !== revision)
      throw new JobStorageError(
        'JOB_SPEC_MISSING',
        `job spec ${bucket}/${key} has no revision ${revision}`,
      );
    return fromJson(JobSpecSchema, found.value as Parameters<typeof fromJson>[1]);
  }

  openLayers(job: string, owner: string): Promise<WorkQueue<LayerWork, LayerResult>> {
    return this.#queue(queueNames.layers(job), owner);
  }

  openCorrections(job: string, owner: string): Promise<WorkQueue<CorrectionWork, CorrectionDone>> {
    return this.#queue(queueNames.corrections(job), owner);
  }

  bucketOf(name: string): ObjectBucket {
    const bucket = this.parts.buckets.get(name);
    if (!bucket)
      throw new JobStorageError('JOB_SPEC_MISSING', `there is no bucket ${name} of jobs`);
    return bucket;
  }

  async discardWork(job: string): Promise<void> {
    const { nats } = this.options;
    for (const name of Object.values(queueNames)) await destroyWorkQueue({ nats, name: name(job) });
    for (const key of await this.tensors.list(tensorKeys.ofJob(job)))
      await this.tensors.delete(key);
    await this.stages.discard(job);
  }

  async jobsWithWork(): Promise<ReadonlySet<string>> {
    const keys = await this.tensors.list();
    return new Set([...keys.map(tensorKeys.jobOf), ...(await this.stages.jobs())]);
  }

  async deleteSpec(job: string): Promise<void> {
    await this.parts.specs.discard(job);
  }

  #queue<W, R>(name: string, owner: string): Promise<WorkQueue<W, R>> {
    const { nats, replicas, layerAckWaitMs } = this.options;
    return openWorkQueue<W, R>({
      nats,
      name,
      owner,
      replicas,
      ackWaitMs: layerAckWaitMs,
      maxAttempts: 20,
    });
  }
}

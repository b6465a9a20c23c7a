/** A metric: everything that prom-client and the documentation need to know of it. */
export interface MetricSpec {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly unit: 'bytes' | 'seconds' | 'tokens per second' | 'none';
  readonly help: string;
  readonly labels: readonly LabelName[];
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

/**
 * Labels and what bounds their values. A job, tenant, request or file is never one: their number
 * has no bound.
 */
export const labelValues = Object.freeze({
  stage: 'calibrate, emulate, train, correct, refine, merge',
  category: 'weights, factors, activations, saved, lora, optimizer, statistics, workspace, reserve',
  tier: 'disk, host, device',
  source: 'the tier that bytes left: disk, host, device',
  destination: 'the tier that bytes arrived on: disk, host, device',
  state: 'queued, running, cancelling, succeeded, failed, cancelled',
  outcome: 'succeeded, failed, cancelled',
  direction: 'sent, received',
  kind: 'statistics, factors, lora',
  path: 'core (NATS messages), durable (object store)',
  gpu: 'index of the device on this machine',
  grpc_service: 'services of the contracts, health and reflection',
  grpc_method: 'methods of those services',
  grpc_code: 'OK and the gRPC status codes',
  version: 'version of the program',
});

type LabelName = keyof typeof labelValues;

const shortSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const longSeconds = [1, 5, 15, 60, 300, 900, 3_600, 4 * 3_600, 12 * 3_600, 48 * 3_600];

/**
 * Every metric of this product; Node's own process metrics (`nodejs_*`, `process_*`) come on top.
 */
export const catalogue = {
  buildInfo: {
    name: 'emloc_build_info',
    type: 'gauge',
    unit: 'none',
    help: 'Always 1; says which version runs.',
    labels: ['version'],
  },

  ready: {
    name: 'emloc_ready',
    type: 'gauge',
    unit: 'none',
    help: 'Whether the process takes work, as /readyz says: 1 or 0.',
    labels: [],
  },
  leading: {
    name: 'emloc_coordinator_leading',
    type: 'gauge',
    unit: 'none',
    help: 'Whether this coordinator leads, and drives the jobs: 1 or 0.',
    labels: [],
  },
  leaseLosses: {
    name: 'emloc_coordinator_lease_losses_total',
    type: 'counter',
    unit: 'none',
    help: 'Times that this coordinator led and lost the lease before it gave it back.',
    labels: [],
  },
  leaseRepairs: {
    name: 'emloc_coordinator_lease_repairs_total',
    type: 'counter',
    unit: 'none',
    help: 'Times that the bucket of the lease held more than the lease, and was emptied.',
    labels: [],
  },

  deviceMemoryInUse: {
    name: 'emloc_device_memory_in_use_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Device memory that the running stage has reserved in its budget, by what it is for.',
    labels: ['stage', 'category'],
  },
  deviceMemoryBudget: {
    name: 'emloc_device_memory_budget_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Device memory that the running stage may reserve.',
    labels: ['stage'],
  },
  deviceMemoryPeak: {
    name: 'emloc_device_memory_peak_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Most device memory that the running stage had reserved at once.',
    labels: ['stage'],
  },
  gpuMemoryUsed: {
    name: 'emloc_gpu_memory_used_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of the GPU in use by all processes, as its driver sees it.',
    labels: ['gpu'],
  },
  gpuMemoryTotal: {
    name: 'emloc_gpu_memory_total_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of the GPU, as its driver sees it.',
    labels: ['gpu'],
  },

  pagerPageIns: {
    name: 'emloc_pager_page_ins_total',
    type: 'counter',
    unit: 'none',
    help: 'Layers that the weight pager brought onto the device.',
    labels: ['stage'],
  },
  pagerPageOuts: {
    name: 'emloc_pager_page_outs_total',
    type: 'counter',
    unit: 'none',
    help: 'Layers that the weight pager took off the device.',
    labels: ['stage'],
  },
  pagerHits: {
    name: 'emloc_pager_hits_total',
    type: 'counter',
    unit: 'none',
    help: 'Layers that were on the device when they were asked for.',
    labels: ['stage'],
  },
  pagerMoved: {
    name: 'emloc_pager_moved_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of weights that the pager moved from one tier to another.',
    labels: ['stage', 'source', 'destination'],
  },
  pagerResident: {
    name: 'emloc_pager_resident_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes of weights that the pager holds on a tier.',
    labels: ['stage', 'tier'],
  },
  pagerStall: {
    name: 'emloc_pager_stall_seconds_total',
    type: 'counter',
    unit: 'seconds',
    help: 'Time that computation waited for a layer to arrive.',
    labels: ['stage'],
  },

  jobs: {
    name: 'emloc_jobs',
    type: 'gauge',
    unit: 'none',
    help: 'Jobs that the coordinator knows, by state.',
    labels: ['state'],
  },
  jobTransitions: {
    name: 'emloc_job_transitions_total',
    type: 'counter',
    unit: 'none',
    help: 'Times that a job went into a state.',
    labels: ['state'],
  },
  jobDuration: {
    name: 'emloc_job_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from the start of a job to its end.',
    labels: ['outcome'],
    buckets: longSeconds,
  },
  stageDuration: {
    name: 'emloc_stage_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time that one attempt at a stage took.',
    labels: ['stage', 'outcome'],
    buckets: longSeconds,
  },
  stageRetries: {
    name: 'emloc_stage_retries_total',
    type: 'counter',
    unit: 'none',
    help: 'Stages that were started again after a failure.',
    labels: ['stage'],
  },

  tensorBusBytes: {
    name: 'emloc_tensor_bus_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of tensors that went over the tensor bus.',
    labels: ['direction', 'kind', 'path'],
  },
  tensorBusMessages: {
    name: 'emloc_tensor_bus_messages_total',
    type: 'counter',
    unit: 'none',
    help: 'Tensors that went over the tensor bus.',
    labels: ['direction', 'kind', 'path'],
  },
  tensorBusRetransmissions: {
    name: 'emloc_tensor_bus_retransmissions_total',
    type: 'counter',
    unit: 'none',
    help: 'Chunks that the tensor bus sent again.',
    labels: ['kind', 'path'],
  },
  tensorBusLatency: {
    name: 'emloc_tensor_bus_latency_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from the first byte of a tensor to its acknowledgement.',
    labels: ['direction', 'kind', 'path'],
    buckets: shortSeconds,
  },

  trainingSteps: {
    name: 'emloc_training_steps_total',
    type: 'counter',
    unit: 'none',
    help: 'Optimizer steps.',
    labels: ['stage'],
  },
  trainingTokens: {
    name: 'emloc_training_tokens_total',
    type: 'counter',
    unit: 'none',
    help: 'Input tokens without padding that were trained on.',
    labels: ['stage'],
  },
  trainingLoss: {
    name: 'emloc_training_loss',
    type: 'gauge',
    unit: 'none',
    help: 'Mean loss of the last optimizer step, per trained-on token, in nats.',
    labels: ['stage'],
  },
  trainingLearningRate: {
    name: 'emloc_training_learning_rate',
    type: 'gauge',
    unit: 'none',
    help: 'Learning rate of the last optimizer step.',
    labels: ['stage'],
  },
  trainingGradientNorm: {
    name: 'emloc_training_gradient_norm',
    type: 'gauge',
    unit: 'none',
    help: 'Norm of the gradient of the last optimizer step, before clipping.',
    labels: ['stage'],
  },
  trainingTokensPerSecond: {
    name: 'emloc_training_tokens_per_second',
    type: 'gauge',
    unit: 'tokens per second',
    help: 'Input tokens without padding over the duration of the last optimizer step.',
    labels: ['stage'],
  },

  grpcStarted: {
    name: 'grpc_server_started_total',
    type: 'counter',
    unit: 'none',
    help: 'Calls that the gRPC server began to serve.',
    labels: ['grpc_service', 'grpc_method'],
  },
  grpcHandled: {
    name: 'grpc_server_handled_total',
    type: 'counter',
    unit: 'none',
    help: 'Calls that the gRPC server answered, by status code.',
    labels: ['grpc_service', 'grpc_method', 'grpc_code'],
  },
  grpcHandling: {
    name: 'grpc_server_handling_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time that calls took on the gRPC server, streams to their end.',
    labels: ['grpc_service', 'grpc_method'],
    buckets: shortSeconds,
  },
  grpcInFlight: {
    name: 'grpc_server_in_flight',
    type: 'gauge',
    unit: 'none',
    help: 'Calls that the gRPC server is serving.',
    labels: ['grpc_service', 'grpc_method'],
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type Catalogue = typeof catalogue;

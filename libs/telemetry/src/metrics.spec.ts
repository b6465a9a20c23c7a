import {
  createTelemetry,
  forgetStage,
  observeCalls,
  observePager,
  recordMemory,
  recordStep,
  type Telemetry,
} from './index.js';

let telemetry: Telemetry;

beforeEach(() => {
  telemetry = createTelemetry({ service: 'trainer', version: '1.2.3' });
});

afterEach(() => telemetry.close());

/** The value of a series, by its name and labels as exposed; null where there is none. */
async function valueOf(
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<number | null> {
  const lines = (await telemetry.expose())
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`));
  const line = lines.find((candidate) =>
    Object.entries(labels).every(([key, value]) => candidate.includes(`${key}="${value}"`)),
  );
  return line === undefined ? null : Number(line.split(' ').at(-1));
}

describe('telemetry', () => {
  it('exposes the version, the service and Node’s process metrics', async () => {
    const text = await telemetry.expose();
    expect(text).toContain('emloc_build_info{version="1.2.3",service="trainer"} 1');
    expect(text).toContain('# TYPE emloc_stage_duration_seconds histogram');
    expect(text).toMatch(/process_resident_memory_bytes\{service="trainer"\} \d+/);
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect(telemetry.contentType).toContain('text/plain');
  });

  it('keeps the metrics of two processes in one apart', async () => {
    const other = createTelemetry({ service: 'corrector', version: '1.2.3' });
    other.metrics.stageRetries.add({ stage: 'correct' });
    expect(await valueOf('emloc_stage_retries_total', { stage: 'correct' })).toBeNull();
    other.close();
  });

  it('has a gauge without labels only once it is set', async () => {
    expect(await valueOf('emloc_coordinator_leading', {})).toBeNull();
    telemetry.metrics.leading.set({}, 0);
    expect(await valueOf('emloc_coordinator_leading', {})).toBe(0);
  });

  it('counts, sets, observes and removes', async () => {
    const { metrics } = telemetry;
    metrics.jobTransitions.add({ state: 'failed' });
    metrics.jobTransitions.add({ state: 'failed' }, 2);
    metrics.jobs.set({ state: 'queued' }, 5);
    metrics.jobs.add({ state: 'queued' }, -1);
    metrics.stageDuration.observe({ stage: 'train', outcome: 'succeeded' }, 20);
    expect(await valueOf('emloc_job_transitions_total', { state: 'failed' })).toBe(3);
    expect(await valueOf('emloc_jobs', { state: 'queued' })).toBe(4);
    expect(await valueOf('emloc_stage_duration_seconds_bucket', { le: '15', stage: 'train' })).toBe(
      0,
    );
    expect(await valueOf('emloc_stage_duration_seconds_bucket', { le: '60', stage: 'train' })).toBe(
      1,
    );
    metrics.jobs.remove({ state: 'queued' });
    expect(await valueOf('emloc_jobs', { state: 'queued' })).toBeNull();
  });
});

describe('observers', () => {
  it('count calls by method and code and know how many are in flight', async () => {
    const { callStarted, callFinished } = observeCalls(telemetry.metrics);
    const method = '/emloc.v1.JobService/GetJob';
    const labels = { grpc_service: 'emloc.v1.JobService', grpc_method: 'GetJob' };
    callStarted({ method });
    callStarted({ method });
    callFinished({ method, code: 'NOT_FOUND', seconds: 0.02 });
    expect(await valueOf('grpc_server_started_total', labels)).toBe(2);
    expect(await valueOf('grpc_server_in_flight', labels)).toBe(1);
    expect(await valueOf('grpc_server_handled_total', { ...labels, grpc_code: 'NOT_FOUND' })).toBe(
      1,
    );
    expect(await valueOf('grpc_server_handling_seconds_sum', labels)).toBeCloseTo(0.02);
  });

  it('add up the totals of several pagers', async () => {
    const totals = (hits: number, bytes: number) => ({
      hits,
      pageIns: 2 * hits,
      pageOuts: hits,
      stallSeconds: hits / 10,
      bytesMoved: { diskToHost: bytes, hostToDevice: 2 * bytes },
      deviceBytes: bytes,
      hostBytes: 0,
    });
    const first = observePager(telemetry.metrics, 'train');
    first(totals(1, 100));
    first(totals(3, 300));
    observePager(telemetry.metrics, 'train')(totals(2, 50));
    expect(await valueOf('emloc_pager_hits_total', { stage: 'train' })).toBe(5);
    expect(await valueOf('emloc_pager_page_ins_total', { stage: 'train' })).toBe(10);
    expect(
      await valueOf('emloc_pager_moved_bytes_total', { source: 'host', destination: 'device' }),
    ).toBe(700);
    expect(await valueOf('emloc_pager_stall_seconds_total', { stage: 'train' })).toBeCloseTo(0.5);
    expect(await valueOf('emloc_pager_resident_bytes', { tier: 'device' })).toBe(50);
  });

  it('show a stage while it runs and forget it afterwards', async () => {
    const { metrics } = telemetry;
    recordStep(metrics, {
      stage: 'train',
      loss: 1.5,
      learningRate: 1e-4,
      gradientNorm: 0.5,
      tokens: 100,
      seconds: 0.5,
    });
    recordMemory(metrics, 'train', {
      budgetBytes: 1000,
      peakBytes: 900,
      inUseBytes: { weights: 500, lora: 10 },
    });
    expect(await valueOf('emloc_training_tokens_per_second', { stage: 'train' })).toBe(200);
    expect(await valueOf('emloc_training_loss', { stage: 'train' })).toBe(1.5);
    expect(
      await valueOf('emloc_device_memory_in_use_bytes', { stage: 'train', category: 'weights' }),
    ).toBe(500);
    forgetStage(metrics, 'train', ['weights', 'lora']);
    expect(await valueOf('emloc_training_loss', { stage: 'train' })).toBeNull();
    expect(await valueOf('emloc_device_memory_in_use_bytes', { stage: 'train' })).toBeNull();
    expect(await valueOf('emloc_training_steps_total', { stage: 'train' })).toBe(1);
  });
});

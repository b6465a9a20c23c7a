import type { Metrics } from './metrics.js';

/** Names of the stages, as labels. */
export type StageLabel =
  'calibrate' | 'emulate' | 'train' | 'correct' | 'refine' | 'merge' | 'front';

/**
 * What a gRPC server reports of its calls: the shape of @emloc/rpc's observer. `method` is
 * `/package.Service/Method`.
 */
export interface CallObserver {
  callStarted(call: { readonly method: string }): void;
  callFinished(call: {
    readonly method: string;
    readonly code: string;
    readonly seconds: number;
  }): void;
}

/** Counts and times the calls of a gRPC server. */
export function observeCalls(metrics: Metrics): CallObserver {
  return {
    callStarted: ({ method }) => {
      const labels = methodLabels(method);
      metrics.grpcStarted.add(labels);
      metrics.grpcInFlight.add(labels, 1);
    },
    callFinished: ({ method, code, seconds }) => {
      const labels = methodLabels(method);
      metrics.grpcInFlight.add(labels, -1);
      metrics.grpcHandled.add({ ...labels, grpc_code: code });
      metrics.grpcHandling.observe(labels, seconds);
    },
  };
}

function methodLabels(path: string): { grpc_service: string; grpc_method: string } {
  const [, service, method] = path.split('/');
  return { grpc_service: service ?? '', grpc_method: method ?? '' };
}

/**
 * Counters of a weight pager since it was opened: the shape of @emloc/weight-pager's statistics.
 */
export interface PagerTotals {
  readonly hits: number;
  readonly pageIns: number;
  readonly pageOuts: number;
  readonly stallSeconds: number;
  readonly bytesMoved: { readonly diskToHost: number; readonly hostToDevice: number };
  readonly deviceBytes: number;
  readonly hostBytes: number;
}

/** Turns the running totals of one pager into metrics; make one for each pager that is opened. */
export function observePager(metrics: Metrics, stage: StageLabel): (totals: PagerTotals) => void {
  let last: PagerTotals = {
    hits: 0,
    pageIns: 0,
    pageOuts: 0,
    stallSeconds: 0,
    bytesMoved: { diskToHost: 0, hostToDevice: 0 },
    deviceBytes: 0,
    hostBytes: 0,
  };
  return (totals) => {
    metrics.pagerHits.add({ stage }, totals.hits - last.hits);
    metrics.pagerPageIns.add({ stage }, totals.pageIns - last.pageIns);
    metrics.pagerPageOuts.add({ stage }, totals.pageOuts - last.pageOuts);
    metrics.pagerStall.add({ stage }, totals.stallSeconds - last.stallSeconds);
    metrics.pagerMoved.add(
      { stage, source: 'disk', destination: 'host' },
      totals.bytesMoved.diskToHost - last.bytesMoved.diskToHost,
    );
    metrics.pagerMoved.add(
      { stage, source: 'host', destination: 'device' },
      totals.bytesMoved.hostToDevice - last.bytesMoved.hostToDevice,
    );
    metrics.pagerResident.set({ stage, tier: 'device' }, totals.deviceBytes);
    metrics.pagerResident.set({ stage, tier: 'host' }, totals.hostBytes);
    last = { ...totals, bytesMoved: { ...totals.bytesMoved } };
  };
}

/** An optimizer step: the shape of @emloc/pipeline's event. */
export interface StepEvent {
  readonly stage: StageLabel;
  readonly loss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** Records an optimizer step. */
export function recordStep(
  metrics: Metrics,
  { stage, loss, learningRate, gradientNorm, tokens, seconds }: StepEvent,
): void {
  metrics.trainingSteps.add({ stage });
  metrics.trainingTokens.add({ stage }, tokens);
  metrics.trainingLoss.set({ stage }, loss);
  metrics.trainingLearningRate.set({ stage }, learningRate);
  metrics.trainingGradientNorm.set({ stage }, gradientNorm);
  if (seconds > 0) metrics.trainingTokensPerSecond.set({ stage }, tokens / seconds);
}

/** A device's memory budget at one moment. */
export interface MemorySample {
  readonly budgetBytes: number;
  readonly peakBytes: number;
  /** Bytes in use by category of @emloc/device. */
  readonly inUseBytes: Readonly<Record<string, number>>;
}

/** Records the memory of a stage's device. */
export function recordMemory(
  metrics: Metrics,
  stage: StageLabel,
  { budgetBytes, peakBytes, inUseBytes }: MemorySample,
): void {
  metrics.deviceMemoryBudget.set({ stage }, budgetBytes);
  metrics.deviceMemoryPeak.set({ stage }, peakBytes);
  for (const [category, bytes] of Object.entries(inUseBytes))
    metrics.deviceMemoryInUse.set({ stage, category }, bytes);
}

/** Takes away what tells of a stage only while it runs: memory, residency and the last step. */
export function forgetStage(
  metrics: Metrics,
  stage: StageLabel,
  categories: readonly string[],
): void {
  metrics.deviceMemoryBudget.remove({ stage });
  metrics.deviceMemoryPeak.remove({ stage });
  for (const category of categories) metrics.deviceMemoryInUse.remove({ stage, category });
  for (const tier of ['device', 'host']) metrics.pagerResident.remove({ stage, tier });
  for (const gauge of [
    metrics.trainingLoss,
    metrics.trainingLearningRate,
    metrics.trainingGradientNorm,
    metrics.trainingTokensPerSecond,
  ])
    gauge.remove({ stage });
}

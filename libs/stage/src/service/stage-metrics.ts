import { memoryCategories } from '@emloc/device';
import {
  forgetStage,
  observePager,
  recordMemory,
  recordStep,
  type Metrics,
  type PagerTotals,
  type StageLabel,
} from '@emloc/telemetry';

import type { EngineEvent } from '../contract.js';

/** Metrics of one attempt at a stage. */
export interface StageMetrics {
  observe(event: EngineEvent): void;
  /** Takes away what tells of a stage only while it runs. */
  finish(outcome: 'succeeded' | 'failed' | 'cancelled'): void;
}

export function openStageMetrics(metrics: Metrics, stage: StageLabel): StageMetrics {
  const startedMs = performance.now();
  const pagers = new Map<number, (totals: PagerTotals) => void>();
  return {
    observe: (event) => {
      if (event.type === 'memory') recordMemory(metrics, stage, event.sample);
      if (event.type === 'card') recordCard(metrics, event);
      if (event.type === 'step') recordStep(metrics, { ...event, stage });
      if (event.type !== 'pager') return;
      const pager = pagers.get(event.pager) ?? observePager(metrics, stage);
      pagers.set(event.pager, pager);
      pager(event.totals);
    },
    finish: (outcome) => {
      metrics.stageDuration.observe({ stage, outcome }, (performance.now() - startedMs) / 1000);
      forgetStage(metrics, stage, memoryCategories);
    },
  };
}

function recordCard(
  metrics: Metrics,
  { ordinal, usedBytes, totalBytes }: Extract<EngineEvent, { type: 'card' }>,
): void {
  metrics.gpuMemoryUsed.set({ gpu: String(ordinal) }, usedBytes);
  metrics.gpuMemoryTotal.set({ gpu: String(ordinal) }, totalBytes);
}

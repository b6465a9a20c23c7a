import { createTelemetry } from '@emloc/telemetry';

import { openStageMetrics } from '../src/service/stage-metrics.js';

const memory = {
  type: 'memory',
  sample: { budgetBytes: 100, peakBytes: 80, inUseBytes: { weights: 50 } },
} as const;
const totals = {
  hits: 1,
  pageIns: 2,
  pageOuts: 1,
  stallSeconds: 0.5,
  bytesMoved: { diskToHost: 10, hostToDevice: 20 },
  deviceBytes: 5,
  hostBytes: 6,
};

test('what a stage tells becomes metrics; what holds only while it runs goes with it', async () => {
  const telemetry = createTelemetry({ service: 'trainer', version: 'test' });
  const value = async (name: string): Promise<string | undefined> =>
    (await telemetry.expose())
      .split('\n')
      .find(
        (line) => line.startsWith(`${name}{`) && line.includes('train') && !line.includes('refine'),
      )
      ?.split(' ')
      .at(-1);
  try {
    const metrics = openStageMetrics(telemetry.metrics, 'train');
    metrics.observe(memory);
    metrics.observe({ type: 'card', ordinal: 1, usedBytes: 7, totalBytes: 9 });
    metrics.observe({
      type: 'step',
      stage: 'train',
      level: 1,
      step: 1,
      steps: 2,
      loss: 1.5,
      learningRate: 0.1,
      gradientNorm: 2,
      tokens: 30,
      seconds: 2,
      deviceBytes: 5,
      peakDeviceBytes: 8,
      budgetBytes: 10,
      stallSeconds: 0.5,
      anchor: false,
    });
    metrics.observe({ type: 'pager', pager: 1, totals });
    metrics.observe({ type: 'pager', pager: 2, totals });
    metrics.observe({ type: 'pager', pager: 1, totals: { ...totals, hits: 4 } });
    expect(
      await Promise.all(
        [
          'emloc_device_memory_peak_bytes',
          'emloc_training_loss',
          'emloc_training_tokens_total',
          'emloc_pager_hits_total',
          'emloc_pager_page_ins_total',
        ].map(value),
      ),
    ).toEqual(['80', '1.5', '30', '5', '4']);
    expect(await telemetry.expose()).toMatch(
      /emloc_gpu_memory_used_bytes\{gpu="1",service="trainer"\} 7\n/,
    );
    expect(await telemetry.expose()).toMatch(
      /emloc_gpu_memory_total_bytes\{gpu="1",service="trainer"\} 9\n/,
    );
    metrics.finish('succeeded');
    expect(
      await Promise.all(
        ['emloc_device_memory_peak_bytes', 'emloc_training_loss', 'emloc_pager_resident_bytes'].map(
          value,
        ),
      ),
    ).toEqual([undefined, undefined, undefined]);
    expect(await value('emloc_training_tokens_total')).toBe('30');
  } finally {
    telemetry.close();
  }
});

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { catalogue, labelValues, type MetricSpec } from './catalogue.js';
import { metricsDocument } from './documentation.js';

const specs = Object.values<MetricSpec>(catalogue);

describe('the metric catalogue', () => {
  it('has every name once', () => {
    expect(specs.length).toBeGreaterThan(20);
    expect(new Set(specs.map(({ name }) => name)).size).toBe(specs.length);
  });

  it.each(specs)(
    'names $name by Prometheus’ rules',
    ({ name, type, unit, labels, help, buckets }) => {
      expect(name).toMatch(/^(emloc|grpc_server)_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      if (unit === 'bytes' || unit === 'seconds')
        expect(name).toMatch(new RegExp(`_${unit}(_total)?$`));
      expect(help).toMatch(/^[A-Z].*\.$/);
      expect(type === 'histogram').toBe(buckets !== undefined);
      expect(buckets ?? []).toEqual([...(buckets ?? [])].sort((a, b) => a - b));
      expect(labels.length).toBeLessThanOrEqual(3);
    },
  );

  it('has no label without a bound, and none that nothing uses', () => {
    const used = new Set(specs.flatMap(({ labels }) => labels));
    expect([...used].sort()).toEqual(Object.keys(labelValues).sort());
    for (const label of used) expect(label).not.toMatch(/job|tenant|request|user|dataset|id$/i);
  });

  it('is documented in docs/reference/metrics.md as it is', () => {
    const file = fileURLToPath(new URL('../../../docs/reference/metrics.md', import.meta.url));
    if (process.env['UPDATE_DOCS']) writeFileSync(file, metricsDocument());
    expect(readFileSync(file, 'utf8')).toBe(metricsDocument());
  });
});

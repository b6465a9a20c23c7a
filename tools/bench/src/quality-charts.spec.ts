import { qualityCharts } from './quality-charts.js';
import type { QualityRow } from './quality-summary.js';

function row(name: string, steps: number, seconds: number | null): QualityRow {
  return {
    ...{ name, steps, target: null, isMet: null, share: 1, range: [1, 1], exactMatch: 0 },
    ...{ loss: 100 / steps, passes: name === 'no pass' ? 0 : steps, arithmetic: steps / 300 },
    ...{ tuneSeconds: 1, seconds: [seconds] },
  };
}

describe('charts of quality', () => {
  const times = [{ linkGbps: 25, works: [] }];
  const base = { loss: 4, exactMatch: 0 };

  it('have a point for every job and a line for every row', () => {
    const rows = [
      row('full <LoRA>', 300, 30),
      row('full <LoRA>', 75, 8),
      row('no pass', 300, null),
    ];
    const charts = qualityCharts(base, rows, times);
    expect([...charts.keys()]).toEqual(['quality-seconds', 'quality-work']);
    const seconds = charts.get('quality-seconds') ?? '';
    expect(seconds).toContain('25 GB/s');
    expect(seconds).toContain('full &lt;LoRA>');
    // Two of the jobs were timed; a mark of each row is in the legend.
    expect(seconds.match(/ fill="#/g)).toHaveLength(2 + 2);
    expect(charts.get('quality-work')?.match(/ fill="#/g)).toHaveLength(3 + 2 + 2);
    expect(seconds).not.toContain('NaN');
  });

  it('have none of seconds where nothing was timed', () => {
    const rows = [{ ...row('plain', 300, null), seconds: [] }];
    expect([...qualityCharts(base, rows, []).keys()]).toEqual(['quality-work']);
  });
});

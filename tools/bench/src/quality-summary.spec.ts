import type { JobWork, LinkTimes } from './quality-meter.js';
import { qualityTable, summarise, type NamedRun } from './quality-summary.js';

const base = { loss: 2, exactMatch: 0 };

const plainWork: JobWork = {
  steps: [{ stage: 'train', ratio: 1, rows: 16, steps: 100, tokens: 1000, stepSeconds: 2 }],
  stages: {},
};

const emulatedWork: JobWork = {
  steps: [
    { stage: 'train', ratio: 0.25, rows: 16, steps: 100, tokens: 1000, stepSeconds: 1 },
    { stage: 'refine', ratio: 1, rows: 64, steps: 10, tokens: 400, stepSeconds: 3 },
  ],
  stages: { calibrate: 5, emulate: 6 },
};

function runOf(name: string, [seed, loss]: readonly [number, number], work: JobWork): NamedRun {
  const target = name === 'ours' ? 0.85 : null;
  const scores = { loss, exactMatch: 0.5, tuneSeconds: 1, peakDeviceBytes: 1, correction: null };
  return { name, seed, target, steps: 100, work, ...scores };
}

/** A row's runs, one for each seed. */
function runsOf(name: string, losses: readonly number[], work: JobWork): NamedRun[] {
  return losses.map((loss, seed) => runOf(name, [seed, loss], work));
}

describe('summary of the quality runs', () => {
  const runs = [
    ...runsOf('plain', [1, 0], plainWork),
    ...runsOf('ours', [1.25, 0.4], emulatedWork),
  ];
  const rows = summarise(base, runs, { headShare: 0.2, times: [] });

  it("gives the mean of the seeds' shares of full LoRA's gain", () => {
    expect(rows.map(({ name, share }) => [name, share?.toFixed(4)])).toEqual([
      ['plain', '1.0000'],
      ['ours', '0.7750'],
    ]);
    expect(rows[1]?.range?.map((share) => share.toFixed(4))).toEqual(['0.7500', '0.8000']);
    expect(rows.map(({ isMet }) => isMet)).toEqual([null, false]);
  });

  it('counts passes over the original and arithmetic as a share of full LoRA', () => {
    expect(rows.map(({ passes }) => passes)).toEqual([100, 10]);
    // (0.2 + 0.8 · 0.25) · 1000 + 400 of 1000 tokens.
    expect(rows.map(({ arithmetic }) => arithmetic?.toFixed(3))).toEqual(['1.000', '0.800']);
  });

  it('gives no share where full LoRA gained nothing, or was not run', () => {
    const [, row] = summarise(
      base,
      [...runsOf('plain', [2.1], plainWork), ...runsOf('ours', [1.9], emulatedWork)],
      { headShare: 0, times: [] },
    );
    expect(row).toMatchObject({ share: null, range: null, isMet: null, arithmetic: null });
    const [alone] = summarise(base, runsOf('ours', [1], emulatedWork), { headShare: 0, times: [] });
    expect(alone?.share).toBeNull();
  });

  it('takes full LoRA of the most steps for the measure', () => {
    const few = { ...runOf('plain', [0, 1.5], plainWork), steps: 50 };
    const summary = summarise(base, [few, runOf('plain', [0, 1], plainWork)], {
      ...{ headShare: 0, times: [] },
    });
    expect(summary.map(({ steps, share }) => [steps, share])).toEqual([
      [50, 0.5],
      [100, 1],
    ]);
  });

  it('times jobs by the steps and stages of others, link by link', () => {
    const step = { stage: 'train', tokens: 1, steps: 3 } as const;
    const timed: JobWork[] = [
      { steps: [{ ...step, ratio: 1, rows: 16, stepSeconds: 4 }], stages: {} },
      {
        steps: [
          { ...step, ratio: 0.25, rows: 16, stepSeconds: 0.5 },
          { ...step, ratio: 1, rows: 64, stepSeconds: 5 },
        ],
        stages: { calibrate: 2 },
      },
    ];
    const times: LinkTimes[] = [
      { linkGbps: 25, works: timed },
      { linkGbps: null, works: timed.slice(0, 1) },
    ];
    const summary = summarise(base, runs, { headShare: 0, times });
    expect(summary.map(({ seconds }) => seconds)).toEqual([
      [400, 400],
      [102, null],
    ]);
    expect(qualityTable(base, summary, times)).toContain(
      '| seconds, 25 GB/s | seconds, full link |',
    );
  });

  it('is printed as a table with a line for the base and for every row', () => {
    const lines = qualityTable(base, rows).split('\n');
    expect(lines).toHaveLength(3 + rows.length);
    expect(lines[2]).toContain('| base | 2.0000 | 0.0 % | - |');
    expect(lines[4]).toContain('77.5 % | 75.0 % to 80.0 % | 85.0 %, missed | 10 | 80.0 % | 1 |');
  });
});

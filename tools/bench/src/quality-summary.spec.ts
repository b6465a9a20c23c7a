import { qualityTable, summarise, type QualityRun } from './quality-summary.js';
import { qualityVariants } from './quality-variants.js';

const base = { loss: 2, exactMatch: 0 };

function run(seed: number, loss: number): QualityRun {
  return { seed, loss, exactMatch: 0.5, tuneSeconds: 1, peakDeviceBytes: 1, correction: null };
}

/** Losses by variant, one for each seed. */
function runsOf(losses: readonly (readonly number[])[]): QualityRun[][] {
  return losses.map((own) => own.map((loss, seed) => run(seed, loss)));
}

describe('summary of the quality runs', () => {
  const runs = runsOf([
    [1, 0],
    [1.2, 0.4],
    [1.05, 0.1],
    [1.25, 0.4],
  ]);
  const rows = summarise(base, qualityVariants, runs);

  it("gives the mean of the seeds' shares of full LoRA's gain", () => {
    expect(rows.map(({ share }) => share?.toFixed(4))).toEqual([
      '1.0000',
      '0.8000',
      '0.9500',
      '0.7750',
    ]);
    expect(rows[3]?.range?.map((share) => share.toFixed(4))).toEqual(['0.7500', '0.8000']);
  });

  it('says which targets are met', () => {
    expect(rows.map(({ isMet }) => isMet)).toEqual([null, true, true, false]);
  });

  it('gives no share where full LoRA gained nothing', () => {
    const [, row] = summarise(base, qualityVariants, runsOf([[2.1], [1.9], [1.9], [1.9]]));
    expect(row).toMatchObject({ share: null, range: null, isMet: null });
  });

  it('is printed as a table with a line for the base and for every variant', () => {
    const lines = qualityTable(base, rows).split('\n');
    expect(lines).toHaveLength(3 + qualityVariants.length);
    expect(lines[2]).toContain('| base | 2.0000 | 0.0 % |');
    expect(lines[6]).toContain('77.5 % | 75.0 % to 80.0 % | 85.0 %, missed');
  });
});

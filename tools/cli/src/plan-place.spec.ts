import { cardReport, planPlace } from './plan-place.js';
import { UsageError } from './usage-error.js';

const gib = 2 ** 30;

describe('the place of a plan', () => {
  it('is this machine where no card is named', () => {
    const place = planPlace({ device: 'cpu', threads: 1 }, null);
    expect(place).toMatchObject({ target: { name: 'cpu' }, vramBytes: null, card: null });
    expect(planPlace({ device: 'cpu', threads: 1 }, 5).vramBytes).toBe(5);
  });

  it("has the card's memory as its budget, less what a driver takes", () => {
    const { target, vramBytes, card } = planPlace({ card: 'rtx4090' }, null);
    expect(target.profile.computeDType).toBe('bfloat16');
    expect(vramBytes).toBe(card?.budgetBytes);
    expect(vramBytes).toBeLessThan(24 * gib);
    expect(vramBytes).toBeGreaterThan(22 * gib);
  });

  it.each([1, 16 * gib, 24 * gib])('has the budget that is given: %p bytes', (bytes) => {
    expect(planPlace({ card: 'rtx4090' }, bytes).vramBytes).toBe(bytes);
  });

  it('refuses a budget that the card does not have, naming both', () => {
    const plan = (): unknown => planPlace({ card: 'l4' }, 24 * gib + 1);
    expect(plan).toThrow(UsageError);
    expect(plan).toThrow(`${24 * gib + 1} bytes) with --card l4: NVIDIA L4 has 24.00 GiB`);
  });

  it.each([undefined, 'auto', 'cuda', 'cuda:1'])('takes --device %s for a card', (device) => {
    expect(planPlace({ card: 'h100', device }, null).card?.name).toBe('h100');
  });

  it.each(['cpu', 'tfjs', 'cuda:x'])('refuses --device %s for a card', (device) => {
    expect(() => planPlace({ card: 'h100', device }, null)).toThrow(`--device ${device}`);
  });

  it('is reported as an estimate with the figures that it rests on', () => {
    const { card } = planPlace({ card: 'a100' }, null);
    expect(card && cardReport(card)).toMatchObject({
      name: 'a100',
      isEstimate: true,
      memoryBytes: 80 * gib,
      flopsPerSecond: 312e12,
      bytesPerSecond: 2039e9,
      linkBytesPerSecond: 31.5e9,
    });
  });
});

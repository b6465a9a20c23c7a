import { parseSeeds, planFaults, planTerminations, processNames } from './fault-plan.js';

const plans = parseSeeds('0-29').map(planFaults);

test('thirty seeds kill every process, some two at once, and cut NATS off', () => {
  const kills = plans.flat().filter(({ kind }) => kind === 'kill');
  for (const name of processNames)
    expect(kills.filter(({ process }) => process === name).length).toBeGreaterThanOrEqual(3);
  expect(plans.filter((faults) => faults.length === 2).length).toBeGreaterThanOrEqual(8);
  expect(plans.filter(([fault]) => fault?.kind === 'cut').length).toBe(5);
});

test('faults come in the order of time, within the job, on different processes', () => {
  for (const faults of [...plans, planTerminations(0)]) {
    expect(faults.every(({ at }, index) => at >= (faults[index - 1]?.at ?? 0) && at < 1)).toBe(
      true,
    );
    expect(new Set(faults.map(({ process }) => process)).size).toBe(faults.length);
  }
});

test('a seed always means the same faults', () => {
  expect(planFaults(3)).toEqual(planFaults(3));
  expect(planFaults(3)).not.toEqual(planFaults(9));
});

test('reads lists and ranges of seeds', () => {
  expect(parseSeeds('0-2,7')).toEqual([0, 1, 2, 7]);
  for (const text of ['', 'a', '3-1', '1-']) expect(() => parseSeeds(text)).toThrow(RangeError);
});

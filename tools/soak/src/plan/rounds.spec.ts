import { processNames } from './faults.js';
import {
  bedKinds,
  parseKinds,
  planRound,
  planRounds,
  roundKinds,
  type RoundPlan,
} from './rounds.js';

const all = roundKinds.flatMap((kind) =>
  Array.from({ length: 30 }, (_, index) => planRound(1, kind, index)),
);
const ofKind = (kind: RoundPlan['kind']): RoundPlan[] => all.filter((plan) => plan.kind === kind);

test('thirty rounds of kills kill every process, some two at once', () => {
  const kills = ofKind('kill').flatMap(({ faults }) => faults);
  for (const name of processNames)
    expect(
      kills.filter((fault) => fault.kind === 'kill' && fault.process === name).length,
    ).toBeGreaterThanOrEqual(3);
  expect(ofKind('kill').filter(({ faults }) => faults.length === 2).length).toBeGreaterThan(8);
});

test('faults come in the order of time, within the job, on different processes', () => {
  for (const { faults } of all) {
    expect(faults.every(({ at }, index) => at >= (faults[index - 1]?.at ?? 0) && at < 1)).toBe(
      true,
    );
    const processes = faults.flatMap((fault) => ('process' in fault ? [fault.process] : []));
    expect(new Set(processes).size).toBe(processes.length);
  }
});

test('no process of the bed whose memory is watched is ended', () => {
  const steady = all.filter(({ bed }) => bed === 'steady');
  expect(steady.length).toBeGreaterThan(0);
  expect(steady.flatMap(({ faults }) => faults).every(({ kind }) => kind === 'pause')).toBe(true);
});

test('storms have three faults or more, the disk is filled both ways, and pauses outlast leases and silence', () => {
  expect(ofKind('storm').every(({ faults }) => faults.length >= 3)).toBe(true);
  const fills = ofKind('disk').flatMap(({ faults }) => faults);
  expect(new Set(fills.map((fault) => fault.kind === 'fill' && fault.what))).toEqual(
    new Set(['limit', 'disk']),
  );
  const seconds = ofKind('pause').flatMap(({ faults }) =>
    faults.flatMap((fault) => (fault.kind === 'pause' ? [fault.seconds] : [])),
  );
  expect(Math.min(...seconds)).toBeLessThan(5);
  expect(Math.max(...seconds)).toBeGreaterThan(15);
  expect(new Set(all.map(({ bed }) => bed))).toEqual(new Set(bedKinds));
});

test('a seed, a kind and a number always mean the same round', () => {
  expect(planRound(3, 'storm', 4)).toEqual(planRound(3, 'storm', 4));
  expect(planRound(3, 'storm', 4)).not.toEqual(planRound(3, 'storm', 5));
  expect(planRound(3, 'storm', 4)).not.toEqual(planRound(4, 'storm', 4));
});

test('each kind comes once before any comes again, rounds without faults twice', () => {
  const cycle: RoundPlan[] = [];
  for (const plan of planRounds(1, roundKinds, 5)) {
    if (cycle.length === roundKinds.length + 1) break;
    cycle.push(plan);
  }
  expect(new Set(cycle.map(({ kind }) => kind))).toEqual(new Set(roundKinds));
  expect(cycle.filter(({ kind }) => kind === 'steady').map(({ index }) => index)).toEqual([5, 6]);
});

test('reads lists of kinds', () => {
  expect(parseKinds('kill, pair')).toEqual(['kill', 'pair']);
  expect(() => parseKinds('kill,other')).toThrow(/'other'/);
  expect(() => parseKinds('')).toThrow(RangeError);
});

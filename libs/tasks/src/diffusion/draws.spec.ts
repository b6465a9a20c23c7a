import {
  trainingDraws as drawsOf,
  fixedDraws,
  heldOutPictures,
  numbersOf,
  type DrawInputs,
  type Picture,
  type TrainingDrawInputs,
} from './draws.js';

const picture = (isClass = false): Picture => ({
  ...{ caption: 0, size: { height: 4, width: 4 } },
  isClass,
});
const five = [1, 2, 3, 4, 5].map(() => picture());
const common: DrawInputs = {
  ...{ pictures: five, seed: 7, patch: 2 },
  scheme: { kind: 'none' },
  schedule: { levels: 1000, shift: 1, dynamic: null, shiftTerminal: null },
};

function inputs(overrides: Partial<TrainingDrawInputs> = {}): TrainingDrawInputs {
  const trained = numbersOf(overrides.pictures ?? five, { isClass: false });
  return { ...common, trained, steps: 20, batchRows: 1, accumulation: 4, ...overrides };
}

/** All draws, one after another. */
function trainingDraws(of: TrainingDrawInputs) {
  const { draws, batches } = drawsOf(of);
  return {
    draws: [...new Array(draws.length).keys()].flatMap((number) => draws.at(number) ?? []),
    batches: Array.from({ length: batches.length }, (_, step) => batches.at(step) ?? []),
  };
}

describe('draws of training', () => {
  it('are made when they are asked for, however many there are', () => {
    const pictures = [...five, picture(true), picture(true)];
    const many = drawsOf(inputs({ pictures, steps: 1e7 }));
    const few = trainingDraws(inputs({ pictures, steps: 30 }));
    for (const step of [29, 0, 17]) expect(many.batches.at(step)).toEqual(few.batches[step]);
    for (const number of [239, 0, 7]) expect(many.draws.at(number)).toEqual(few.draws[number]);
    expect(many.draws.at(many.draws.length - 1)).toBeDefined();
    expect([many.draws.at(-1), many.draws.at(8e7)]).toEqual([undefined, undefined]);
    const covering = few.batches.slice(0, many.batches.covering).flat(2);
    expect(new Set(covering.map((number) => few.draws[number]?.picture)).size).toBe(7);
  });

  it('come in steps of micro-batches, each draw once', () => {
    const { draws, batches } = trainingDraws(inputs({ batchRows: 2, accumulation: 3 }));
    expect(batches.map((step) => step.map((rows) => rows.length))).toEqual(
      new Array(20).fill([2, 2, 2]),
    );
    expect(batches.flat(2)).toEqual([...draws.keys()]);
  });

  it('depend on seed, step and row alone', () => {
    const all = trainingDraws(inputs());
    const fewer = trainingDraws(inputs({ steps: 3 }));
    expect(fewer.draws).toEqual(all.draws.slice(0, 12));
    expect(trainingDraws(inputs({ batchRows: 2, accumulation: 2 })).draws).toEqual(all.draws);
    expect(trainingDraws(inputs({ seed: 8 })).draws).not.toEqual(all.draws);
  });

  it('take every picture once a round, in changing orders', () => {
    const order = trainingDraws(inputs()).draws.map((draw) => draw.picture);
    const rounds = Array.from({ length: 16 }, (_, round) => order.slice(5 * round, 5 * round + 5));
    for (const round of rounds) expect([...round].sort()).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(rounds.map(String)).size).toBeGreaterThan(8);
  });

  it('have noise levels and noise of their own', () => {
    const { draws } = trainingDraws(inputs({ steps: 500 }));
    expect(new Set(draws.map(({ seed }) => seed)).size).toBe(2000);
    const mean = draws.reduce((sum, { level }) => sum + level, 0) / draws.length;
    expect(Math.abs(mean - 500)).toBeLessThan(4 * Math.sqrt(1e6 / 12 / 2000));
  });

  it('bring one of the class for each of the subject, in the same micro-batch', () => {
    const pictures = [...five, picture(true), picture(true)];
    const alone = trainingDraws(inputs());
    const { draws, batches } = trainingDraws(inputs({ pictures }));
    for (const rows of batches.flat()) {
      const shown = rows.map((row) => (draws[row]?.picture ?? 0) >= 5);
      expect(shown).toEqual([false, true]);
    }
    expect(draws.filter((draw) => draw.picture < 5)).toEqual(alone.draws);
    expect(new Set(draws.map(({ seed }) => seed)).size).toBe(draws.length);
  });

  it('leave out what is not trained on', () => {
    const { draws } = trainingDraws(inputs({ trained: [1, 3] }));
    expect(new Set(draws.map((draw) => draw.picture))).toEqual(new Set([1, 3]));
  });
});

describe('draws that stay', () => {
  const of = [0, 1, 2, 3, 4];

  it('stand in the middles of equal shares, pictures in turn', () => {
    const draws = fixedDraws({ ...common, of, count: 64 }, 'calibration');
    expect(draws.map(({ level }) => level)).toEqual(
      draws.map((_, index) => Math.floor((1000 * (index + 0.5)) / 64)),
    );
    expect(draws.slice(0, 6).map((draw) => draw.picture)).toEqual([0, 1, 2, 3, 4, 0]);
    expect(fixedDraws({ ...common, of, count: 64 }, 'calibration')).toEqual(draws);
  });

  it('have other noise for another purpose or seed', () => {
    const seeds = (seed: number, purpose: 'calibration' | 'validation') =>
      fixedDraws({ ...common, seed, of, count: 8 }, purpose).map((draw) => draw.seed);
    expect(seeds(7, 'calibration')).not.toEqual(seeds(7, 'validation'));
    expect(seeds(7, 'calibration')).not.toEqual(seeds(8, 'calibration'));
  });
});

describe('held-out pictures', () => {
  it('are one of eight of the subject, none of fewer', () => {
    const subjects = (count: number) => Array.from({ length: count }, () => picture());
    expect(heldOutPictures([...subjects(7), picture(true)], 1)).toEqual([]);
    expect(heldOutPictures(subjects(8), 1)).toHaveLength(1);
    const some = heldOutPictures([picture(true), ...subjects(24)], 1);
    expect(some).toHaveLength(3);
    expect(some).not.toContain(0);
    const firsts = [1, 2, 3, 4, 5].map((seed) => String(heldOutPictures(subjects(16), seed)));
    expect(new Set(firsts).size).toBeGreaterThan(1);
  });
});

import { StateSaver } from './state-saver.js';
import type { TrainingState } from './training-state.js';

const stateOf = (step: number) => () => Promise.resolve({ step } as TrainingState);

/** A place for states where each stays on its way until it is let go. */
function slowPlace({ isBeside = true } = {}) {
  const begun: number[] = [];
  const ends: { resolve(): void; reject(error: Error): void }[] = [];
  const save = ({ step }: TrainingState): Promise<void> => {
    begun.push(step);
    return new Promise((resolve, reject) => ends.push({ resolve, reject }));
  };
  return { begun, ends, saver: new StateSaver({ everySteps: 2, save }, { step: 0, isBeside }) };
}

it('lets a run go on while a state is saved, and saves one at a time', async () => {
  const { begun, ends, saver } = slowPlace();
  await saver.save(2, stateOf(2));
  const next = saver.save(4, stateOf(4));
  await Promise.resolve();
  expect(begun).toEqual([2]);
  ends[0]?.resolve();
  await next;
  expect(begun).toEqual([2, 4]);
  let isOver = false;
  const end = saver.end().then(() => (isOver = true));
  await Promise.resolve();
  expect(isOver).toBe(false);
  ends[1]?.resolve();
  await end;
});

it('keeps a run waiting that has the processor for itself', async () => {
  const { begun, ends, saver } = slowPlace({ isBeside: false });
  let isOver = false;
  const saved = saver.save(2, stateOf(2)).then(() => (isOver = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect([begun, isOver]).toEqual([[2], false]);
  ends[0]?.resolve();
  await saved;
});

it('saves no state twice, nor the one that a run began with', async () => {
  const { begun, saver } = slowPlace();
  await saver.save(0, stateOf(0));
  await saver.save(2, stateOf(2));
  await saver.save(2, stateOf(2));
  expect(begun).toEqual([2]);
});

it.each([
  ['the next call', (saver: StateSaver) => saver.save(4, stateOf(4))],
  ['the end', (saver: StateSaver) => saver.end()],
])('what fails is told by %s', async (_, then) => {
  const { begun, ends, saver } = slowPlace();
  await saver.save(2, stateOf(2));
  ends[0]?.reject(new Error('no room'));
  await expect(then(saver)).rejects.toThrow('no room');
  expect(begun).toEqual([2]);
});

it('is due after every so many steps and the last, and never where only an interruption saves', () => {
  const { saver } = slowPlace();
  const due = [1, 2, 3, 4, 5].filter((step) => saver.isDue(step, 5));
  expect(due).toEqual([2, 4, 5]);
  const rare = new StateSaver(
    { everySteps: Number.POSITIVE_INFINITY, save: () => Promise.resolve() },
    { step: 0, isBeside: true },
  );
  expect([1, 5].some((step) => rare.isDue(step, 5))).toBe(false);
  expect(new StateSaver(null, { step: 0, isBeside: true }).isDue(5, 5)).toBe(false);
});

import { endingOf } from './training-course.js';

const course = { curve: null, chosenStep: 9, divergence: null, stoppedEarly: false };
const curveOf = (...losses: readonly number[]) => ({
  ...course,
  curve: losses.map((loss, index) => ({ step: 3 * index, loss })),
});

describe('the ending of a job', () => {
  it.each([
    ['better than the base model', course, 2, 'sound'],
    ['equal to it', course, 3, 'sound'],
    ['worse', course, 3.1, 'worse'],
    ['no number', course, Number.NaN, 'worse'],
    ['better, after a divergence', { ...course, divergence: 'step 4' }, 2, 'diverged'],
    ['validated on the way, and better', curveOf(3, 2, 2.5), 2, 'sound'],
    ['a state on the way, since the end was worse', curveOf(3, 2, 3.5), 2, 'worse'],
    ['a state on the way, since the end was no number', curveOf(3, 2, Number.NaN), 2, 'worse'],
    [
      'a state on the way, after which patience ended the run',
      { ...curveOf(3, 2, 3.5), stoppedEarly: true },
      2,
      'sound',
    ],
    [
      'the start, since patience ended a run that was never better',
      { ...curveOf(3, 4), stoppedEarly: true },
      3,
      'worse',
    ],
    ['the start', curveOf(3, 4, 5), 3, 'worse'],
  ])('where the result is %s', (_name, given, final, ending) => {
    expect(endingOf(given, { base: 3, final })).toBe(ending);
  });
});

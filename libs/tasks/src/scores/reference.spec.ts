import { referenceOf } from './reference.js';

const noGroup = { options: undefined, group: undefined };

describe('referenceOf', () => {
  it('takes what the assistant says last', () =>
    expect(referenceOf({ image: 'a.png' }, 'blue')).toEqual({ golds: ['blue'], ...noGroup }));

  it.each([
    [{ answers: ['a', 'b'] }, ['a', 'b']],
    [{ answers: ['a', 'a', 3] }, ['a', 'a', '3']],
    [{ answers: 'a' }, ['a']],
    [{ answers: [{ answer: 'yes', answer_confidence: 'maybe' }, { answer: 'no' }] }, ['yes', 'no']],
    [{ answers: { text: ['in 1999', '1999'], answer_start: [3, 6] } }, ['in 1999', '1999']],
    [{ answers: [{ text: '1999', answer_start: 6 }] }, ['1999']],
    [{ answer: 12n }, ['12']],
    [{ answer: ['x', 'y'], answers: null }, ['x', 'y']],
    [{ answer: 'x', answers: [] }, ['x']],
    [{ answer: 'x', answers: ['y'] }, ['y']],
    [{ answer: '' }, ['']],
  ])('takes the golds of %j in place of it', (fields, golds) =>
    expect(referenceOf(fields, 'other').golds).toEqual(golds),
  );

  it.each([
    [{ options: ['a', 2] }, ['a', '2']],
    [{ choices: ['a', 'b'], options: null }, ['a', 'b']],
    [{ options: { B: 'b', A: 'a' } }, ['a', 'b']],
    [{ options: [] }, undefined],
  ])('reads the options of %j', (fields, options) =>
    expect(referenceOf(fields, 'a').options).toEqual(options),
  );

  it('reads the groups of rows', () => {
    expect(referenceOf({ split: 'human', question_type: 2, language: 'en' }, 'x').group).toEqual({
      split: 'human',
      questionType: '2',
      language: 'en',
    });
    expect(referenceOf({ type: 'augmented', prompt_type: '1', lang: 'id' }, 'x').group).toEqual({
      split: 'augmented',
      questionType: '1',
      language: 'id',
    });
    expect(referenceOf({ type: { a: 1 }, language: null }, 'x').group).toBeUndefined();
  });

  it.each([
    [{ answers: [true] }, 'answers must be a text, a number or a list of them'],
    [{ answer: { value: 'x' } }, 'answer must be a text, a number or a list of them'],
    [{ options: 'a, b' }, 'options must be a list of texts, or texts by letters from A'],
    [
      { choices: { A: 'a', C: 'c' } },
      'choices must be a list of texts, or texts by letters from A',
    ],
    [{ choices: ['a', null] }, 'choices must be a list of texts'],
  ])('refuses %j and names the column', (fields, message) =>
    expect(() => referenceOf(fields, 'x')).toThrow(
      expect.objectContaining({ code: 'SCORE_INVALID_REFERENCE', message }),
    ),
  );

  it('refuses a row without a right answer', () =>
    expect(() => referenceOf({ answers: [] }, undefined)).toThrow(
      expect.objectContaining({ code: 'SCORE_NO_GOLD' }),
    ));
});

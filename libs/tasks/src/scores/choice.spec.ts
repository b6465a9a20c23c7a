import { choiceAccuracy } from './choice.js';

const organs = ['Uterus', 'Liver', 'Urinary bladder', 'Spleen'];
const dishes = ['Rendang', 'Pad thai', 'Ramen', 'Pho', 'Rawon'];

function chosen(answer: string, options: readonly string[], golds = options): number[] {
  return options.flatMap((_, index) =>
    choiceAccuracy(answer, golds.slice(index, index + 1), options) === 1 ? [index] : [],
  );
}

describe('choiceAccuracy', () => {
  it.each([
    'B',
    'b',
    ' B ',
    'B.',
    '(B)',
    'b)',
    '**B**',
    'B: spleen',
    'B. Spleen',
    'Answer: B',
    'Answer:B',
    'The answer is B.',
    'The correct option is (B)',
    'Option B',
    'answer is: B',
  ])('takes %j for the letter of the second option', (answer) =>
    expect(chosen(answer, organs)).toEqual([1]),
  );

  it.each(['liver', ' LIVER. ', 'The answer is liver.', 'Answer: Liver'])(
    'takes %j for the text of the second option',
    (answer) => expect(chosen(answer, organs)).toEqual([1]),
  );

  it('does not take an article for a letter', () => expect(chosen('A liver', organs)).toEqual([1]));

  it('takes a letter before a text that is the same', () =>
    expect(chosen('A', ['B', 'A', 'O', 'AB'], ['A.', 'B.', 'C.', 'D.'])).toEqual([0]));

  it('knows no letter beyond the options', () => expect(chosen('Z', organs)).toEqual([]));

  it('takes a number for a place only where options are no numbers', () => {
    expect(chosen('2', organs)).toEqual([1]);
    expect(chosen('3', ['2', '3', '4', '5'], ['A', 'B', 'C', 'D'])).toEqual([1]);
    expect(chosen('3', ['3 cm', '2 cm', '9 cm'], ['A', 'B', 'C'])).toEqual([0]);
  });

  it.each([
    'A: Uterus|B: Liver|C: Spleen',
    '(A) Uterus|(B) Liver|(C) Spleen',
    'A.Uterus|B.Liver|C.Spleen',
  ])('reads options with their letters, %j', (labelled) => {
    expect(chosen('liver', labelled.split('|'), ['A', 'B', 'C'])).toEqual([1]);
    expect(chosen('B', labelled.split('|'), ['Uterus', 'Liver', 'Spleen'])).toEqual([1]);
  });

  it('keeps what only looks like a label', () =>
    expect(chosen('B: b', ['A: a', 'X: b'], ['A', 'B'])).toEqual([1]));

  describe('with numbers as golds', () => {
    const numbers = ['1', '2', '3', '4', '5'];

    it.each(['3', ' 3 ', '+3', '３', '3.', '3. Ramen', '3.Pho', 'Ramen', 'ramen.', 'Rame'])(
      'takes %j for the third option',
      (answer) => expect(chosen(answer, dishes, numbers)).toEqual([2]),
    );

    it.each(['0', '6', '-3', '3.5', 'Sushi', 'It is ramen', ''])('takes %j for none', (answer) =>
      expect(chosen(answer, dishes, numbers)).toEqual([]),
    );

    it('takes the first option that begins like the answer', () =>
      expect(chosen('Ra', dishes, numbers)).toEqual([2]));
  });

  it('is right where any of several golds is chosen', () =>
    expect(choiceAccuracy('Liver', ['D', 'B'], organs)).toBe(1));

  it('looks for a gold in the answer where there are no options', () => {
    expect(choiceAccuracy('This is beef RENDANG.', ['rendang'])).toBe(1);
    expect(choiceAccuracy('This is ramen.', ['rendang', 'pho'])).toBe(0);
    expect(choiceAccuracy('ramen', [''])).toBe(0);
    expect(choiceAccuracy(' ', [''])).toBe(1);
  });

  it('refuses a gold that is no option, naming the limits and not the text', () =>
    expect(() => choiceAccuracy('B', ['A', 'kidney'], organs)).toThrow(
      "gold answer 2 of 2 is none of the 4 options: it has to be a letter up to D, a number from 1 to 4 or an option's text",
    ));
});

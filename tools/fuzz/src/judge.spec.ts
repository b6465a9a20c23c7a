import { documentedCodes, problemOf, refusalOf } from './judge.js';

const expected = {
  codes: documentedCodes('# E\n| `A_B` | x | y |\n| `A_C` | x | y |\n'),
  place: /file/,
};
const refused = (code: string, message: string) =>
  problemOf(refusalOf(Object.assign(new Error(message), { code })), expected);

describe('problemOf', () => {
  it('takes what was done, and refusals that are documented and name their place', () => {
    expect(problemOf({ kind: 'taken' }, expected)).toBeNull();
    expect(refused('A_C', 'file: no')).toBeNull();
  });

  it.each([
    ['ENOENT', 'file', /without a documented code/],
    ['A_B', 'nowhere', /does not name/],
    ['A_B', `file ${'x'.repeat(6000)}`, /message of 6005 characters/],
  ])('finds what is wrong with %s %.9s', (code, message, problem) => {
    expect(refused(code, message)).toMatch(problem);
  });

  it('finds errors that nobody meant, with their stack', () => {
    expect(problemOf(refusalOf(new TypeError('x of undefined')), expected)).toMatch(
      /TypeError.*at /s,
    );
    expect(problemOf(refusalOf('thrown'), expected)).toMatch(/thrown/);
  });
});

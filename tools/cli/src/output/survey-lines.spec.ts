import { surveyLines } from './survey-lines.js';

const lengths = {
  ...{ p50: 20, p95: 30, p99: 30, longest: 30 },
  histogram: [
    { from: 1, to: 1, rows: 1 },
    { from: 16, to: 23, rows: 400 },
    { from: 24, to: 31, rows: 0 },
  ],
};

describe('a survey of rows', () => {
  it('is a histogram whose bars are as long as their share, with the smallest seen', () => {
    const duplicates = { rows: 0, groups: 0, examples: [] };
    expect(surveyLines({ lengths, duplicates })).toEqual([
      'lengths in tokens, before rows are cut: half up to 20, 95 % up to 30, 99 % up to 30, all up to 30',
      '         1  ▏ 1',
      `  16 to 23  ${'█'.repeat(40)} 400`,
      '  24 to 31   0',
    ]);
  });

  it('names the first equal rows by their numbers', () => {
    const examples = [
      [{ line: 3 }, { line: 9 }],
      [
        { set: 2, line: 4 },
        { set: 3, line: 4 },
      ],
    ];
    const duplicates = { rows: 4, groups: 3, examples };
    const [line] = surveyLines({ lengths: { ...lengths, histogram: [] }, duplicates });
    expect(line).toBe(
      'warning: 4 rows equal to an earlier one in what is trained on: row 3 = row 9; data set 2 row 4 = data set 3 row 4, and 1 more',
    );
  });

  it('names files where there are several', () => {
    const examples = [
      [
        { file: 1, line: 3 },
        { file: 2, line: 1 },
      ],
    ];
    const survey = {
      lengths: { ...lengths, histogram: [] },
      duplicates: { rows: 1, groups: 1, examples },
    };
    expect(surveyLines(survey, [{ path: 'a.jsonl' }, { path: 'b.jsonl' }])).toEqual([
      expect.stringMatching(/: a\.jsonl row 3 = b\.jsonl row 1$/),
    ]);
  });
});

import type { Comparison, Deviation } from '@emloc/golden-models';

import { formatOutcome, formatSummary, isRight, toJson, type Outcome } from './report.js';

const worst = { logits: 2.1e-6, outputs: undefined, losses: 0, gradients: 4.4e-5 };

const outcome = (wrong: readonly Deviation[], changes: Partial<Comparison> = {}): Outcome => ({
  folder: '/somewhere/qwen3/',
  comparison: { worst, wrong, ...changes },
});

const off = (what: string, error: number): Deviation => ({ quantity: 'gradients', what, error });

describe('formatOutcome', () => {
  it('has the largest error of each quantity where all is right', () => {
    expect(formatOutcome(outcome([]))).toBe('ok qwen3 logits 2e-6 losses 0 gradients 4e-5');
  });

  it('leaves out what the golden does not know', () => {
    const unknown = { worst: { ...worst, logits: undefined } };

    expect(formatOutcome(outcome([], unknown))).toBe('ok qwen3 losses 0 gradients 4e-5');
  });

  it('names what is off, by how much, and counts the rest', () => {
    const wrong = [
      off('a A', Number.POSITIVE_INFINITY),
      off('a B', 0.25),
      off('b A', 2e-3),
      off('b B', 1.5e-3),
    ];

    expect(formatOutcome(outcome(wrong))).toBe(
      'WRONG qwen3 gradients infinite (a A), gradients 3e-1 (a B), gradients 2e-3 (b A), 1 more',
    );
    expect(formatOutcome(outcome(wrong.slice(1, 2)))).toBe('WRONG qwen3 gradients 3e-1 (a B)');
  });

  it('keeps to one line where a folder could not be compared', () => {
    expect(formatOutcome({ folder: 'a/b', failure: 'no family\n  XForCausalLM' })).toBe(
      'WRONG b no family XForCausalLM',
    );
  });
});

describe('a run', () => {
  const outcomes = [outcome([]), outcome([off('a A', 1)]), { folder: 'b', failure: 'no family' }];

  it('counts what is right and what is wrong', () => {
    expect(outcomes.map(isRight)).toEqual([true, false, false]);
    expect(formatSummary(outcomes)).toBe('1 right, 2 wrong');
    expect(formatSummary([])).toBe('0 right, 0 wrong');
  });

  it('is an object a folder as JSON', () => {
    const infinite = outcome([off('a A', Number.POSITIVE_INFINITY)]);

    expect(JSON.parse(toJson([...outcomes.slice(2), infinite]))).toEqual([
      { name: 'b', right: false, failure: 'no family' },
      {
        name: 'qwen3',
        right: false,
        worst,
        wrong: [{ quantity: 'gradients', what: 'a A', error: 'infinite' }],
      },
    ]);
  });
});

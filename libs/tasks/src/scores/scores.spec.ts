import { readFileSync } from 'node:fs';

import { anls } from './anls.js';
import { choiceAccuracy } from './choice.js';
import { matchingRatio } from './matching-ratio.js';
import { relaxedAccuracy } from './relaxed-accuracy.js';
import { squad } from './squad.js';
import { vqaAccuracy } from './vqa.js';

type Case<Expected> = readonly [answer: string, golds: string[], expected: Expected];

interface Goldens {
  readonly 'relaxed-accuracy': readonly Case<number>[];
  readonly anls: readonly Case<number>[];
  readonly vqa: readonly Case<number>[];
  readonly squad: readonly Case<{ readonly exactMatch: number; readonly f1: number }>[];
  /** Options in place of golds, the chosen one in place of a score. */
  readonly mostSimilar: readonly Case<number | null>[];
  readonly ratio: readonly (readonly [first: string, second: string, ratio: number])[];
}

/** Made with Python by make_scores.py beside it. */
const goldens = JSON.parse(
  readFileSync(new URL('../../test/goldens/scores.json', import.meta.url), 'utf8'),
) as Goldens;

it('has golden pairs for every metric', () => {
  for (const name of ['relaxed-accuracy', 'anls', 'vqa', 'squad', 'ratio'] as const)
    expect(goldens[name].length).toBeGreaterThanOrEqual(25);
  expect(goldens.mostSimilar.length).toBeGreaterThan(10);
});

it.each(goldens['relaxed-accuracy'])('relaxed accuracy of %j to %j is %d', (answer, golds, score) =>
  expect(relaxedAccuracy(answer, golds)).toBe(score),
);

it.each(goldens.anls)('ANLS of %j to %j is %d', (answer, golds, score) =>
  expect(anls(answer, golds)).toBeCloseTo(score, 14),
);

it.each(goldens.vqa)('VQA accuracy of %j to %j is %d', (answer, golds, score) =>
  expect(vqaAccuracy(answer, golds)).toBeCloseTo(score, 14),
);

it.each(goldens.squad)('SQuAD scores of %j to %j are %j', (answer, golds, expected) => {
  const { exactMatch, f1 } = squad(answer, golds);
  expect(exactMatch).toBe(expected.exactMatch);
  expect(f1).toBeCloseTo(expected.f1, 14);
});

it.each(goldens.ratio)('matches %j with %j as difflib does', (first, second, ratio) =>
  expect(matchingRatio(first, second)).toBe(ratio),
);

it.each(goldens.mostSimilar)('takes %j for the most similar of %j', (answer, options, chosen) =>
  expect(options.map((gold) => choiceAccuracy(answer, [gold], options))).toEqual(
    options.map((_, index) => (index === chosen ? 1 : 0)),
  ),
);

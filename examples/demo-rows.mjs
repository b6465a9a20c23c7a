import { relative } from 'node:path';

import { emloc, root, showJob } from './run-emloc.mjs';

const answers = 3;

/**
 * Scores a model on test rows, fine-tunes it, scores it again.
 * @param {import('../tools/setup/demos.mjs').Demo} demo
 */
export async function demonstrateRows({ model, train, test, adapter, tuneFlags }) {
  const scored = ['--model', model, '--data', test, '--answers', `${answers}`];
  const base = await emloc('the base model on the test rows', ['eval', ...scored]);
  const job = ['tune', '--model', model, '--data', train, '--out', adapter, ...tuneFlags];
  const tuned = await emloc('fine-tuning', job);
  const after = ['eval', ...scored, '--adapter', adapter];
  const result = await emloc('the tuned model on the test rows', after);
  showJob(tuned);
  showScores(base, result);
  console.log(`The adapter is in ${relative(root, adapter)} (PEFT format).`);
}

/**
 * @typedef {object} Scores
 * @property {number} rows
 * @property {number} loss
 * @property {number} exactMatch
 * @property {{ expected: string, answer: string }[]} answers
 */

/**
 * @param {Scores} base
 * @param {Scores} result
 */
function showScores(base, result) {
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;
  console.log(`\n== before and after, on ${result.rows} test rows`);
  console.log(`   loss         ${base.loss.toFixed(4)} -> ${result.loss.toFixed(4)}`);
  console.log(`   exact match  ${percent(base.exactMatch)} -> ${percent(result.exactMatch)}`);
  console.log('\n== answers');
  for (const [index, { expected, answer }] of result.answers.entries()) {
    const before = JSON.stringify(base.answers[index]?.answer.slice(0, 90));
    console.log(`   expected  ${expected}\n   base      ${before}\n   tuned     ${answer}\n`);
  }
}

/**
 * `npm run demo`: fine-tunes models/demo-5m on data/train.jsonl with EMLoC, within a budget that
 * its float32 weights and training do not fit into together, and compares it with the base model on
 * data/test.jsonl. `npm run demo -- --example images` does so with images/model and images/data;
 * `npm run demo -- --steps 50` passes flags to `emloc tune`.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { demoOf } from '../tools/setup/demos.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const demo = chosenDemo();
const adapter = join(root, demo.adapter);
const answers = 3;

const started = performance.now();
rmSync(adapter, { recursive: true, force: true });
const base = await emloc('the base model on the test rows', [
  'eval',
  '--model',
  demo.model,
  '--data',
  demo.test,
  '--answers',
  `${answers}`,
]);
const tuned = await emloc('fine-tuning', [
  'tune',
  '--model',
  demo.model,
  '--data',
  demo.train,
  '--out',
  adapter,
  ...demo.tuneFlags,
]);
const result = await emloc('the tuned model on the test rows', [
  'eval',
  '--model',
  demo.model,
  '--adapter',
  adapter,
  '--data',
  demo.test,
  '--answers',
  `${answers}`,
]);
report();

function chosenDemo() {
  try {
    return demoOf(process.argv.slice(2));
  } catch (error) {
    console.error(`demo: ${/** @type {Error} */ (error).message}`);
    process.exit(2);
  }
}

/**
 * Runs the emloc command as a user does, with `--json`; its progress is shown.
 * @param {string} title
 * @param {string[]} args
 * @returns {Promise<any>} the JSON document
 */
async function emloc(title, args) {
  console.log(
    `\n== ${title}\n   emloc ${args.map((arg) => (arg.startsWith(root) ? relative(root, arg) : arg)).join(' ')}`,
  );
  const child = spawn(process.execPath, ['tools/cli/bin/emloc.cjs', ...args, '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
  const status = child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve)));
  if (status === 0) return JSON.parse(text);
  console.error(`demo: emloc ${args[0]} ended with status ${status}`);
  process.exit(1);
}

function report() {
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;
  const mebibytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  console.log('\n== stages');
  for (const { name, seconds, peakDeviceBytes } of tuned.stages) {
    console.log(
      `   ${name.padEnd(10)} ${seconds.toFixed(1).padStart(6)} s   peak ${mebibytes(peakDeviceBytes).padStart(9)}`,
    );
  }
  console.log('\n== validation loss along the way');
  for (const [name, loss] of Object.entries(tuned.validation))
    if (loss !== null) console.log(`   ${name.padEnd(14)} ${loss.toFixed(4)}`);
  console.log(`\n== before and after, on ${result.rows} test rows`);
  console.log(`   loss         ${base.loss.toFixed(4)} -> ${result.loss.toFixed(4)}`);
  console.log(`   exact match  ${percent(base.exactMatch)} -> ${percent(result.exactMatch)}`);
  console.log(
    `   device memory at most ${mebibytes(tuned.peakDeviceBytes)} of a budget of ${mebibytes(tuned.budgetBytes)}`,
  );
  console.log('\n== answers');
  result.answers.forEach(
    (
      /** @type {{ expected: string, answer: string }} */ { expected, answer },
      /** @type {number} */ index,
    ) => {
      console.log(
        `   expected  ${expected}\n   base      ${JSON.stringify(base.answers[index].answer.slice(0, 90))}\n   tuned     ${answer}\n`,
      );
    },
  );
  console.log(
    `The adapter is in ${relative(root, adapter)} (PEFT format). The whole demo took ${((performance.now() - started) / 1000).toFixed(0)} s.`,
  );
}

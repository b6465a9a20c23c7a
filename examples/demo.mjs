/**
 * `npm run demo`: fine-tunes models/demo-5m on data/train.jsonl with EMLoC, within a budget that
 * its float32 weights and training do not fit into together, and compares it with the base model on
 * data/test.jsonl. `npm run demo -- --example images` does so with images/model and images/data,
 * `--example flux` teaches a model that makes pictures a subject; `npm run demo -- --steps 50`
 * passes flags to `emloc tune`.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

import { demoOf } from '../tools/setup/demos.mjs';
import { root } from './run-emloc.mjs';

const started = performance.now();
const chosen = chosenDemo();
const demo = { ...chosen, adapter: join(root, chosen.adapter) };
rmSync(demo.adapter, { recursive: true, force: true });
if (demo.pictures) {
  const { demonstratePictures } = await import('./demo-pictures.mjs');
  await demonstratePictures(demo);
} else {
  const { demonstrateRows } = await import('./demo-rows.mjs');
  await demonstrateRows(demo);
}
const seconds = (performance.now() - started) / 1000;
console.log(`The whole demo took ${seconds.toFixed(0)} s.`);

function chosenDemo() {
  try {
    return demoOf(process.argv.slice(2));
  } catch (error) {
    console.error(`demo: ${/** @type {Error} */ (error).message}`);
    process.exit(2);
  }
}

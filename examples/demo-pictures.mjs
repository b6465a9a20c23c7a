import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import sharp from 'sharp';

import { emloc, root, showJob } from './run-emloc.mjs';

/**
 * Scores a model on pictures that it is not tuned on, teaches it a subject, scores it again; leaves
 * a grid of pictures: those that it is tuned on, and what it makes of the prompts before and after.
 * @param {import('../tools/setup/demos.mjs').Demo} demo
 */
export async function demonstratePictures({ model, train, test, adapter, tuneFlags, pictures }) {
  const { prompts, prompt, resolution } = pictures;
  const shown = ['--instance-prompt', prompt, '--resolution', `${resolution}`];
  const scored = ['--model', model, '--data', test, ...shown];
  const base = await emloc('the base model on pictures of the subject', ['eval', ...scored]);
  const samples = prompts.flatMap((text) => ['--sample-prompt', text]);
  const job = ['tune', '--model', model, '--data', train, '--out', adapter, ...shown, ...samples];
  const tuned = await emloc('fine-tuning', [...job, ...tuneFlags]);
  const after = ['eval', ...scored, '--adapter', adapter];
  const result = await emloc('the tuned model on pictures of the subject', after);
  showJob(tuned);
  console.log(
    `\n== before and after, on pictures that were not learned from\n   loss  ${base.loss.toFixed(4)} -> ${result.loss.toFixed(4)}`,
  );
  const grid = `${adapter}.png`;
  await writeGrid(grid, [
    await filesOf(train),
    ...['step-000000', 'final'].map((name) =>
      prompts.map((_, index) => join(adapter, 'samples', `${name}-${index}.png`)),
    ),
  ]);
  console.log(
    `\n${relative(root, grid)} shows the pictures learned from, and the prompts before and after:`,
  );
  for (const text of prompts) console.log(`   ${text}`);
  console.log(`The adapter is in ${relative(root, adapter)} (diffusers' format).`);
}

/** @param {string} folder */
async function filesOf(folder) {
  const path = join(root, folder);
  const names = await readdir(path);
  return names
    .filter((name) => name.endsWith('.png'))
    .sort()
    .map((name) => join(path, name));
}

/**
 * Pictures of one size, a list of files a row, four pixels apart.
 * @param {string} path
 * @param {readonly (readonly string[])[]} rows
 */
async function writeGrid(path, rows) {
  const side = 192;
  const step = side + 4;
  const tiles = await Promise.all(
    rows.flatMap((files, row) =>
      files.map(async (file, column) => ({
        input: await sharp(file).resize(side, side, { kernel: 'nearest' }).toBuffer(),
        left: column * step,
        top: row * step,
      })),
    ),
  );
  const columns = Math.max(...rows.map(({ length }) => length));
  const [width, height] = [columns * step - 4, rows.length * step - 4];
  await mkdir(dirname(path), { recursive: true });
  await sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite(tiles)
    .png()
    .toFile(path);
}

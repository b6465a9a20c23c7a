import process from 'node:process';
import { parseArgs } from 'node:util';

import { makeImageRows } from './image-rows.js';
import { makeLongRows, makeShapeModel, modelShapes } from './shape-model.js';

const help = `usage: npm run bench -- model SHAPE --out DIR [--rows 96]
Writes a checkpoint of random bfloat16 weights into DIR, and rows of more than 1,024 tokens into DIR.jsonl,
for a model that takes images with one of 1344 x 896 pixels each in DIR.images, and of more than 2,048 tokens.
Shapes: ${[...modelShapes.keys()].join(', ')}. Run it from the repository root; a memory file system (/dev/shm) is fastest.
`;

/** `bench model`: what the other measurements run on. */
export async function measure(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      rows: { type: 'string', default: '96' },
      help: { type: 'boolean', default: false },
    },
  });
  const shape = modelShapes.get(positionals.at(0) ?? '');
  if (values.help || !shape || !values.out) {
    (values.help ? process.stdout : process.stderr).write(help);
    return values.help ? 0 : 2;
  }
  const started = performance.now();
  const bytes = await makeShapeModel(values.out, shape);
  const makeRows = shape.takesImages ? makeImageRows : makeLongRows;
  await makeRows(`${values.out}.jsonl`, Number(values.rows));
  const seconds = (performance.now() - started) / 1000;
  process.stdout.write(
    `${values.out}: ${(bytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(1)} s\n`,
  );
  return 0;
}

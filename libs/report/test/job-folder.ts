import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a page must show and never obey. */
export const hostile = '</script><img src=x onerror="document.title=1">\u202egnp\u0007&amp;\'"';

const layer = (block: number, name: string, relativeError: number) => ({
  ...{ name: `model.layers.${block}.${name}`, ratio: 0.5, rank: 8, relativeError },
  usedFallback: false,
});

/** As emloc.json of a job on rows; names are hostile. */
const record = {
  program: 'emloc 0.0.0',
  device: 'cpu',
  job: '0123456789abcdef',
  baseModel: { name: hostile, revision: null, sha256: 'ab'.repeat(32), architecture: 'llama' },
  data: { sha256: 'cd'.repeat(32), trainRows: 1900, train: { trainedTokens: 78519 } },
  lora: { rank: 8, alpha: 16 },
  training: { seed: 0, batch: 8, kind: 'cosine', learningRate: 0.003, steps: 20 },
  ratios: ['0.5'],
  levels: null,
  emulator: {
    parameters: 300,
    originalParameters: 500,
    layers: [0, 1, 2].flatMap((block) => [
      layer(block, 'self_attn.q_proj', 0.1 + block / 20),
      layer(block, `mlp.${hostile}`, 0.2),
    ]),
  },
  correction: { chosen: '1', scores: { '1': 0.61, '3': 0.66, none: 0.7 } },
  refinement: { steps: 2, kept: true },
  validation: {
    base: 4.1,
    emulator: 4,
    emulatorTuned: 0.5,
    uncorrected: 0.7,
    corrected: 0.61,
    refined: 0.55,
  },
  ending: 'worse',
  courses: {
    train: {
      curve: [0, 10, 20].map((step) => ({ step, loss: 4 / (step + 1) })),
      chosenStep: 20,
      divergence: null,
    },
    refine: { curve: null, chosenStep: 2, divergence: null },
  },
};

const line = (step: number) => ({
  ...{ time: new Date(1.8e12 + 2000 * step).toISOString(), event: 'step', stage: 'train', step },
  ...{ loss: 4 / step, peakDeviceBytes: 2e7 + step, budgetBytes: 25165824 },
});

/** A folder with all that a page is made from. */
export async function writeJobFolder(folder: string): Promise<void> {
  const steps = Array.from({ length: 20 }, (_, index) => JSON.stringify(line(index + 1)));
  await mkdir(join(folder, 'samples'), { recursive: true });
  await writeFile(join(folder, 'emloc.json'), JSON.stringify(record));
  await writeFile(join(folder, 'log.jsonl'), [...steps, '{"torn', ''].join('\n'));
  for (const name of ['step-000000-0.png', 'final-0.png', 'other.png'])
    await writeFile(join(folder, 'samples', name), onePixel);
}

/** A white pixel. */
const onePixel = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP6DwABBQECz6AuzQAAAABJRU5ErkJggg==',
  'base64',
);

/** A document of `eval --answers --json`. */
export function evaluated(answer: string) {
  return { loss: 1, exactMatch: 0.5, answers: [{ line: 3, expected: hostile, answer }] };
}

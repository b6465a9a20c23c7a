import { join } from 'node:path';
import { fluxShape, makeImageRows, makeLongRows, shapeNamed } from '@emloc/bench/shapes';
import { plannedCard, type CardName } from '@emloc/device-registry';
import { planTune, type JobPlan } from '@emloc/pipeline';

import { durationText } from '../../src/output/duration.js';
import { optionsOf, type ExpectedStage, type Recipe } from './recipe.js';
import { writeSparseModel } from './sparse-model.js';

/** What recipes are planned for; its own memory is above every budget. */
const card: CardName = 'rtx4090';

const [rows, pictures] = [96, 8];
/** Of a recipe of images, whose rows are all alike. */
const imageRows = 40;
const readBytesPerSecond = 2e9;
/** All steps are alike. */
const rehearsedSteps = 4;
const gibibyte = 2 ** 30;

/** Rows that fill a maximal length of 1024, or 2048 with an image; or larger pictures. */
async function writeData(folder: string, { shape }: Recipe): Promise<string> {
  const path = join(folder, 'rows.jsonl');
  if (shape === fluxShape) {
    await makeImageRows(path, pictures);
    return join(folder, 'rows.images');
  }
  if (shapeNamed(shape).takesImages) await makeImageRows(path, imageRows);
  else await makeLongRows(path, rows);
  return path;
}

/** The header that a recipe's plan gives it. @param folder an empty one, for model and data */
export async function plannedHeader(folder: string, recipe: Recipe): Promise<string> {
  const model = join(folder, 'model');
  await writeSparseModel(model, recipe.shape);
  const data = await writeData(folder, recipe);
  const options = optionsOf(recipe, { data, out: join(folder, 'adapter') });
  const { plan } = await planTune(
    { ...options, model, date: '2026-01-31', hostBytes: 2 ** 40 },
    plannedCard(card).target,
    { readSecondsPerByte: 1 / readBytesPerSecond, rehearsedSteps },
  );
  if (!plan.fits) throw new Error(`${recipe.name}: needs ${plan.neededBytes} bytes`);
  return headerOf(recipe, { plan, model: options.model });
}

function headerOf(
  { name, shape, budget }: Recipe,
  { plan, model }: { readonly plan: JobPlan; readonly model: string },
): string {
  const file = `recipes/${name}.yaml`;
  const data = shape === fluxShape ? 'photos/' : 'train.jsonl';
  const stages = expectedOf(plan);
  const width = Math.max(...stages.map((stage) => stage.name.length));
  return [
    `${model} within ${budget.replace('GiB', ' GiB')}.`,
    '',
    `  emloc tune --config ${file} --data ${data} --out my-adapter`,
    `  emloc plan --config ${file} --data ${data} --card ${card}`,
    '',
    `What the plan expects on ${plannedCard(card).sheet.product}, for ${dataOf(shape)};`,
    'weights are read at 2 GB/s and stay in host memory:',
    '',
    ...stages.map(
      (stage) => `  ${stage.name.padEnd(width)}  ${stage.peak.padStart(9)}  ${stage.time}`,
    ),
    '',
    'Made by `npm run recipes`, from the options below.',
  ]
    .map((line) => `# ${line}`.trimEnd())
    .join('\n');
}

function dataOf(shape: string): string {
  if (shape === fluxShape) return `${pictures} pictures`;
  if (shapeNamed(shape).takesImages) return 'rows of 2048 tokens, 1792 of an image';
  return 'rows that fill max-length';
}

function expectedOf({ stages }: JobPlan): readonly ExpectedStage[] {
  const peakOf = (bytes: number): string => `${(bytes / gibibyte).toFixed(1)} GiB`;
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const peak = Math.max(...stages.map(({ peakDeviceBytes }) => peakDeviceBytes));
  return [
    ...stages.map((stage) => ({
      name: stage.name,
      peak: peakOf(stage.peakDeviceBytes),
      time: durationText(stage.seconds),
    })),
    { name: 'all', peak: peakOf(peak), time: durationText(seconds) },
  ];
}

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { at } from '@emloc/checked';

import { plannedHeader } from './recipes/plan-recipe.js';
import { expectedIn, optionsOf, readRecipes, recipeFolder, type Recipe } from './recipes/recipe.js';

const recipes = readRecipes();
/** With UPDATE_RECIPES all are planned, and written; else one of the fastest. */
const isUpdate = Boolean(process.env['UPDATE_RECIPES']);
const planned = recipes.filter(({ name }) => isUpdate || name === 'llama-3.2-1b-4GiB');

const named = (recipe: Recipe): [string, Recipe] => [recipe.name, recipe];

it('has recipes of more than one model and budget', () => {
  expect(recipes.length).toBeGreaterThan(10);
  expect(new Set(recipes.map(({ shape }) => shape)).size).toBeGreaterThan(5);
  expect(planned.length).toBeGreaterThan(0);
});

it.each(recipes.map(named))('%s is a job, within the budget of its name', (_name, recipe) => {
  const options = optionsOf(recipe, { data: 'train.jsonl', out: 'my-adapter' });
  const budgetBytes = Number.parseInt(recipe.budget, 10) * 2 ** 30;
  expect(options.vramBytes).toBe(budgetBytes);
  expect(options.model).toMatch(/^[\w.-]+\/[\w.-]+$/);
  // Peaks are said in tenths.
  const { peak } = at(expectedIn(recipe).slice(-1), 0);
  expect(Number.parseFloat(peak)).toBeLessThanOrEqual(budgetBytes / 2 ** 30);
});

it.each(planned.map(named))('%s expects what its plan says', async (_name, recipe) => {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-recipe-'));
  try {
    const header = await plannedHeader(folder, recipe);
    if (isUpdate) writeFileSync(recipe.path, `${header}\n${recipe.body}`);
    else expect(recipe.header).toBe(header);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('has every recipe in the page that lists them', () => {
  const path = join(recipeFolder, 'README.md');
  const page = readFileSync(path, 'utf8');
  const table = readRecipes().map(rowOf).join('\n');
  const written = page.replace(
    /(\| --- \|.*\n)(\|.*\n)+/,
    (_all, rule: string) => `${rule}${table}\n`,
  );
  if (isUpdate) writeFileSync(path, written);
  expect(readFileSync(path, 'utf8')).toBe(written);
  expect(written).toContain(table);
});

function rowOf(recipe: Recipe): string {
  const { model, ratios, levels } = optionsOf(recipe, { data: 'train.jsonl', out: 'my-adapter' });
  const { peak, time } = at(expectedIn(recipe).slice(-1), 0);
  const size = levels ?? (ratios.length === 0 ? '0.5' : ratios.join(', '));
  return `| [${recipe.name}](${recipe.name}.yaml) | ${model} | ${size} | ${peak} | ${time} |`;
}

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { at } from '@emloc/checked';
import { resolveTuneOptions, type TuneOptions } from '@emloc/pipeline';
import { Command } from 'commander';

import { applyConfigFile } from '../../src/config-file.js';
import { withCommonFlags } from '../../src/flags/common.js';
import { optionFlags, optionValues, rivalOf } from '../../src/flags/options.js';

export const recipeFolder = fileURLToPath(new URL('../../../../recipes', import.meta.url));

/** A file of options for a model and a budget: `llama-3.1-8b-16GiB.yaml`. */
export interface Recipe {
  /** Without its ending. */
  readonly name: string;
  readonly path: string;
  /** Of `@emloc/bench/shapes`. */
  readonly shape: string;
  /** As the name has it. */
  readonly budget: string;
  /** Comments before the options. */
  readonly header: string;
  /** The options as they are in the file. */
  readonly body: string;
}

/** By name. */
export function readRecipes(): readonly Recipe[] {
  return readdirSync(recipeFolder)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => readRecipe(file.slice(0, -'.yaml'.length)));
}

function readRecipe(name: string): Recipe {
  const path = join(recipeFolder, `${name}.yaml`);
  const lines = readFileSync(path, 'utf8').split('\n');
  const start = lines.findIndex((line) => !line.startsWith('#') && line !== '');
  const [, shape = '', budget = ''] = /^(.+)-(\d+GiB)$/.exec(name) ?? [];
  return {
    ...{ name, path, shape, budget },
    header: lines.slice(0, start).join('\n'),
    body: lines.slice(start).join('\n'),
  };
}

/** What `emloc tune --config RECIPE` would train with. @throws UsageError, PipelineError */
export function optionsOf({ path }: Recipe, given: { data: string; out: string }): TuneOptions {
  const command = new Command().exitOverride();
  for (const option of withCommonFlags(optionFlags('tune'))) command.addOption(option);
  const args = ['--config', path, '--data', given.data, '--out', given.out];
  command.parse(args, { from: 'user' });
  applyConfigFile(command, { rivalOf });
  const { model = '', ...values } = optionValues('tune', command.opts());
  return resolveTuneOptions({ ...values, ...given, model });
}

/** A row of the table of expected stages: name, peak, time. */
export interface ExpectedStage {
  readonly name: string;
  readonly peak: string;
  readonly time: string;
}

/** The table in a header; the last row is all of them. */
export function expectedIn({ header }: Recipe): readonly ExpectedStage[] {
  return [...header.matchAll(/^# {3}(\w+) {2,}([\d.]+ GiB) {2,}(.+)$/gm)].map((match) => ({
    name: at(match, 1),
    peak: at(match, 2),
    time: at(match, 3),
  }));
}

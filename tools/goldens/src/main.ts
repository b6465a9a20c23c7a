import process from 'node:process';
import { deviceTarget } from '@emloc/device-registry';

import { checkFixtures } from './check-fixtures.js';
import { checkFolders } from './check-folders.js';
import { compareDeltaRuleFolder } from './delta-rule-folder.js';
import { compareDiffusionFolder, diffusionLimitsOf } from './diffusion-folder.js';
import { limitsOf, measureFolder } from './measure-folder.js';
import { parseOptions } from './options.js';
import { formatOutcome, formatSummary, isRight, toJson, type Outcome } from './report.js';

/** `npm run goldens`: compares folders or fixtures with goldens. Exit code 1: one is wrong. */
async function main(args: readonly string[]): Promise<boolean> {
  const { folders, fixtures, device, vramBytes, json } = parseOptions(args);
  const target = deviceTarget(device);
  const outcomes: Outcome[] = [];
  const measure = (folder: string, golden: Parameters<typeof measureFolder>[1]) =>
    measureFolder(folder, golden, { target, vramBytes });
  const others = {
    limits: limitsOf(target),
    others: [
      (folder: string) => compareDeltaRuleFolder(folder, { target, vramBytes }),
      (folder: string) =>
        compareDiffusionFolder(folder, { target, vramBytes, limits: diffusionLimitsOf(target) }),
    ],
  };
  const checked =
    fixtures === null
      ? checkFolders(folders, measure, others)
      : checkFixtures({ from: fixtures, names: folders }, measure, others);
  for await (const outcome of checked) {
    outcomes.push(outcome);
    if (!json) console.log(formatOutcome(outcome));
  }
  console.log(json ? toJson(outcomes) : formatSummary(outcomes));
  return outcomes.every(isRight);
}

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

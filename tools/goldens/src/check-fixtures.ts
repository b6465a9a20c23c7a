import { fixtureNames, float32Limits, unpackFixture } from '@emloc/golden-models';

import { checkFolder, type Checks, type Measure } from './check-folders.js';
import type { Outcome } from './report.js';

/** Packed fixtures in a folder; no names: all of them. */
interface Fixtures {
  readonly from: string;
  readonly names: readonly string[];
}

/**
 * Compares fixtures one after another, each in a temporary folder of its own.
 * @throws where the folder has no fixture at all
 */
export async function* checkFixtures(
  { from, names }: Fixtures,
  measure: Measure,
  others: Partial<Omit<Checks, 'measure'>> = {},
): AsyncGenerator<Outcome> {
  const checks = { limits: () => float32Limits, ...others, measure };
  const all = fixtureNames(from);
  if (all.length === 0) throw new Error(`${from} has no fixture (NAME.golden.br)`);
  for (const name of names.length > 0 ? names : all) {
    if (all.includes(name)) yield await checkFixture({ from, name }, checks);
    else yield { folder: name, failure: `${from} has no ${name}.golden.br` };
  }
}

async function checkFixture(
  { from, name }: { readonly from: string; readonly name: string },
  checks: Checks,
): Promise<Outcome> {
  const fixture = await unpackFixture(name, { from });
  try {
    return { ...(await checkFolder(fixture.folder, checks)), folder: name };
  } finally {
    await fixture.close();
  }
}

import {
  compareGolden,
  float32Limits,
  readGolden,
  type Comparison,
  type Golden,
  type Limits,
  type Measured,
} from '@emloc/golden-models';

import type { Outcome } from './report.js';

/** Computes with the model of a folder what its golden asks for. @throws where it cannot */
export type Measure = (folder: string, golden: Golden) => Promise<Measured>;

/**
 * Compares a folder of another kind than language models; null: it is none.
 * @throws where it cannot
 */
type CompareOther = (folder: string) => Promise<Comparison | null>;

/** What a folder is compared with. */
export interface Checks {
  readonly measure: Measure;
  readonly limits: (golden: Golden) => Limits;
  /** The kinds that a folder is asked for first. */
  readonly others?: readonly CompareOther[];
}

/** Compares folders one after another. One that cannot be read or measured has its reason. */
export async function* checkFolders(
  folders: readonly string[],
  measure: Measure,
  others: Partial<Omit<Checks, 'measure'>> = {},
): AsyncGenerator<Outcome> {
  const checks = { limits: () => float32Limits, ...others, measure };
  for (const folder of folders) yield await checkFolder(folder, checks);
}

/** Compares one folder. */
export async function checkFolder(
  folder: string,
  { measure, limits, others = [] }: Checks,
): Promise<Outcome> {
  try {
    for (const compare of others) {
      const comparison = await compare(folder);
      if (comparison) return { folder, comparison };
    }
    const golden = await readGolden(folder);
    const measured = await measure(folder, golden);
    return { folder, comparison: compareGolden(golden, measured, limits(golden)) };
  } catch (error) {
    return { folder, failure: error instanceof Error ? error.message : String(error) };
  }
}

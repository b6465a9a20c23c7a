import {
  compareGolden,
  float32Limits,
  readGolden,
  type Golden,
  type Limits,
  type Measured,
} from '@emloc/golden-models';

import type { Outcome } from './report.js';

/** Computes with the model of a folder what its golden asks for. @throws where it cannot */
export type Measure = (folder: string, golden: Golden) => Promise<Measured>;

/** Compares folders one after another. One that cannot be read or measured has its reason. */
export async function* checkFolders(
  folders: readonly string[],
  measure: Measure,
  limits: Limits = float32Limits,
): AsyncGenerator<Outcome> {
  for (const folder of folders) yield await checkFolder(folder, { measure, limits });
}

/** Compares one folder. */
export async function checkFolder(
  folder: string,
  { measure, limits }: { readonly measure: Measure; readonly limits: Limits },
): Promise<Outcome> {
  try {
    const golden = await readGolden(folder);
    return { folder, comparison: compareGolden(golden, await measure(folder, golden), limits) };
  } catch (error) {
    return { folder, failure: error instanceof Error ? error.message : String(error) };
  }
}

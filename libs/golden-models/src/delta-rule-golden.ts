import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at, get } from '@emloc/checked';

import { asFields, asNumbers } from './fields.js';
import { readGoldenTensors, tensorsFile, type GoldenTensor } from './golden-tensors.js';

/** What transformers computes with the operations of a gated delta net alone, in float32. */
export interface DeltaRuleGolden {
  /** Problems of the rule, by the prefix of their tensors. */
  readonly rules: ReadonlyMap<string, DeltaRuleProblem>;
  /** Sequences of the convolution; null: it is not there. */
  readonly convolution: readonly number[] | null;
  readonly tensors: ReadonlyMap<string, GoldenTensor>;
}

export interface DeltaRuleProblem {
  /** Rows of each sequence. */
  readonly lengths: readonly number[];
  readonly keyHeads: number;
  readonly valueHeads: number;
  /** Length of a key and of a value. */
  readonly keys: number;
  readonly values: number;
}

/**
 * Reads FOLDER/golden.json, whose `lengths` are those of packed sequences, and
 * FOLDER/tensors.safetensors; null: the folder has a model.
 * @throws Error that names file and field
 */
export async function readDeltaRuleGolden(folder: string): Promise<DeltaRuleGolden | null> {
  const [file, tensorFile] = [join(folder, 'golden.json'), join(folder, tensorsFile)];
  if (existsSync(join(folder, 'config.json')) || !existsSync(file) || !existsSync(tensorFile))
    return null;
  const golden = asFields(JSON.parse(await readFile(file, 'utf8')), file);
  if (golden.lengths === undefined) return null;
  const packed = asNumbers(golden.lengths, `${file}: lengths`);
  const tensors = await readGoldenTensors(tensorFile);
  const prefixes = [...tensors.keys()]
    .filter((name) => name.endsWith('.q'))
    .map((name) => name.slice(0, -2));
  if (prefixes.length === 0) throw new Error(`${tensorFile} has no problem: no tensor NAME.q`);
  return {
    rules: new Map(prefixes.map((prefix) => [prefix, problemOf(tensors, prefix, packed)])),
    convolution: tensors.has('conv.x') ? packed : null,
    tensors,
  };
}

/** q and v have the shape (sequences, rows, heads, length); one sequence may be several packed. */
function problemOf(
  tensors: ReadonlyMap<string, GoldenTensor>,
  prefix: string,
  packed: readonly number[],
): DeltaRuleProblem {
  const [{ shape: q }, { shape: v }] = [get(tensors, `${prefix}.q`), get(tensors, `${prefix}.v`)];
  const [sequences, rows] = [at(q, 0), at(q, 1)];
  const alone = Array.from({ length: sequences }, () => rows);
  const isPacked = prefix === 'packed';
  return {
    lengths: isPacked ? packed : alone,
    keyHeads: at(q, 2),
    valueHeads: at(v, 2),
    keys: at(q, 3),
    values: at(v, 3),
  };
}

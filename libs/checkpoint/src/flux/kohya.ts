import { at } from '@emloc/checked';

import { readFloats } from '../adapter-tensors.js';
import type { AdapterWeights } from '../adapter-weights.js';
import { CheckpointError, quoted } from '../errors.js';
import type { LoraLayer } from '../lora-adapter.js';
import { bflModule, bflModules, rowsOfModules, type BflModule } from './bfl-names.js';
import { loraModules, type LoraModule, type LoraNaming } from './lora-file.js';
import { kohyaKey, parseKohyaKey } from './lora-keys.js';

/** Linear layers of the single-file layout by kohya's names, which have no dots. */
const byKohyaName: ReadonlyMap<string, string> = new Map(
  bflModules
    .filter(({ onlyTensor }) => onlyTensor === undefined)
    .map(({ stored }) => [stored.replaceAll('.', '_'), stored]),
);

const naming: LoraNaming = {
  keyOf: kohyaKey,
  parse: parseKohyaKey,
  isModule: (path) => moduleOf(path) !== undefined,
  supported: 'lora_down, lora_up and alpha of linear layers of a FLUX transformer (lora_unet_…)',
};

/** A layer whose rank and scale are its own. */
export type OwnLayer = LoraLayer & { readonly rank: number; readonly alpha: number };

/**
 * The layers of a file with kohya's names, by diffusers' paths: a fused layer becomes those that it
 * was made of, each with the rows of `up` that are its own, and without what is zero there.
 * @throws CheckpointError
 */
export async function kohyaLayers(file: AdapterWeights): Promise<Map<string, OwnLayer>> {
  const layers = new Map<string, OwnLayer>();
  for (const module of await loraModules(file, naming)) {
    const fused = {
      ...module,
      alpha: module.alpha ?? module.rank,
      a: await readFloats(file, kohyaKey(module.path, 'a')),
      b: await readFloats(file, kohyaKey(module.path, 'b')),
    };
    for (const [path, layer] of separated(file, fused)) layers.set(path, layer);
  }
  return layers;
}

type FusedLayer = OwnLayer & Pick<LoraModule, 'path'>;

function separated(file: AdapterWeights, fused: FusedLayer): [string, OwnLayer][] {
  const module = moduleOf(fused.path);
  const rows =
    module && rowsOfModules(module, { rows: fused.outFeatures, width: fused.inFeatures });
  if (!module || !rows || (module.isSwapped === true && fused.outFeatures % 2 !== 0)) {
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_MISMATCH',
      `${file.path}: ${quoted(fused.path)} is ${fused.outFeatures} x ${fused.inFeatures}, which cannot be divided into ${module?.modules.join(', ') ?? 'layers'}`,
    );
  }
  let start = 0;
  return module.modules.flatMap((path, index): [string, OwnLayer][] => {
    const own = fused.b.subarray(start * fused.rank, (start + at(rows, index)) * fused.rank);
    start += at(rows, index);
    const layer = compact({ ...fused, outFeatures: at(rows, index), b: inOrder(module, own) });
    return layer === null ? [] : [[path, layer]];
  });
}

/** Rows as diffusers has them. */
function inOrder({ isSwapped }: BflModule, b: Float32Array): Float32Array {
  if (isSwapped !== true) return b;
  const half = b.length / 2;
  return Float32Array.from([...b.subarray(half), ...b.subarray(0, half)]);
}

/** Without the ranks that add nothing; null where none does. The scale stays. */
function compact({ a, b, inFeatures, outFeatures, rank, alpha }: OwnLayer): OwnLayer | null {
  const kept = Array.from({ length: rank }, (_, k) => k).filter((k) =>
    b.some((value, index) => index % rank === k && value !== 0),
  );
  if (kept.length === 0) return null;
  if (kept.length === rank) return { a, b, inFeatures, outFeatures, rank, alpha };
  const rows = Array.from({ length: outFeatures }, (_, row) => row);
  return {
    a: Float32Array.from(
      kept.flatMap((k) => [...a.subarray(k * inFeatures, (k + 1) * inFeatures)]),
    ),
    b: Float32Array.from(rows.flatMap((row) => kept.map((k) => at(b, row * rank + k)))),
    inFeatures,
    outFeatures,
    rank: kept.length,
    alpha: (alpha * kept.length) / rank,
  };
}

function moduleOf(kohyaName: string): BflModule | undefined {
  const [, number] = /^(?:double|single)_blocks_(0|[1-9]\d*)_/.exec(kohyaName) ?? [];
  const name =
    number === undefined ? kohyaName : kohyaName.replace(`_blocks_${number}_`, '_blocks_N_');
  const stored = byKohyaName.get(name);
  return stored === undefined
    ? undefined
    : bflModule(stored.replace('_blocks.N.', `_blocks.${number ?? ''}.`));
}

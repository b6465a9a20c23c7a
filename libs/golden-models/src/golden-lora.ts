import { at, get } from '@emloc/checked';
import type { LoraAdapter, LoraLayer } from '@emloc/checkpoint';
import type { ModelLayout, ModelLinear } from '@emloc/models';

import type { MeasuredGradients } from './compare.js';
import { asFields, asNumber } from './fields.js';
import { fuseAdapters, groupedRows, splitGradients, thirds, type PartRows } from './fused-layer.js';
import { goldenAdapter, goldenAlpha, goldenRank } from './golden-adapter.js';
import type { Golden } from './golden.js';
import { originalPath } from './original-paths.js';

/** Which of a golden's modules a linear of a model is, or is made of. */
interface GoldenModules {
  readonly linear: ModelLinear;
  /** Its own path, or those of its parts. */
  readonly paths: readonly string[];
  /** The rows of each part; null: it is one. */
  readonly rows: readonly PartRows[] | null;
}

/** The linears that a golden has gradients of, in the layout of the model. */
export function goldenModules(
  { linears }: ModelLayout,
  golden: Golden,
  config: Readonly<Record<string, unknown>>,
): readonly GoldenModules[] {
  const known = [...golden.lora.gradients.keys()];
  const isFused = linears.some(({ path }) => path.endsWith('.attention.wqkv'));
  const llm = isFused ? 'internlm2' : 'other';
  const isInternvl = config['model_type'] === 'internvl_chat';
  const adapted = linears.filter(({ path }) => isInternvl || known.includes(path));
  return adapted.map((linear): GoldenModules => {
    if (known.includes(linear.path)) return { linear, paths: [linear.path], rows: null };
    const paths = known.filter((path) => originalPath(path, llm) === linear.path);
    return { linear, paths, rows: paths.length > 1 ? partRows(linear, config) : null };
  });
}

/** q, k and v of a fused linear. */
function partRows(
  { path, outFeatures }: ModelLinear,
  config: Readonly<Record<string, unknown>>,
): readonly PartRows[] {
  if (!path.endsWith('.attention.wqkv')) return thirds(outFeatures);
  const llm = asFields(config['llm_config'], 'llm_config');
  const heads = asNumber(llm.num_attention_heads, 'num_attention_heads');
  const kvHeads = asNumber(llm.num_key_value_heads, 'num_key_value_heads');
  return groupedRows({ heads, kvHeads, headDim: outFeatures / (heads + 2 * kvHeads) });
}

/** The golden's LoRA on every linear. */
export function loraOn(modules: readonly GoldenModules[]): LoraAdapter {
  const layers = modules.map(({ linear, rows }): readonly [string, LoraLayer] => {
    const { path, inFeatures, outFeatures } = linear;
    const values = rows ? fuseAdapters(inFeatures, rows) : goldenAdapter(inFeatures, outFeatures);
    return [path, { ...values, inFeatures, outFeatures }];
  });
  return {
    rank: goldenRank,
    alpha: goldenAlpha,
    useRslora: false,
    targetModules: [],
    layers: new Map(layers),
  };
}

/** Gradients by the golden's module paths. */
export function goldenGradients(
  modules: readonly GoldenModules[],
  found: ReadonlyMap<string, MeasuredGradients>,
): ReadonlyMap<string, MeasuredGradients> {
  return new Map(
    modules.flatMap(({ linear, paths, rows }) => {
      const whole = get(found, linear.path);
      const parts = rows ? splitGradients(whole, rows) : [whole];
      return paths.map((path, index) => [path, at(parts, index)] as const);
    }),
  );
}

import { absenceOf, type LoraAdapter } from '@emloc/checkpoint';
import { createRandom, fillNormal } from '@emloc/dataset';
import { sharedFloats } from '@emloc/device';
import { linearModules, type ModelLayout, type ModelLinear } from '@emloc/models';
import { PathPatterns, PatternError, PatternWorkError } from '@emloc/patterns';

import { FinetuneError } from './errors.js';

export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  /** Whether layers have magnitudes (DoRA). Default: no. */
  readonly useDora?: boolean;
  /**
   * Regular expression that must match the whole module path; null: every linear layer that the
   * model has adapted by default.
   */
  readonly targets: string | null;
  /**
   * What A begins with: uniform in ±1/√in (PEFT's Kaiming initialisation with a = √5), as language
   * models have it, or normal with standard deviation 1/rank, as image models do. Default: uniform.
   */
  readonly start?: 'uniform' | 'gaussian';
}

/**
 * The linear layers that a LoRA configuration adapts, by module path, in the model's order.
 * @throws FinetuneError when it is none, or the targets take too much work to find them.
 */
export function adaptedLinears(
  layout: ModelLayout,
  targets: string | null,
): ReadonlyMap<string, ModelLinear> {
  const isMeant = targets === null ? isAdaptedByDefault : selectorOf(targets);
  const adapted = new Map([...linearModules(layout)].filter(([, linear]) => isMeant(linear)));
  if (adapted.size === 0)
    throw invalidTargets(
      targets,
      `match no linear layer (an example: ${layout.linears.at(0)?.path ?? ''})${targets === null ? '' : absentMatch(layout, selectorOf(targets))}`,
    );
  return adapted;
}

function isAdaptedByDefault({ adapted }: ModelLinear): boolean {
  return adapted === 'byDefault';
}

/** Why the first projection that is meant and that the model does not have is not there. */
function absentMatch(
  layout: ModelLayout,
  isMeant: (linear: Pick<ModelLinear, 'path'>) => boolean,
): string {
  const modules = linearModules(layout);
  const [first] = [...modules.keys()]
    .filter((path) => path.endsWith('.q_proj'))
    .flatMap((path) => ['k_proj', 'v_proj'].map((name) => path.replace(/q_proj$/, name)))
    .filter((path) => !modules.has(path) && isMeant({ path }));
  return first === undefined ? '' : `; ${first}${absenceOf(first, modules)}`;
}

function selectorOf(targets: string): (linear: Pick<ModelLinear, 'path'>) => boolean {
  const naming = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      if (!(cause instanceof PatternError || cause instanceof PatternWorkError)) throw cause;
      throw invalidTargets(targets, `cannot be used: ${cause.message}`, cause);
    }
  };
  const pattern = naming(() => new PathPatterns().compile(targets));
  return ({ path }) => naming(() => pattern.test(path));
}

const mostQuoted = 200;

function invalidTargets(targets: string | null, reason: string, cause?: unknown): FinetuneError {
  const given = JSON.stringify(targets);
  const shown = given.length > mostQuoted ? `${given.slice(0, mostQuoted)}…` : given;
  return new FinetuneError('FINETUNE_INVALID_OPTION', `targets ${shown} ${reason}`, { cause });
}

/**
 * A fresh adapter: A random, B zero, magnitudes of DoRA zero until they are the norms of the
 * weights' rows. Each layer draws from a random stream of its own, so the
 * values of one do not depend on which others are adapted.
 */
export function initialAdapter(layout: ModelLayout, config: LoraConfig, seed: number): LoraAdapter {
  const allPaths = [...linearModules(layout).keys()];
  return adapterOf(layout, config, {
    a: (path, { inFeatures }) => {
      const random = createRandom(seed, `lora ${allPaths.indexOf(path)}`);
      const values = new Float32Array(config.rank * inFeatures);
      if (config.start === 'gaussian')
        return fillNormal(random, values).map((value) => value / config.rank);
      const bound = 1 / Math.sqrt(inFeatures);
      return values.map(() => (2 * random.nextFloat() - 1) * bound);
    },
    b: (count) => new Float32Array(count),
  });
}

/** An adapter of which only the sizes matter, for planning: zeros, to be read only. */
export function blankAdapter(layout: ModelLayout, config: LoraConfig): LoraAdapter {
  return adapterOf(layout, config, {
    a: (_path, { inFeatures }) => sharedFloats(config.rank * inFeatures),
    b: sharedFloats,
  });
}

function adapterOf(
  layout: ModelLayout,
  config: LoraConfig,
  values: {
    a(path: string, linear: ModelLinear): Float32Array;
    b(count: number): Float32Array;
  },
): LoraAdapter {
  const adapted = adaptedLinears(layout, config.targets);
  const layers = new Map(
    [...adapted].map(([path, linear]) => {
      const { inFeatures, outFeatures } = linear;
      const b = values.b(outFeatures * config.rank);
      const magnitude = config.useDora ? values.b(outFeatures) : undefined;
      const sizes = { inFeatures, outFeatures };
      return [path, { a: values.a(path, linear), b, ...(magnitude && { magnitude }), ...sizes }];
    }),
  );
  const targetModules = [
    ...new Set([...adapted.values()].map(({ name }) => name.split('.').at(-1) ?? name)),
  ].sort();
  return {
    rank: config.rank,
    alpha: config.alpha,
    useRslora: config.useRslora,
    targetModules,
    layers,
  };
}

import { createHash } from 'node:crypto';
import { get } from '@emloc/checked';
import {
  isDora,
  layerParameters,
  layerRank,
  readAdapter,
  targetModulesOf,
  type LoraAdapter,
  type LoraLayer,
} from '@emloc/checkpoint';
import { blankAdapter } from '@emloc/finetune';
import { adaptableModules, linearModules, type ModelLayout } from '@emloc/models';

import { PipelineError } from '../errors.js';
import { invalidOption } from '../options/checks.js';
import { isPlain } from '../options/method.js';
import type { TuneOptions } from '../options/resolve.js';

/** The adapter that a job was given to begin from. */
export interface GivenStart {
  /** Its layers in the model's order, all of one rank and alpha. */
  readonly adapter: LoraAdapter;
  /** Of its numbers, paths and values, in hex: the same wherever it lies. */
  readonly sha256: string;
}

type Shape = Pick<TuneOptions, 'rank' | 'alpha' | 'useRslora' | 'useDora' | 'targets'>;

/**
 * Reads the adapter of `initAdapter`, of PEFT's layout or a diffusion model's, and from it what the
 * job does not say of rank, alpha, rsLoRA, DoRA and targets; null: the job begins with a fresh one.
 * @throws CheckpointError for what is no LoRA or DoRA of this model (saved modules, other sizes);
 * PipelineError PIPELINE_INVALID_OPTION naming what differs from the job's
 */
export async function readGivenStart<O extends TuneOptions>(
  options: O,
  layout: ModelLayout,
  signal?: AbortSignal,
): Promise<{ readonly options: O; readonly start: GivenStart | null }> {
  if (options.initAdapter === null) return { options, start: null };
  const read = await readAdapter(options.initAdapter, {
    linearModules: adaptableModules(layout),
    ...(layout.diffusion ? {} : { base: options.model }),
    signal,
  });
  assertOneShape(read);
  const shape = shapeOf(options, read, layout);
  const { rank, alpha, useRslora } = read;
  const blank = blankAdapter(layout, { rank, alpha, useRslora, targets: shape.targets });
  assertSameLayers(read, blank);
  const layers = new Map<string, LoraLayer>(
    [...blank.layers].map(([path, { inFeatures, outFeatures }]) => {
      const { a, b, magnitude } = get(read.layers, path);
      return [path, { a, b, ...(magnitude && { magnitude }), inFeatures, outFeatures }];
    }),
  );
  const adapter = { ...blank, layers };
  return { options: { ...options, ...shape }, start: { adapter, sha256: hashOf(adapter) } };
}

/** One rank and one alpha are what a job has. */
function assertOneShape(adapter: LoraAdapter): void {
  for (const [path, layer] of adapter.layers) {
    const [rank, alpha] = [layerRank(adapter, layer), layer.alpha ?? adapter.alpha];
    if (rank !== adapter.rank)
      throw refused(`its layer ${path} has rank ${rank}, others ${adapter.rank}: one is expected`);
    if (alpha !== adapter.alpha)
      throw refused(
        `its layer ${path} has alpha ${alpha}, others ${adapter.alpha}: one is expected`,
      );
  }
}

/** The job's own, where it says them, which must be the adapter's. */
function shapeOf(options: TuneOptions, adapter: LoraAdapter, layout: ModelLayout): Shape {
  for (const name of ['rank', 'alpha'] as const)
    if (options[name] !== null && options[name] !== adapter[name])
      throw invalidOption(name, options[name], `${adapter[name]}, as option initAdapter has it,`);
  // Not asked for is what the adapter has.
  if (options.useRslora && !adapter.useRslora)
    throw invalidOption('useRslora', true, 'false, as option initAdapter has it,');
  const useDora = isDora(adapter);
  if (options.useDora && !useDora)
    throw invalidOption('useDora', true, 'false, as option initAdapter has it,');
  if (useDora && !isPlain(options))
    throw refused('it is DoRA, which is trained on the original alone: method paged or resident');
  const { rank, alpha, useRslora } = adapter;
  return {
    rank,
    alpha,
    useRslora,
    useDora,
    targets: options.targets ?? targetsOf(adapter, layout),
  };
}

/** null: those that the model has adapted by default. */
function targetsOf({ layers }: LoraAdapter, layout: ModelLayout): string | null {
  const modules = linearModules(layout);
  const foreign = [...layers.keys()].find((path) => !modules.has(path));
  if (foreign !== undefined) throw refused(`its layer ${foreign} is none that is trained`);
  const usual = [...modules.values()].filter(({ adapted }) => adapted === 'byDefault');
  if (usual.length === layers.size && usual.every(({ path }) => layers.has(path))) return null;
  const targets = targetModulesOf(layers.keys(), modules);
  const names = targets.filter((target) => !target.includes('.')).map(escaped);
  const paths = targets.filter((target) => target.includes('.')).map(escaped);
  return [...(names.length > 0 ? [`(.*\\.)?(${names.join('|')})`] : []), ...paths].join('|');
}

function escaped(name: string): string {
  return name.replaceAll('.', '\\.');
}

function assertSameLayers({ layers }: LoraAdapter, expected: LoraAdapter): void {
  const missing = [...expected.layers.keys()].find((path) => !layers.has(path));
  if (missing !== undefined)
    throw refused(`it has no layer ${missing}, which option targets selects`);
  const more = [...layers.keys()].find((path) => !expected.layers.has(path));
  if (more !== undefined)
    throw refused(`it has the layer ${more}, which option targets leaves out`);
}

function hashOf({ rank, alpha, useRslora, layers }: LoraAdapter): string {
  const hash = createHash('sha256').update(JSON.stringify([rank, alpha, useRslora]));
  for (const [path, layer] of layers) {
    hash.update(`\n${path}\n`);
    for (const values of layerParameters(layer)) hash.update(values);
  }
  return hash.digest('hex');
}

function refused(reason: string): PipelineError {
  return new PipelineError('PIPELINE_INVALID_OPTION', `option initAdapter: ${reason}`);
}

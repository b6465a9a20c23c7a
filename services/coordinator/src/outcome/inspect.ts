import type { PlainTuneOptions } from '@emloc/contracts';
import { scanRows, type RowScan } from '@emloc/dataset';
import { adaptedLinears } from '@emloc/finetune';
import { isDiffusionFolder, openDiffusionModel, openModel, type ModelLayout } from '@emloc/models';
import {
  assertOptionsOf,
  assertRank,
  emulatedLinears,
  isUndecided,
  optionsFor,
  readGivenStart,
  withModality,
  type TuneOptions,
} from '@emloc/pipeline';

import { maxInspectedBytes, type EngineStep, type FoundRows, type Inspection } from './engine.js';
import { scanPictures } from './scan-pictures.js';

/** How long a data set, or folders of pictures, are looked at. */
const maxScanMs = 5000;

type Kind = Inspection['found']['kind'];

/** Told before each step. */
export type OnStep = (step: EngineStep) => void;

/**
 * Checks the model, options against it, and the form of what it is trained on.
 * @throws the typed errors of each
 */
export async function inspect(options: TuneOptions, onStep: OnStep): Promise<Inspection> {
  const { kind, resolved, ...checked } = await inspectModel(options, onStep);
  onStep('data');
  return {
    ...checked,
    found:
      kind === 'text'
        ? await scanData(options, onStep)
        : { kind, problems: await scanPictures(resolved, AbortSignal.timeout(maxScanMs)) },
  };
}

/**
 * Checks the model, and options and an adapter to begin from against it; patterns against the names
 * of all its layers, so that one that takes for ever does so here.
 * @throws the typed errors of each
 */
export async function inspectModel(options: TuneOptions, onStep: OnStep) {
  onStep('options');
  const kind: Kind = (await isDiffusionFolder(options.model)) ? 'pictures' : 'text';
  assertOptionsOf('tune', options, kind);
  onStep('model');
  await using model = await openTrained(options, kind);
  const { layout } = model;
  const begun = await withStart(options, layout, onStep);
  const resolved = withModality(begun, layout);
  onStep('targets');
  const adapted = adaptedLinears(layout, begun.targets);
  onStep('rank');
  assertRank(resolved.rank, adapted.values());
  onStep('ratios');
  return {
    kind,
    resolved,
    isEmulated: emulatedLinears({ layout }, resolved).length > 0,
    isUndecided: isUndecided(options),
    decided: {
      ...decidedBy(kind, options, resolved),
      // A switch that is off may not have been asked for, too.
      ...(begun.useRslora === options.useRslora ? {} : { useRslora: begun.useRslora }),
    },
  };
}

/** With what an adapter to begin from decides; a pattern is tried before it meets that. */
async function withStart(
  options: TuneOptions,
  layout: ModelLayout,
  onStep: OnStep,
): Promise<TuneOptions> {
  if (options.initAdapter === null) return options;
  onStep('targets');
  adaptedLinears(layout, options.targets);
  onStep('initAdapter');
  const { options: begun } = await readGivenStart(options, layout);
  onStep('model');
  return begun;
}

type Trained = AsyncDisposable & { readonly layout: ModelLayout };

/** The model, or the one of several that is trained. */
async function openTrained(
  { model, allowUnusedLayers }: TuneOptions,
  kind: Kind,
): Promise<Trained> {
  const settings = { allowUnusedLayers };
  if (kind === 'text') return openModel(model, settings);
  const diffusion = await openDiffusionModel(model, settings);
  const { layout } = diffusion.transformer;
  return { layout, [Symbol.asyncDispose]: () => diffusion.close() };
}

/** What was not asked for, and means something to the kind of model. */
function decidedBy(kind: Kind, options: TuneOptions, resolved: object): Partial<PlainTuneOptions> {
  const asked: Readonly<Record<string, unknown>> = { ...options };
  const values: Readonly<Record<string, unknown>> = { ...resolved };
  return Object.fromEntries(
    optionsFor('jobs').flatMap(({ name, of }) =>
      (of ?? kind) === kind && isMissing(asked[name]) && !isMissing(values[name])
        ? [[name, values[name]]]
        : [],
    ),
  );
}

function isMissing(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0);
}

async function scanData(
  { data, moreData, validation, columns }: TuneOptions,
  onStep: OnStep,
): Promise<FoundRows> {
  const scan = (path: string, maxMs = maxScanMs): Promise<RowScan> =>
    scanRows({ path, maxBytes: maxInspectedBytes, maxMs, columns });
  const endMs = performance.now() + maxScanMs;
  const found = await scan(data);
  const more: RowScan[] = [];
  // All of them have the time of one.
  for (const path of moreData) more.push(await scan(path, Math.max(0, endMs - performance.now())));
  const ofData = { kind: 'text', data: found, moreData: more } as const;
  if (validation === null) return { ...ofData, validation: null };
  onStep('validation');
  return { ...ofData, validation: await scan(validation) };
}

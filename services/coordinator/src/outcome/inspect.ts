import type { PlainTuneOptions } from '@emloc/contracts';
import { scanRows, type RowScan } from '@emloc/dataset';
import { parseRatioRules, ratioOf } from '@emloc/emulator';
import { adaptedLinears } from '@emloc/finetune';
import { isDiffusionFolder, openDiffusionModel, openModel, type ModelLayout } from '@emloc/models';
import {
  assertOptionsOf,
  assertRank,
  optionsFor,
  withModality,
  type TuneOptions,
} from '@emloc/pipeline';

import { maxInspectedBytes, type FoundRows, type Inspection } from './engine.js';
import { scanPictures } from './scan-pictures.js';

/** How long a data set, or folders of pictures, are looked at. */
const maxScanMs = 5000;

type Kind = Inspection['found']['kind'];

/**
 * Checks the model, options against it, and the form of what it is trained on.
 * @throws the typed errors of each
 */
export async function inspect(options: TuneOptions): Promise<Inspection> {
  const kind = (await isDiffusionFolder(options.model)) ? 'pictures' : 'text';
  assertOptionsOf('tune', options, kind);
  await using model = await openTrained(options, kind);
  const { layout } = model;
  const resolved = withModality(options, layout);
  assertRank(resolved.rank, adaptedLinears(layout, options.targets).values());
  const rules = parseRatioRules(options.ratios);
  return {
    isEmulated: layout.linears.some((linear) => ratioOf(rules, linear) < 1),
    decided: decidedBy(kind, options, resolved),
    found:
      kind === 'text'
        ? await scanData(options)
        : { kind, problems: await scanPictures(resolved, AbortSignal.timeout(maxScanMs)) },
  };
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
      (of ?? kind) === kind && asked[name] === null && values[name] !== null
        ? [[name, values[name]]]
        : [],
    ),
  );
}

async function scanData({ data, validation }: TuneOptions): Promise<FoundRows> {
  const scan = (path: string): Promise<RowScan> =>
    scanRows({ path, maxBytes: maxInspectedBytes, maxMs: maxScanMs });
  return {
    kind: 'text',
    data: await scan(data),
    validation: validation === null ? null : await scan(validation),
  };
}

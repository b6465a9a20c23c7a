import { readPeftAdapter, settleOutput, type LoraAdapter } from '@emloc/checkpoint';
import { loadTokenizer, type ChatTokenizer, type TextSource } from '@emloc/dataset';
import type { DeviceTarget } from '@emloc/device';
import type { ImageReader } from '@emloc/images';
import { adaptableModules, openModel, textLimits, type Model } from '@emloc/models';
import { TextTables } from '@emloc/tasks';
import type { PagerObserver } from '@emloc/weight-pager';

import { imagesOf, type JobImages } from '../job/images.js';
import { behindFront } from '../job/job.js';
import { recordedLongestRow } from '../job/longest-row-record.js';
import { textSourceOf, withRecordedText } from '../job/text-record.js';
import { invalidOption } from '../options/checks.js';
import type { GenerateOptions } from '../options/resolve.js';

/** What answers run on, and who hears of it. */
export interface GenerateHost {
  readonly target: DeviceTarget;
  /** Parts of the text as they are made; together they are the text. */
  readonly onText?: (text: string) => void;
  /** Where images are decoded: by default in this thread, which is busy meanwhile. */
  readonly openImages?: () => ImageReader;
  /** Told what the user should know, such as tensors of the checkpoint that are not used. */
  readonly onNotice?: (message: string) => void;
  readonly pagerObserver?: PagerObserver;
  readonly signal?: AbortSignal;
}

/** Options of a model that answers. */
type ModelOptions = Pick<
  GenerateOptions,
  | 'model'
  | 'adapter'
  | 'allowUnusedLayers'
  | 'context'
  | 'date'
  | 'chatTemplate'
  | 'templateArgs'
  | 'maxTiles'
  | 'exifOrientation'
  | 'remoteImages'
> &
  Partial<Pick<GenerateOptions, 'imageRoot'>>;

/** A model that writes text, opened, with how texts become its tokens; nothing is on a device. */
export interface TextModel extends AsyncDisposable {
  readonly whole: Model;
  /** The model without what runs once an image. */
  readonly model: Model;
  readonly adapter: LoraAdapter | null;
  readonly source: TextSource;
  readonly tokenizer: ChatTokenizer;
  readonly tables: TextTables;
  /** Tokens of the longest row that the adapter was trained with; 0: not known. */
  readonly recordedRow: number;
  /** The images of rows; null: the model takes none. */
  imagesOf(rows: Parameters<typeof imagesOf>[0]): JobImages | null;
}

/**
 * Opens a model folder and an adapter, which remembers how the rows that it was trained with became
 * text.
 * @throws PipelineError PIPELINE_INVALID_OPTION; DatasetError; those of models and adapters
 */
export async function openTextModel(
  given: ModelOptions,
  { onNotice, signal }: Pick<GenerateHost, 'onNotice' | 'signal'>,
): Promise<TextModel> {
  for (const folder of [given.model, given.adapter ?? given.model]) await settleOutput(folder);
  const { allowUnusedLayers } = given;
  const whole = await openModel(given.model, { allowUnusedLayers, signal });
  try {
    for (const notice of whole.notices) onNotice?.(notice);
    assertContext(given, whole);
    const adapter = await adapterOf(given, { whole, signal });
    const options = await withRecordedText(given);
    const source = textSourceOf({ imageRoot: null, ...options }, whole);
    const { exifOrientation } = options;
    const touched = new Set(adapter?.layers.keys());
    const images: TextModel['imagesOf'] = (rows) =>
      imagesOf(rows, { layout: whole.layout, touched, exifOrientation });
    return {
      ...{ whole, adapter, source, imagesOf: images },
      model: behindFront(whole, images([])?.front?.blocks ?? 0),
      tokenizer: await loadTokenizer(options.model, source),
      tables: new TextTables(whole.layout, whole.tables),
      recordedRow: await recordedLongestRow(given.adapter),
      [Symbol.asyncDispose]: () => whole[Symbol.asyncDispose](),
    };
  } catch (error) {
    await whole[Symbol.asyncDispose]();
    throw error;
  }
}

/** @throws PipelineError PIPELINE_INVALID_OPTION */
function assertContext({ context }: Pick<ModelOptions, 'context'>, { layout }: Model): void {
  const { maxPositions } = textLimits(layout);
  if (context === null || context <= maxPositions) return;
  throw invalidOption('context', context, `at most the ${maxPositions} positions of the model`);
}

async function adapterOf(
  { adapter, model: base }: Pick<ModelOptions, 'adapter' | 'model'>,
  { whole, signal }: { readonly whole: Model; readonly signal?: AbortSignal },
): Promise<LoraAdapter | null> {
  if (adapter === null) return null;
  return readPeftAdapter(adapter, {
    linearModules: adaptableModules(whole.layout),
    base,
    signal,
  });
}

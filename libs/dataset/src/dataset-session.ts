import {
  readDataset,
  type DatasetRequest,
  type DatasetSummary,
  type RowOutcome,
} from './rows/read-dataset.js';
import { loadTokenizer, type TextOptions } from './templates/chat-tokenizer.js';

/** The model whose tokenizer and templates rows are read with. */
export interface TextSource extends TextOptions {
  /** The model's folder. */
  readonly folder: string;
}

/** How the rows of a session become text, for people. */
export interface TextDescription {
  readonly templates: readonly { readonly name: string; readonly origin: string }[];
  /** By name, as text. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

/** Reads files of rows with one model's tokenizer. */
export interface DatasetSession extends AsyncDisposable {
  /**
   * @throws DatasetError DATASET_TOKENIZER_INVALID, DATASET_TEMPLATE_INVALID,
   * DATASET_INVALID_OPTION
   */
  describe(): Promise<TextDescription>;
  /**
   * What became of each row, in the order of the file.
   * @throws DatasetError; the signal's reason
   */
  read(request: DatasetRequest, signal?: AbortSignal): AsyncGenerator<RowOutcome, DatasetSummary>;
  close(): Promise<void>;
}

export type OpenDatasetSession = (source: TextSource) => DatasetSession;

/** A session in this thread, which is busy while a row is rendered and tokenised. */
export function openDatasetSession({ folder, ...options }: TextSource): DatasetSession {
  let loading: ReturnType<typeof loadTokenizer> | undefined;
  const tokenizer = (): ReturnType<typeof loadTokenizer> =>
    (loading ??= loadTokenizer(folder, options));
  return {
    async describe() {
      const { templates, specialTokens } = await tokenizer();
      return {
        templates: templates.map(({ name, origin }) => ({ name, origin })),
        specialTokens: Object.fromEntries(specialTokens),
      };
    },
    async *read(request, signal) {
      const { images = null } = options;
      return yield* readDataset(request, { tokenizer: await tokenizer(), images, signal });
    },
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Codes of everything the data set library refuses; `docs/errors.md` explains each. */
export type DatasetErrorCode =
  | 'DATASET_UNREADABLE'
  | 'DATASET_INVALID_ROW'
  | 'DATASET_EMPTY'
  | 'DATASET_TOO_SMALL'
  | 'DATASET_INVALID_OPTION'
  | 'DATASET_TOKENIZER_INVALID'
  | 'DATASET_TEMPLATE_INVALID';

/** What is wrong with one row. Never holds text of the row itself. */
export interface RowProblem {
  /** 1-based line of the file. */
  readonly line: number;
  /** Path of the offending field, `messages[2].content` say; null: the line as a whole. */
  readonly field: string | null;
  readonly reason: string;
}

/** The one error type of this library. `problems` is filled for DATASET_INVALID_ROW only. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';

  constructor(
    readonly code: DatasetErrorCode,
    message: string,
    options?: ErrorOptions & { readonly problems?: readonly RowProblem[] },
  ) {
    super(message, options);
    this.problems = options?.problems ?? [];
  }

  readonly problems: readonly RowProblem[];
}

/** One row cannot be used. Caught by the loader, which adds file and line. */
export class RowError extends Error {
  override readonly name = 'RowError';

  constructor(
    readonly field: string | null,
    readonly reason: string,
  ) {
    super(reason);
  }
}

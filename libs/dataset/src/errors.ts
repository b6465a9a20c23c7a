/** Codes of everything the data set library refuses; `docs/errors.md` explains each. */
export type DatasetErrorCode =
  | 'DATASET_UNREADABLE'
  | 'DATASET_INVALID_ROW'
  | 'DATASET_EMPTY'
  | 'DATASET_TOO_SMALL'
  | 'DATASET_INVALID_OPTION'
  | 'DATASET_TEXT_LOST'
  | 'DATASET_TOKENIZER_INVALID'
  | 'DATASET_TEMPLATE_INVALID';

/** What is wrong with one row. */
export interface RowProblem {
  /** 1-based line of the file, or element of its JSON array. */
  readonly line: number;
  /** Path of the offending field, `messages[2].content` say; null: the row as a whole. */
  readonly field: string | null;
  /** Never holds text of the row. */
  readonly reason: string;
  /** A template's own words, which may hold text of the row: for its owner, never for a log. */
  readonly detail?: string;
}

/** The one error type of this library. `problems` is filled for DATASET_INVALID_ROW only. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';

  constructor(
    readonly code: DatasetErrorCode,
    message: string,
    options?: ErrorOptions & {
      readonly problems?: readonly RowProblem[];
      readonly messageForOwner?: string;
    },
  ) {
    super(message, options);
    this.problems = options?.problems ?? [];
    this.messageForOwner = options?.messageForOwner ?? message;
  }

  readonly problems: readonly RowProblem[];

  /** As `message`, with what may hold text of rows: for the terminal of whoever runs the job. */
  readonly messageForOwner: string;
}

/** One row cannot be used. Caught by the loader, which adds file and line. */
export class RowError extends Error {
  override readonly name = 'RowError';

  constructor(
    readonly field: string | null,
    readonly reason: string,
    readonly detail?: string,
  ) {
    super(reason);
  }

  problemOf(line: number): RowProblem {
    const { field, reason, detail } = this;
    return { line, field, reason, ...(detail === undefined ? {} : { detail }) };
  }
}

/** A row takes more time or memory than a row may, however it is looked at. */
export class RowLimitError extends RowError {}

/** A problem as one line of text. */
export function describeProblem(
  { line, field, reason, detail }: RowProblem,
  path: string,
  { forOwner }: { readonly forOwner: boolean },
): string {
  const words = forOwner && detail !== undefined ? `${reason}: ${detail}` : reason;
  const described = `${field === null ? '' : `${field} `}${words}`;
  return `${path}:${line}: ${described.replace(/[\r\n\u2028\u2029]+/g, ' ')}`;
}

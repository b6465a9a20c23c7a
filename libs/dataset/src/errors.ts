/** Codes of everything the data set library refuses; `docs/errors.md` explains each. */
export type DatasetErrorCode =
  | 'DATASET_UNREADABLE'
  | 'DATASET_INVALID_ROW'
  | 'DATASET_INVALID_PICTURES'
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
  /** What the row calls an image that cannot be used, for its owner; only where it is one. */
  readonly image?: string;
  /** Where the row is in a file that the file of rows lists. */
  readonly set?: RowSetName;
}

/** One of the data sets that a file lists. */
export interface RowSetName {
  /** 1-based. */
  readonly number: number;
  /** Its file, for the owner. */
  readonly file: string;
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

  /** All that is wrong with the row, which may be more than the error itself says. */
  problemsAt(place: RowPlace): readonly RowProblem[] {
    const { field, reason, detail } = this;
    return [{ ...place, field, reason, ...(detail === undefined ? {} : { detail }) }];
  }
}

/** Where a row is. */
export type RowPlace = Pick<RowProblem, 'line' | 'set'>;

/** An image that cannot be used: what the row calls it, and why. */
export type ImageProblem = Required<Pick<RowProblem, 'field' | 'reason' | 'image'>>;

/** Images of a row cannot be used. */
export class RowImagesError extends RowError {
  /** @param problems at least one */
  constructor(readonly problems: readonly ImageProblem[]) {
    super(problems.at(0)?.field ?? null, problems.at(0)?.reason ?? '');
  }

  override problemsAt(place: RowPlace): readonly RowProblem[] {
    return this.problems.map((problem) => ({ ...place, ...problem }));
  }
}

/** A row takes more time or memory than a row may, however it is looked at. */
export class RowLimitError extends RowError {}

/** A problem as one line of text. */
export function describeProblem(
  problem: RowProblem,
  path: string,
  { forOwner }: { readonly forOwner: boolean },
): string {
  return `${placeOf(problem, path, forOwner)}: ${problemWords(problem, { forOwner })}`;
}

/** The same without where the row is. */
export function problemWords(
  { field, reason, detail, image }: RowProblem,
  { forOwner }: { readonly forOwner: boolean },
): string {
  const words = forOwner && detail !== undefined ? `${reason}: ${detail}` : reason;
  const named = forOwner && image !== undefined ? `${image}: ${words}` : words;
  const separator = named === words ? ' ' : ': ';
  const described = field === null ? named : `${field}${separator}${named}`;
  return described.replace(/[\r\n\u2028\u2029]+/g, ' ');
}

function placeOf({ line, set }: RowPlace, path: string, forOwner: boolean): string {
  if (!set) return `${path}:${line}`;
  return forOwner ? `${set.file}:${line}` : `${path}: data set ${set.number}:${line}`;
}

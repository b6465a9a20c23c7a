import type { DatasetSession } from './dataset-session.js';
import type { EncodedRow } from './encoded-row.js';
import { DatasetError, describeProblem, type RowProblem } from './errors.js';
import type { DatasetReport } from './rows/dataset-report.js';
import type { DatasetRequest, DatasetSummary } from './rows/read-dataset.js';
import { maxProblems } from './rows/scan-rows.js';

/** Images that cannot be used are all named, up to this many; more are counted. */
const maxImageProblems = 5000;

/** So long a file is still read after its first problem, to name more than one. */
const graceMs = 500;

export interface LoadDatasetOptions extends Omit<DatasetRequest, 'withText'> {
  /** Whether it is an error that a template leaves out text of the assistant. */
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
}

export interface Dataset {
  /** In the order of the file. */
  readonly rows: readonly EncodedRow[];
  readonly report: DatasetReport;
  /** SHA-256 of the file's bytes, hexadecimal. */
  readonly sha256: string;
}

/**
 * Reads, checks and tokenises a whole data set. Errors name file, line and field; their message
 * never holds the content of a row.
 * @throws DatasetError DATASET_INVALID_ROW with the first problems, DATASET_TEXT_LOST,
 * DATASET_UNREADABLE, DATASET_EMPTY, DATASET_INVALID_OPTION; the signal's reason when aborted
 */
export async function loadDataset(
  session: DatasetSession,
  { strict = false, signal, ...request }: LoadDatasetOptions,
): Promise<Dataset> {
  const { path } = request;
  const rows: EncodedRow[] = [];
  const found = new FoundProblems();
  const outcomes = session.read(request, signal);
  let next = await outcomes.next();
  for (; next.done !== true; next = await outcomes.next()) {
    if (next.value.kind === 'row') rows.push(next.value.row);
    if (next.value.kind === 'bad') found.add(next.value.problems);
    if (found.isEnough()) break;
  }
  if (next.done !== true) {
    await outcomes.return(undefined as never);
    throw invalidRows(path, found, { isWhole: false });
  }
  if (found.problems.length > 0) throw invalidRows(path, found, { isWhole: true });
  return { rows, ...checked(next.value, request, strict) };
}

/** Problems of images are looked for to the end of the file; others soon end it. */
class FoundProblems {
  readonly problems: RowProblem[] = [];
  unnamedImages = 0;
  #images = 0;
  #stopMs = Infinity;

  add(problems: readonly RowProblem[]): void {
    for (const problem of problems) {
      if (problem.image === undefined)
        this.#stopMs = Math.min(this.#stopMs, performance.now() + graceMs);
      else this.#images += 1;
      if (problem.image === undefined || this.#images <= maxImageProblems)
        this.problems.push(problem);
      else this.unnamedImages += 1;
    }
  }

  isEnough(): boolean {
    const others = this.problems.length - Math.min(this.#images, maxImageProblems);
    return others >= maxProblems || performance.now() > this.#stopMs;
  }
}

function checked(
  summary: DatasetSummary,
  { path, maxLength }: Pick<DatasetRequest, 'path' | 'maxLength'>,
  strict: boolean,
): DatasetSummary {
  const { rows, droppedRows } = summary.report;
  if (rows === 0) {
    const reason =
      droppedRows === 0
        ? 'has no rows'
        : `none of its ${droppedRows} rows has a trained-on token within ${maxLength} tokens`;
    throw new DatasetError('DATASET_EMPTY', `${path}: ${reason}`);
  }
  if (strict) assertNoTextLost(path, summary.report);
  return summary;
}

/** @throws DatasetError DATASET_TEXT_LOST */
export function assertNoTextLost(
  path: string,
  { lostTextRows, sourceRows }: Pick<DatasetReport, 'lostTextRows' | 'sourceRows'>,
): void {
  if (lostTextRows > 0)
    throw new DatasetError(
      'DATASET_TEXT_LOST',
      `${path}: in ${lostTextRows} of ${sourceRows} rows the chat template leaves out text that the assistant wrote`,
    );
}

function invalidRows(
  path: string,
  { problems, unnamedImages }: FoundProblems,
  { isWhole }: { readonly isWhole: boolean },
): DatasetError {
  const stopped = `stopped after the first ${problems.length === 1 ? 'problem' : `${problems.length} problems`}`;
  const more = [
    ...(unnamedImages > 0 ? [`and ${unnamedImages} more images that cannot be used`] : []),
    ...(isWhole ? [] : [stopped]),
  ];
  const told = (forOwner: boolean): string =>
    [...problems.map((problem) => describeProblem(problem, path, { forOwner })), ...more].join(
      '\n',
    );
  return new DatasetError('DATASET_INVALID_ROW', told(false), {
    problems,
    messageForOwner: told(true),
  });
}

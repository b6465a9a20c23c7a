import process from 'node:process';
import { at } from '@emloc/checked';
import {
  assertNoTextLost,
  countOf,
  datasetWarnings,
  describePictures,
  describeProblem,
  openDatasetThread,
  pictureWarnings,
  problemWords,
  type RowImage,
  type RowOutcome,
  type RowProblem,
} from '@emloc/dataset';
import {
  modelKind,
  previewPictures,
  previewRows,
  resolvePreviewOptions,
  type PreviewedFile,
  type PreviewedRow,
  type PreviewSummary,
} from '@emloc/pipeline';

import { defineCommand, type CommandResult, type CommandTools } from '../command/define-command.js';
import { checkOptions, exitCodes } from '../exit-code.js';
import { tableOptions } from '../flags/options.js';
import { withModelFolder } from '../model-folder.js';
import {
  brackets,
  colours,
  droppedPreview,
  imageName,
  rowPreview,
  type Marks,
} from '../output/row-preview.js';
import { filesLines, rowsSummary } from '../output/rows-summary.js';
import { surveyLines } from '../output/survey-lines.js';
import { told, visible } from '../output/visible.js';
import { UsageError } from '../usage-error.js';

/** Rows that are shown to people; machines get all. */
const shownRows = 20;

export const command = defineCommand({
  argument: {
    name: '[file]',
    help: 'rows or a folder of pictures, as --data of tune',
    standsFor: ['data', 'dataWeights'],
  },
  options: tableOptions('data', 'model'),
  flags: {},
  notes:
    'With --json: for pictures one {"summary"}; for rows a line of JSON for each row, {"row", "part"?, "ids", "trained", "cut"?, "images"?}, {"row", "dropped"} or {"row", "error"},' +
    '\nand last {"summary"}. The exit code is 1 where a row is bad.',
  examples: [
    'data train.jsonl --model ./base --max-length 2048',
    'data photos/ --model ./flux --instance-prompt "a photo of sks dog"',
  ],
  run: async ({ argument, options: given, ...tools }) => {
    const { data = '', ...rest } = argument === undefined ? given : onlyFile(given, argument);
    if (data === '') throw new UsageError('missing: FILE (see --help)');
    const resolved = checkOptions(() => resolvePreviewOptions({ ...rest, data }));
    const options = await withModelFolder(resolved, tools);
    const kind = await modelKind(options.model);
    return kind === 'pictures' ? showPictures(options, tools) : showRows(options, tools);
  },
});

type Options = ReturnType<typeof resolvePreviewOptions>;

/** The file that the command names goes before those of flags or of a configuration file. */
function onlyFile<O extends object>(given: O, data: string) {
  return { ...given, data, moreData: [], dataWeights: null };
}

async function showRows(options: Options, tools: CommandTools): Promise<CommandResult> {
  const printer = new RowPrinter(tools, { hasFiles: options.moreData.length > 0 });
  const outcomes = previewRows(options, {
    openDataset: openDatasetThread,
    signal: tools.signal,
  });
  let next = await outcomes.next();
  for (; next.done !== true; next = await outcomes.next()) printer.print(next.value);
  printer.finish();
  const { report, files } = next.value;
  const document = { summary: summaryDocument(next.value, printer.badRows) };
  if (options.strict) {
    // The last line is the summary, also where the next one throws.
    if (report.lostTextRows > 0) tools.show({ document, text: '' });
    for (const file of files) assertNoTextLost(file.path, file.report);
  }
  return {
    document,
    text: [
      ...filesLines(files),
      ...rowsSummary(next.value),
      ...surveyLines(next.value.survey, files),
    ]
      .map(visible)
      .join('\n'),
    exitCode: printer.badRows > 0 ? exitCodes.failed : exitCodes.done,
  };
}

async function showPictures(options: Options, { signal }: CommandTools): Promise<CommandResult> {
  const pictures = await previewPictures(options, { signal });
  const { report, sha256 } = pictures;
  const warnings = pictureWarnings(report, { withNames: true });
  const lines = [...describePictures(pictures), ...warnings.map((each) => `warning: ${each}`)];
  return {
    document: { summary: { folder: options.data, sha256, ...report, warnings } },
    text: lines.map(visible).join('\n'),
  };
}

function summaryDocument(summary: PreviewSummary, badRows: number): unknown {
  const { report, files, text, date, maxLength, sha256, survey } = summary;
  return {
    ...(files.length === 1 ? { file: at(files, 0).path } : { files: files.map(fileDocument) }),
    sha256,
    date,
    maxLength,
    badRows,
    ...report,
    ...text,
    ...survey,
    warnings: datasetWarnings(report, { withNames: true }),
  };
}

function fileDocument({ path, sha256, weight, share, report }: PreviewedFile): unknown {
  return { file: path, sha256, weight, share, ...report };
}

/** Prints outcomes as they come: all as JSON lines, or the first ones as text. */
class RowPrinter {
  badRows = 0;
  #shown = 0;
  #notShown = 0;
  readonly #marks: Marks = process.stdout.isTTY && !process.env['NO_COLOR'] ? colours : brackets;

  constructor(
    private readonly tools: CommandTools,
    /** Whether rows are of several files, which are told with them then. */
    private readonly of: { readonly hasFiles: boolean },
  ) {}

  print({ path, outcome }: PreviewedRow): void {
    if (outcome.kind === 'bad') {
      this.badRows += 1;
      for (const problem of outcome.problems) {
        const line = describeProblem(problem, path, { forOwner: true });
        process.stderr.write(`${told(line)}\n`);
      }
    }
    const file = this.of.hasFiles ? { file: path } : {};
    if (this.tools.json)
      this.tools.show({ document: { ...file, ...documentOf(outcome) }, text: '' });
    else this.#show(outcome, this.of.hasFiles ? `${visible(path)} ` : '');
  }

  finish(): void {
    if (this.badRows > 0)
      process.stderr.write(
        `error: DATASET_INVALID_ROW: ${countOf(this.badRows, 'row')} cannot be used\n`,
      );
    if (this.#notShown > 0)
      process.stdout.write(`${countOf(this.#notShown, 'more row')} not shown (--json has all)\n\n`);
  }

  #show(outcome: RowOutcome, file: string): void {
    if (outcome.kind === 'bad') return;
    if (this.#shown >= shownRows) {
      this.#notShown += 1;
      return;
    }
    this.#shown += 1;
    const text =
      outcome.kind === 'row' ? rowPreview(outcome, this.#marks, visible) : droppedPreview(outcome);
    process.stdout.write(`${file}${text}\n\n`);
  }
}

function documentOf(outcome: RowOutcome): object {
  switch (outcome.kind) {
    case 'bad':
      return badDocument(outcome.problems);
    case 'dropped':
      return { row: outcome.line, ...partOf(outcome), dropped: outcome.reason };
    case 'row': {
      const { row, text } = outcome;
      return {
        row: row.line,
        ...partOf(row),
        ids: [...row.ids],
        trained: [...row.trained],
        ...(row.isCut ? { cut: true } : {}),
        ...(row.images ? { images: row.images.map(imageDocument) } : {}),
        ...(text
          ? { text: text.ranges.map(({ start, end }) => text.text.slice(start, end)).join('') }
          : {}),
      };
    }
  }
}

function imageDocument(image: RowImage): unknown {
  const { width, height, tiles, contextStart, contextTokens } = image;
  return {
    image: imageName(image),
    width,
    height,
    tiles,
    start: contextStart,
    tokens: contextTokens,
  };
}

function partOf({ part }: { readonly part?: number }): { readonly part?: number } {
  return part === undefined ? {} : { part };
}

function badDocument(problems: readonly RowProblem[]): object {
  const { line, set } = at(problems, 0);
  const words = problems.map((problem) => problemWords(problem, { forOwner: true }));
  return { row: line, ...(set ? { file: set.file } : {}), error: words.join('; ') };
}

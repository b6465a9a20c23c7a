import { mostColumns, type DatasetReport } from './dataset-report.js';

/** The reports of several files as one. @param reports at least one */
export function mergedReport(reports: readonly DatasetReport[]): DatasetReport {
  return reports.reduce(merged);
}

function merged(a: DatasetReport, b: DatasetReport): DatasetReport {
  return {
    sourceRows: a.sourceRows + b.sourceRows,
    rows: a.rows + b.rows,
    partedRows: a.partedRows + b.partedRows,
    truncatedRows: a.truncatedRows + b.truncatedRows,
    droppedRows: a.droppedRows + b.droppedRows,
    lostTextRows: a.lostTextRows + b.lostTextRows,
    tokens: a.tokens + b.tokens,
    trainedTokens: a.trainedTokens + b.trainedTokens,
    lostTokens: a.lostTokens + b.lostTokens,
    longestTokens: Math.max(a.longestTokens, b.longestTokens),
    images: a.images + b.images,
    tiles: a.tiles + b.tiles,
    augmentedSets: a.augmentedSets + b.augmentedSets,
    formats: {
      messages: a.formats.messages + b.formats.messages,
      completion: a.formats.completion + b.formats.completion,
      instruction: a.formats.instruction + b.formats.instruction,
      text: a.formats.text + b.formats.text,
    },
    unusedColumns: mergedColumns(a.unusedColumns, b.unusedColumns),
  };
}

type Columns = DatasetReport['unusedColumns'];

function mergedColumns(a: Columns, b: Columns): Columns {
  const counts = new Map(Object.entries(a));
  for (const [name, rows] of Object.entries(b)) {
    const known = counts.get(name);
    if (known !== undefined || counts.size < mostColumns) counts.set(name, (known ?? 0) + rows);
  }
  return Object.fromEntries(counts);
}

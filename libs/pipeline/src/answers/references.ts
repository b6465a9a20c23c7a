import { get } from '@emloc/checked';
import { readColumns, type ReadColumnsOptions } from '@emloc/dataset';
import { metrics, referenceOf, ScoreError, type MetricName, type Reference } from '@emloc/tasks';

/**
 * What answers to rows of a file are scored against, by line.
 * @throws ScoreError SCORE_NO_GOLD, SCORE_INVALID_REFERENCE, with file and line
 */
export async function referencesOf(
  metric: MetricName,
  {
    path,
    lines,
    ...options
  }: ReadColumnsOptions & { readonly path: string; readonly lines: ReadonlySet<number> },
): Promise<ReadonlyMap<number, Reference>> {
  const references = new Map<number, Reference>();
  for await (const { line, fields, lastAnswer } of readColumns(path, lines, options)) {
    try {
      const reference = referenceOf(fields, lastAnswer);
      metrics[metric].assertReference(reference);
      references.set(line, reference);
    } catch (error) {
      if (!(error instanceof ScoreError)) throw error;
      throw new ScoreError(error.code, `${path}:${line}: ${error.message}`);
    }
  }
  for (const line of lines) get(references, line);
  return references;
}

import type { Group } from './reference.js';

/** The score of one row. */
export interface ScoredRow {
  readonly score: number;
  readonly group: Group | undefined;
}

/** The mean of a part of the rows, or of another number than the score. */
export interface ScoreDetail {
  /** `split=human`, `questionType=1 language=en` or `f1` say. */
  readonly name: string;
  readonly score: number;
  readonly rows: number;
}

interface GroupedMean {
  readonly score: number;
  /** Every group, each before those within it. */
  readonly details: readonly ScoreDetail[];
}

/** Rows that do not say what others say are a group of their own. */
const unnamed = '(none)';

/**
 * The mean over the groups of the first key, of the means over the groups of the next within them,
 * and so on; rows within the last. A key that no row names is left out.
 */
export function meanOfGroups(
  rows: readonly ScoredRow[],
  keys: readonly (keyof Group)[],
  prefix = '',
): GroupedMean {
  const [key, ...inner] = keys;
  if (key === undefined) return { score: mean(rows.map(({ score }) => score)), details: [] };
  if (rows.every(({ group }) => group?.[key] === undefined))
    return meanOfGroups(rows, inner, prefix);
  const groups = [...membersByValue(rows, key)];
  const means = groups.map(([value, members]) => {
    const name = `${prefix}${key}=${value}`;
    const { score, details } = meanOfGroups(members, inner, `${name} `);
    return { score, details: [{ name, score, rows: members.length }, ...details] };
  });
  return {
    score: mean(means.map(({ score }) => score)),
    details: means.flatMap(({ details }) => details),
  };
}

/** In the order in which the values come first. */
function membersByValue(
  rows: readonly ScoredRow[],
  key: keyof Group,
): ReadonlyMap<string, readonly ScoredRow[]> {
  const groups = new Map<string, ScoredRow[]>();
  for (const row of rows) {
    const value = row.group?.[key] ?? unnamed;
    const members = groups.get(value);
    if (members) members.push(row);
    else groups.set(value, [row]);
  }
  return groups;
}

/** NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

import { at } from '@emloc/checked';

import type { BusPathName } from './bus-task.js';

/** The store is written, and then read. */
type BusRowName = Exclude<BusPathName, 'store'> | 'write' | 'read';

/** What was measured of one path. */
export interface BusResult {
  readonly name: BusRowName;
  readonly title: string;
  readonly totalBytes: number;
  /** One a round. */
  readonly seconds: number[];
  /** Growth of the largest resident size over the transfer. */
  senderExtraBytes: number;
  receiverExtraBytes: number;
  correct: boolean;
}

/** Shares of raw TCP that are asked for, and hoped for. */
const targets: Partial<Record<BusRowName, readonly [least: number, goal: number]>> = {
  write: [0.25, 0.35],
  read: [0.25, 0.35],
};

/** The median of each path, its share of raw TCP, and its memory, a line each. */
export function busTable(results: readonly BusResult[]): string {
  const raw = results.find(({ name }) => name === 'tcp');
  const rows = results.map((result) => [
    result.title,
    megabytesPerSecond(result).toFixed(0),
    raw ? ratio(result, raw).toFixed(2) : '-',
    target(result.name),
    mebibytes(result.senderExtraBytes),
    mebibytes(result.receiverExtraBytes),
    result.correct ? 'yes' : 'NO',
  ]);
  const all = [
    ['path', 'MB/s', 'of TCP', 'least / goal', 'sender +MiB', 'receiver +MiB', 'bytes right'],
    ...rows,
  ];
  const widths = at(all, 0).map((_, column) =>
    Math.max(...all.map((row) => at(row, column).length)),
  );
  return `${all.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(at(widths, column)) : cell.padStart(at(widths, column)))).join('  ')).join('\n')}\n`;
}

/** Median over the rounds. */
export function megabytesPerSecond({ totalBytes, seconds }: BusResult): number {
  const sorted = [...seconds].sort((a, b) => a - b);
  return totalBytes / 1e6 / at(sorted, sorted.length >> 1);
}

function ratio(result: BusResult, raw: BusResult): number {
  return megabytesPerSecond(result) / megabytesPerSecond(raw);
}

function target(name: BusRowName): string {
  const both = targets[name];
  return both ? `${both[0]} / ${both[1]}` : '-';
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}

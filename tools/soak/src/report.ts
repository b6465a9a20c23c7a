import { at } from '@emloc/checked';

import type { AppliedFault } from './bed/inject.js';
import type { Course, Quantity } from './holdings.js';
import type { RoundOutcome } from './outcome.js';
import type { Fault } from './plan/faults.js';

const MiB = 2 ** 20;

/** A line for each round as it ends. */
export function outcomeLine({
  plan,
  end,
  faults,
  seconds,
  acceptedMs,
  retries,
  problems,
}: RoundOutcome): string {
  const happened = faults.length === 0 ? 'undisturbed' : faults.map(faultText).join(', ');
  const verdict = problems.length === 0 ? end : `FAILED: ${problems.join('; ')}`;
  const name = `${plan.kind} ${plan.index}`;
  return `${name.padEnd(14)} ${seconds.toFixed(1).padStart(6)} s  ${acceptedText(acceptedMs)}  ${String(retries).padStart(2)} retries  ${verdict}  [${happened}]`;
}

function acceptedText(acceptedMs: number | null): string {
  return acceptedMs === null
    ? 'not accepted       '
    : `accepted in ${acceptedMs.toFixed(0).padStart(4)} ms`;
}

function faultText({ fault, afterMs }: AppliedFault): string {
  return `${describe(fault)} at ${(afterMs / 1000).toFixed(1)} s`;
}

function describe(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
    case 'terminate':
      return `${fault.kind} ${fault.process}`;
    case 'pause':
      return `pause ${fault.process} for ${fault.seconds.toFixed(1)} s`;
    case 'fill':
      return `fill the ${fault.what} for ${fault.seconds.toFixed(1)} s`;
    case 'cancel':
      return 'cancel';
  }
}

export interface Results {
  /** Undisturbed jobs, before the first round of each deployment. */
  readonly warm: readonly RoundOutcome[];
  readonly rounds: readonly RoundOutcome[];
  readonly courses: readonly Course[];
}

/** The tables at the end. */
export function summary({ warm, rounds, courses }: Results): string {
  const outcomes = [...warm, ...rounds];
  const wrong = outcomes.filter(({ problems }) => problems.length > 0).length;
  const growing = courses.filter(({ isFlat }) => isFlat === false).length;
  return [
    table(
      ['kind', 'rounds', 'identical', 'failed', 'cancelled', 'left over', 'wrong', 'recovery s'],
      [
        ...[...new Set(rounds.map(({ plan }) => plan.kind))].map((kind) =>
          kindRow(
            kind,
            rounds.filter(({ plan }) => plan.kind === kind),
          ),
        ),
        kindRow('warming up', warm),
      ],
    ),
    table(
      ['bed', 'process', 'lives', 'rounds', 'memory MiB', 'descriptors', 'growth'],
      processRows(courses),
    ),
    table(
      ['bed', 'rounds', 'streams', 'consumers', 'stored KiB', 'most of it', 'growth'],
      storeRows(courses),
    ),
    `soak: ${outcomes.length - wrong} of ${outcomes.length} rounds right, ${growing} quantities grow, ${outcomes.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(0)} s of jobs`,
  ].join('\n\n');
}

function kindRow(kind: string, own: readonly RoundOutcome[]): string[] {
  const count = (holds: (outcome: RoundOutcome) => boolean): string =>
    String(own.filter(holds).length);
  return [
    kind,
    String(own.length),
    count(({ end }) => end === 'identical'),
    count(({ end }) => !['identical', 'cancelled', 'different', 'unknown'].includes(end)),
    count(({ end }) => end === 'cancelled'),
    String(own.reduce((sum, { leftovers }) => sum + leftovers.length, 0)),
    count(({ problems }) => problems.length > 0),
    recoveryText(own.flatMap(({ recoverySeconds }) => recoverySeconds)),
  ];
}

/** Median and most. */
function recoveryText(seconds: readonly number[]): string {
  const sorted = [...seconds].sort((a, b) => a - b);
  const [median, most] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  return median === undefined || most === undefined
    ? '-'
    : `${median.toFixed(1)}, at most ${most.toFixed(1)}`;
}

function processRows(courses: readonly Course[]): string[][] {
  return courses
    .filter(({ quantity }) => quantity === 'memory')
    .map((memory) => {
      const descriptors = sibling(courses, memory, 'descriptors');
      return [
        memory.bed,
        memory.of,
        String(memory.lives),
        String(memory.rounds),
        change(memory, MiB),
        change(descriptors, 1),
        growth([memory, descriptors]),
      ];
    });
}

function storeRows(courses: readonly Course[]): string[][] {
  return courses
    .filter(({ quantity }) => quantity === 'streams')
    .map((streams) => {
      const [consumers, stored] = [
        sibling(courses, streams, 'consumers'),
        sibling(courses, streams, 'stored'),
      ];
      return [
        streams.bed,
        String(streams.rounds),
        change(streams, 1),
        change(consumers, 1),
        change(stored, 1024),
        stored?.most ?? '-',
        growth([streams, consumers, stored]),
      ];
    });
}

function sibling(
  courses: readonly Course[],
  { bed, of }: Course,
  wanted: Quantity,
): Course | undefined {
  return courses.find((one) => one.bed === bed && one.of === of && one.quantity === wanted);
}

function change(course: Course | undefined, unit: number): string {
  return course ? `${Math.round(course.first / unit)} to ${Math.round(course.last / unit)}` : '-';
}

function growth(courses: readonly (Course | undefined)[]): string {
  const known = courses.flatMap((course) => (course ? [course] : []));
  const growing = known.filter(({ isFlat }) => isFlat === false);
  if (growing.length > 0) return `GROWS: ${growing.map(({ quantity }) => quantity).join(', ')}`;
  return known.some(({ isFlat }) => isFlat === null) ? 'too few rounds' : 'flat';
}

function table(head: readonly string[], rows: readonly string[][]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => at(row, column).length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(at(widths, column)))
      .join('  ')
      .trimEnd();
  return all.map(line).join('\n');
}

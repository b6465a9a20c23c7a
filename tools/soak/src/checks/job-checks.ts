import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '@emloc/checked';
import type { Job, JobEvent } from '@emloc/sdk';

import type { ObservedExit } from '../bed/bed.js';
import type { AppliedFault } from '../bed/inject.js';
import { blockCount } from '../reference.js';
import type { LayerResults } from './layer-results.js';

/** Sequences from 1 without gaps, up to the last. */
export function eventProblems(
  events: readonly JobEvent[],
  job: Pick<Job, 'lastEventSequence'> | null,
): string[] {
  const wrong = events.findIndex(({ sequence }, index) => sequence !== index + 1);
  if (wrong >= 0) return [`event ${wrong + 1} has the sequence ${at(events, wrong).sequence}`];
  if (job && job.lastEventSequence !== events.length)
    return [`${events.length} events, the last of the job is ${job.lastEventSequence}`];
  return [];
}

/** Each layer has one result, whoever computed it and however often. */
export function layerProblems(
  { results }: Pick<LayerResults, 'results'>,
  { mustHaveAll }: { readonly mustHaveAll: boolean },
): string[] {
  const several = [...results]
    .filter(([, different]) => different.size > 1)
    .map(([layer, different]) => `${layer} has ${different.size} results`);
  return mustHaveAll && results.size !== blockCount
    ? [...several, `${results.size} layers have results, not ${blockCount}`]
    : several;
}

/**
 * Every end of a process has its reason among the faults; one that was asked to end does so with 0.
 */
export function processProblems(
  exits: readonly ObservedExit[],
  applied: readonly Pick<AppliedFault, 'fault' | 'problem' | 'alsoKilled'>[],
): string[] {
  const expected = applied.flatMap(expectedExits);
  const unexpected = exits.filter((exit) => {
    const index = expected.findIndex(
      ({ process, code }) => process === exit.process && code === exit.code,
    );
    if (index >= 0) expected.splice(index, 1);
    return index < 0;
  });
  return [
    ...applied.flatMap(({ problem }) => problem ?? []),
    ...unexpected.map(({ process, code, signal }) => `${process} ended with ${signal ?? code}`),
    ...expected.map(
      ({ process, code }) => `${process} did not end${code === null ? '' : ` with ${code}`}`,
    ),
  ];
}

function expectedExits({
  fault,
  alsoKilled,
}: Pick<AppliedFault, 'fault' | 'alsoKilled'>): { process: string; code: number | null }[] {
  const killed = alsoKilled.map((process) => ({ process, code: null }));
  if (fault.kind === 'kill') return [...killed, { process: fault.process, code: null }];
  if (fault.kind === 'terminate') return [...killed, { process: fault.process, code: 0 }];
  return killed;
}

/** Answers that tell of a defect, whatever was asked. */
const defects: readonly string[] = ['INTERNAL', 'UNKNOWN'];

/** A job that fails says why, by a code that is documented. */
export function failureProblems(error: Job['error'], documented: ReadonlySet<string>): string[] {
  if (!error) return ['the job failed and does not say why'];
  const { code, reason, message } = error;
  const isTyped = reason === code ? !defects.includes(code) : documented.has(reason);
  return isTyped ? [] : [`the job failed without a documented code: ${reason}: ${message}`];
}

/** Codes with a line of their own in the documentation. */
export async function documentedCodes(root: string): Promise<ReadonlySet<string>> {
  const text = await readFile(join(root, 'docs/errors.md'), 'utf8');
  const codes = new Set(
    [...text.matchAll(/^\| `([A-Z][A-Z0-9_]+)`/gm)].flatMap(([, code]) => code ?? []),
  );
  if (codes.size === 0) throw new Error('docs/errors.md documents no code');
  return codes;
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { createDice } from './dice.js';
import { documentedCodes, problemOf, refusalOf, type Outcome } from './judge.js';
import type { Target, Workplace } from './target.js';
import { openRequestsTarget } from './targets/requests.js';
import { openYamlTarget } from './targets/yaml.js';
import type { CaseReport, CaseRequest } from './thread-messages.js';

type OwnTarget = Target & Partial<AsyncDisposable>;

const openers: Readonly<Record<string, (place: Workplace) => Promise<OwnTarget>>> = {
  yaml: openYamlTarget,
  requests: openRequestsTarget,
};

export interface HereRunner extends AsyncDisposable {
  run(request: CaseRequest): Promise<CaseReport>;
}

/** Runs cases that are read in processes of their own. */
export function runHere(place: Workplace): HereRunner {
  const opened = new Map<string, Promise<OwnTarget>>();
  const codes = readFile(join(place.root, 'docs/errors.md'), 'utf8').then(documentedCodes);
  return {
    run: async ({ target: name, seed, index }) => {
      const opening = opened.get(name) ?? openers[name]?.(place);
      if (!opening) throw new Error(`there is no target ${name}`);
      opened.set(name, opening);
      const target = await opening;
      const outcome = await target
        .run(createDice(seed, `${name} ${index}`))
        .then((): Outcome => ({ kind: 'taken' }), refusalOf);
      const expected = { codes: await codes, place: target.place };
      return { isTaken: outcome.kind === 'taken', problem: problemOf(outcome, expected) };
    },
    [Symbol.asyncDispose]: async () => {
      for (const opening of opened.values()) await (await opening)[Symbol.asyncDispose]?.();
    },
  };
}

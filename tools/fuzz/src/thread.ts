import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { required } from '@emloc/checked';

import { createDice } from './dice.js';
import { documentedCodes, problemOf, refusalOf, type Outcome } from './judge.js';
import type { Target, Workplace } from './target.js';
import { threadTargets } from './targets/index.js';
import type { CaseReport, CaseRequest } from './thread-messages.js';

const place = workerData as Workplace;
const codes = documentedCodes(await readFile(join(place.root, 'docs/errors.md'), 'utf8'));
const opened = new Map<string, Promise<Target>>();

parentPort?.on('message', (request: CaseRequest) => {
  void report(request).then((answer) => parentPort?.postMessage(answer));
});

async function report({ target: name, seed, index }: CaseRequest): Promise<CaseReport> {
  const target = opened.get(name) ?? required(threadTargets[name], `target ${name}`)(place);
  opened.set(name, Promise.resolve(target));
  const { place: expected, run } = await target;
  const outcome = await run(createDice(seed, `${name} ${index}`)).then(
    (): Outcome => ({ kind: 'taken' }),
    refusalOf,
  );
  return {
    isTaken: outcome.kind === 'taken',
    problem: problemOf(outcome, { codes, place: expected }),
  };
}

import { parentPort, workerData } from 'node:worker_threads';

import { openDatasetSession, type TextSource } from '../dataset-session.js';
import type { DatasetSummary, RowOutcome } from '../rows/read-dataset.js';
import { toWireError, type FromThread, type ToThread } from './messages.js';

/** Outcomes in an answer, and tokens after which it is sent sooner. */
const [mostOutcomes, mostTokens] = [256, 2 ** 18];

/** Outcomes in the next answer: few at first, so that something is seen at once. */
let nextCount = 1;

const session = openDatasetSession(workerData as TextSource);
let reading: AsyncGenerator<RowOutcome, DatasetSummary> | undefined;

parentPort?.on('message', (message: ToThread) => {
  void answer(message)
    .catch((error: unknown): FromThread => ({ type: 'failed', error: toWireError(error) }))
    .then((response) => parentPort?.postMessage(response));
});

async function answer(message: ToThread): Promise<FromThread> {
  switch (message.type) {
    case 'describe':
      return { type: 'described', description: await session.describe() };
    case 'read':
      reading = session.read(message.request);
      nextCount = 1;
      return nextOutcomes(reading);
    case 'next':
      if (!reading) throw new Error('nothing is read');
      return nextOutcomes(reading);
    case 'stop':
      await reading?.return(undefined as never);
      reading = undefined;
      return { type: 'stopped' };
  }
}

/** The end comes alone, after the last outcomes. */
async function nextOutcomes(
  source: AsyncGenerator<RowOutcome, DatasetSummary>,
): Promise<FromThread> {
  const outcomes: RowOutcome[] = [];
  let tokens = 0;
  while (outcomes.length < nextCount && tokens < mostTokens) {
    const next = await source.next();
    if (next.done === true) {
      if (outcomes.length === 0) return { type: 'end', summary: next.value };
      reading = ended(next.value);
      break;
    }
    outcomes.push(next.value);
    if (next.value.kind === 'row') tokens += next.value.row.ids.length;
    // What is wrong is told at once.
    if (next.value.kind === 'bad') break;
  }
  nextCount = Math.min(mostOutcomes, 2 * nextCount);
  return { type: 'outcomes', outcomes };
}

// eslint-disable-next-line require-yield -- all outcomes were sent
async function* ended(summary: DatasetSummary): AsyncGenerator<RowOutcome, DatasetSummary> {
  return await Promise.resolve(summary);
}

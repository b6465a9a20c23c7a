import type { RefineRequest, StoredObject } from '@emloc/contracts';
import type { TensorRecord } from '@emloc/pipeline';
import type { StageAttempt } from '@emloc/stage';

import type { TrainingTask } from './contract.js';
import { refineStage } from './train.js';

const record = (name: string): TensorRecord => ({ tensors: [], attributes: { name } });

/** The task that the engine gets for a request to refine. */
async function taskOf(request: Partial<RefineRequest>): Promise<TrainingTask> {
  const tasks: TrainingTask[] = [];
  const stop = new Error('seen');
  const attempt = {
    job: 'j',
    token: 1,
    record: { fence: 1, checkpoint: null, result: null },
    records: { read: async (_kind: string, name: string) => record(name) },
    storage: { openLayers: async () => ({ states: async () => new Map() }) },
    runEngine: async (task: TrainingTask) => {
      tasks.push(task);
      throw stop;
    },
  } as unknown as StageAttempt;
  const stage = refineStage({ checkpointSteps: 7 });
  await expect(stage.run(attempt, request as RefineRequest)).rejects.toBe(stop);
  const [task] = tasks;
  if (!task) throw new Error('the engine got no task');
  return task;
}

const object = (name: string): StoredObject => ({ name }) as StoredObject;

test('refinement starts from the given adapter with a fresh optimizer', async () => {
  expect(await taskOf({ adapter: object('corrected'), loss: 1 })).toEqual({
    stage: 'refine',
    adapter: record('corrected'),
    trained: null,
    checkpointSteps: 7,
  });
});

test('a last level gets what training left, too', async () => {
  const request = { adapter: object('corrected'), loss: 1, trained: object('trained') };
  expect((await taskOf(request)).trained).toEqual(record('trained'));
});

import { finishStage, newJobRecord, startJob, startStage } from '../jobs/transitions.js';
import { requestOf } from './stage-results.js';

const job = {
  id: 'j',
  tenant: 't',
  requestHash: '',
  displayName: '',
  merge: null,
  isEmulated: true,
  modelKind: 'text' as const,
  spec: { bucket: '', key: '', revision: 1 },
};

function refineRequest(options: Parameters<typeof newJobRecord>[0]['options']) {
  const now = new Date(0);
  const trained = { adapter: { bucket: 'tensors', name: 'j/train' } };
  const corrected = {
    adapter: { bucket: 'tensors', name: 'j/correct' },
    correction: { chosen: 'none', scores: { none: 2.5 } },
  };
  const record = [
    startJob,
    startStage('train'),
    finishStage('train', trained),
    startStage('correct'),
    finishStage('correct', corrected),
    startStage('refine'),
  ].reduce(
    (current, transition) => transition(current, now),
    newJobRecord({ ...job, options }, now),
  );
  return requestOf('refine', record);
}

test('refinement starts from the corrected adapter', () => {
  const request = refineRequest({});
  expect(request).toMatchObject({ adapter: { name: 'j/correct' }, loss: 2.5 });
  expect('trained' in request).toBe(false);
});

test('as the last of levels it goes on with what training left of its optimizer, too', () => {
  expect(refineRequest({ levels: '0.25:2,1:2' })).toMatchObject({
    adapter: { name: 'j/correct' },
    trained: { name: 'j/train' },
  });
});

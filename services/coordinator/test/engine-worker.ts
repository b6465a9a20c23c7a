import { serveWorker } from '@emloc/service/worker';

import type { EngineWorkerContract } from '../src/outcome/worker-contract.js';

/** A thread that does what the name of the model says, for tests of what threads are ended for. */
serveWorker<EngineWorkerContract>(async (task, { emit }) => {
  if (task.kind === 'ready') return { kind: 'ready' };
  const { model } = task.kind === 'outcome' ? { model: 'outcome' } : task.options;
  const found = { kind: 'pictures', problems: [] } as const;
  switch (model) {
    case 'pattern without end':
      emit('targets');
      return {
        kind: 'inspect',
        isEmulated: /^(a+)+$/.test(`${'a'.repeat(60)}b`),
        isUndecided: false,
        decided: {},
        found,
      };
    case 'waits for ever':
      emit('data');
      return new Promise(() => undefined);
    case 'takes all memory': {
      emit('data');
      const rows: object[] = [];
      for (;;) rows.push({ row: Array.from({ length: 1000 }, (_, index) => `${index}`) });
    }
    case 'ends its thread':
      emit('model');
      return process.exit(3);
    case 'is refused':
      emit('ratios');
      throw Object.assign(new Error('it is'), { code: 'EMULATOR_INVALID_RATIO' });
    default:
      emit('options');
      return { kind: 'inspect', isEmulated: true, isUndecided: false, decided: {}, found };
  }
});

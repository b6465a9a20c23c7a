import { ServiceError } from '../errors.js';
import { serveWorker } from '../worker/serve.js';
import type { EchoContract } from './echo-contract.js';

serveWorker<EchoContract>(async (task, { signal, isAborted, emit, request }) => {
  switch (task.kind) {
    case 'echo':
      emit({ step: 1 });
      emit({ step: 2 });
      return `${task.text} ${await request({ question: task.text })}`;
    case 'throw':
      throw new ServiceError('WORKER_FAILED', 'too late', { cause: new RangeError('inner') });
    case 'exit':
      return process.exit(3);
    case 'spin':
      emit({ step: 0 });
      while (!isAborted()) continue;
      return 'saw the flag';
    case 'wait':
      emit({ step: 0 });
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
      throw new Error('aborted');
  }
});

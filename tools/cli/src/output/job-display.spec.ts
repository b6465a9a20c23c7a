import type { JobEvent } from '@emloc/sdk';

import { createJobDisplay } from './job-display.js';
import { createProgress } from './progress.js';

const at = (seconds: number) => ({ sequence: seconds + 1, time: new Date(seconds * 1000) });

const step: JobEvent = {
  ...at(1),
  ...{ type: 'step', stage: 'train', level: 1, step: 1, steps: 1, loss: 0.5, tokens: 64 },
  ...{ learningRate: 1e-3, gradientNorm: 1, seconds: 0.1, stallSeconds: 0, anchor: false },
  ...{ deviceBytes: 1, peakDeviceBytes: 2, budgetBytes: 3 },
};

const stage = (seconds: number, state: 'started' | 'finished'): JobEvent => ({
  ...at(seconds),
  ...{ type: 'stage', stage: 'train', state, attempt: 1, error: null },
});

it('says of a stage how long it took, and the loss that it came to', () => {
  let text = '';
  const stream = { isTTY: false, write: (written: string) => (text += written) !== '' };
  const display = createJobDisplay(
    createProgress({ stream: stream as unknown as NodeJS.WriteStream }),
  );
  for (const event of [stage(0, 'started'), step, stage(3, 'finished')]) display.onEvent(event);
  expect(text).toBe('train: finished after 3.0 s, loss 0.5000\n');
});

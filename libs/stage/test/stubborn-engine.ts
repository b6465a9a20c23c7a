import { serveWorker } from '@emloc/service/worker';

import type { EngineContract } from '../src/contract.js';

export type StubbornContract = EngineContract<
  { readonly kind: 'quick' | 'stubborn' | 'asks' },
  { readonly type: 'question' },
  string,
  { readonly answer: string }
>;

/** Asks for device memory, then does as its task says; `stubborn` listens to nobody. */
serveWorker<StubbornContract>(async (task, { request, emit }) => {
  await request({ type: 'device', device: 'cpu', bytes: 60, totalBytes: 100, leave: undefined });
  emit({ type: 'notice', message: 'granted' });
  if (task.kind === 'asks') return { answer: String(await request({ type: 'question' })) };
  if (task.kind === 'stubborn') for (;;) continue;
  return { answer: 'done' };
});

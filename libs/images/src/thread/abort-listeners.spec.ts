import { getEventListeners } from 'node:events';

import { AbortListeners } from './abort-listeners.js';

describe('many that wait on a signal', () => {
  it('are one listener, however many there were before', () => {
    const { signal } = new AbortController();
    const listeners = new AbortListeners();
    for (let i = 0; i < 100; i += 1) {
      const listening = listeners.listen(signal, () => undefined);
      if (i % 2 === 0) listening[Symbol.dispose]();
    }
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  });

  it('hear of it once each, but those that stopped listening', () => {
    const abort = new AbortController();
    const listeners = new AbortListeners();
    const heard: string[] = [];
    listeners.listen(abort.signal, () => heard.push('first'));
    listeners.listen(abort.signal, () => heard.push('second'))[Symbol.dispose]();
    listeners.listen(abort.signal, () => heard.push('third'));
    abort.abort();
    expect(heard).toEqual(['first', 'third']);
  });
});

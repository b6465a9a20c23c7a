import { allDone } from './all-done.js';

describe('allDone', () => {
  it('gives what all gave, in their order', async () => {
    const slow = new Promise<number>((resolve) => setImmediate(resolve, 1));
    const all = allDone([slow, Promise.resolve(2)]);
    expect(await all).toEqual([1, 2]);
    expect(await allDone([])).toEqual([]);
  });

  it('fails only when all have ended, with what came first in the list', async () => {
    let fail = (_: Error): void => undefined;
    const slow = new Promise<number>((_, reject) => {
      fail = reject;
    });
    let ended = false;
    const all = allDone([slow, Promise.reject(new Error('second'))]).finally(() => {
      ended = true;
    });
    const failed = expect(all).rejects.toThrow('first');
    await new Promise(setImmediate);
    expect(ended).toBe(false);
    fail(new Error('first'));
    await failed;
  });
});

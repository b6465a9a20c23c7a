import { Turns } from './turns.js';

const stays = new AbortController().signal;

/** Work that is over when it is told to be. */
function work(): { readonly run: () => Promise<void>; readonly end: () => void; begun: boolean } {
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => (end = resolve));
  const made = {
    begun: false,
    end: () => end(),
    run: () => {
      made.begun = true;
      return over;
    },
  };
  return made;
}

describe('turns', () => {
  it('come one at a time, in the order in which they were asked for', async () => {
    const turns = new Turns(4);
    const order: number[] = [];
    let running = 0;
    const all = [0, 1, 2, 3].map((number) =>
      turns.run(stays, async () => {
        running += 1;
        expect(running).toBe(1);
        await Promise.resolve();
        order.push(number);
        running -= 1;
      }),
    );
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it('are refused where as many wait as may, and given again afterwards', async () => {
    const turns = new Turns(1);
    const [first, second] = [work(), work()];
    const running = turns.run(stays, first.run);
    const waiting = turns.run(stays, second.run);
    expect(() => turns.assertRoom()).toThrow(expect.objectContaining({ status: 503 }));
    await expect(turns.run(stays, () => Promise.resolve())).rejects.toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
    });
    expect(second.begun).toBe(false);
    first.end();
    second.end();
    await Promise.all([running, waiting]);
    await turns.run(stays, () => Promise.resolve());
  });

  it('pass who left while waiting', async () => {
    const turns = new Turns(2);
    const [first, gone, last] = [work(), work(), work()];
    const running = turns.run(stays, first.run);
    const leaving = new AbortController();
    const left = turns.run(leaving.signal, gone.run);
    const waiting = turns.run(stays, last.run);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    turns.assertRoom();
    first.end();
    await running;
    last.end();
    await waiting;
    expect([gone.begun, last.begun]).toEqual([false, true]);
  });

  it('come after work that failed', async () => {
    const turns = new Turns(1);
    const failed = turns.run(stays, () => Promise.reject(new Error('failed')));
    const next = turns.run(stays, () => Promise.resolve('done'));
    await expect(failed).rejects.toThrow('failed');
    expect(await next).toBe('done');
  });

  it('are over when nothing runs and nothing waits', async () => {
    const turns = new Turns(1);
    await turns.idle();
    const [first, second] = [work(), work()];
    const all = [turns.run(stays, first.run), turns.run(stays, second.run)];
    let isIdle = false;
    const idle = turns.idle().then(() => (isIdle = true));
    first.end();
    await all[0];
    expect([second.begun, isIdle]).toEqual([true, false]);
    second.end();
    await idle;
    await all[1];
  });

  it('come never to who was gone before', async () => {
    const turns = new Turns(1);
    const begun = work();
    await expect(turns.run(AbortSignal.abort(new Error('gone')), begun.run)).rejects.toThrow(
      'gone',
    );
    expect(begun.begun).toBe(false);
    expect(await turns.run(stays, () => Promise.resolve(1))).toBe(1);
  });
});

import { nextTurn } from '@emloc/time';

import { createShutdown } from './shutdown.js';

function create(graceMs = 1000) {
  const codes: number[] = [];
  const order: string[] = [];
  const shutdown = createShutdown({
    graceMs,
    exit: (code) => codes.push(code),
    onStep: (name, error) => order.push(error ? `${name}: ${error.message}` : name),
  });
  return { shutdown, codes, order };
}

test('drops readiness first, then ends what was added last first, and exits 0', async () => {
  const { shutdown, codes, order } = create();
  shutdown.ready();
  shutdown.add('nats', () => {
    expect(shutdown.isReady).toBe(false);
  });
  shutdown.add('work', () => nextTurn());
  expect(shutdown.isReady).toBe(true);
  const [first, second] = [shutdown.request('test'), shutdown.request('again')];
  expect(shutdown.signal.aborted).toBe(true);
  expect(await first).toBe(0);
  expect(await second).toBe(0);
  expect([order, codes]).toEqual([['work', 'nats'], [0]]);
});

test('exits within the grace period when a step hangs or throws, and says which', async () => {
  const { shutdown, codes, order } = create(50);
  shutdown.add('nats', () => undefined);
  shutdown.add('throws', () => {
    throw new Error('disk full');
  });
  shutdown.add('hangs', () => new Promise(() => undefined));
  expect(await shutdown.request('test')).toBe(1);
  expect([order, codes]).toEqual([
    ['hangs: hangs was not done within the grace period', 'throws: disk full', 'nats'],
    [1],
  ]);
});

test.each(['SIGTERM', 'SIGHUP'] as const)('%s asks for the end once', async (signal) => {
  const { shutdown, codes } = create();
  const stop = shutdown.listen();
  process.emit(signal);
  process.emit(signal);
  await shutdown.request('test');
  stop();
  expect(codes).toEqual([0]);
});

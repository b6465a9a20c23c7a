import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNatsServer, forgetNatsPorts, readNatsPorts } from '@emloc/nats';
import { startNatsServer } from '@emloc/nats/testing';
import { FakeClock, until } from '@emloc/time/testing';

import { jetStreamHangs } from './jetstream-watch.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-watch-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const [everyMs, limitMs] = [250, 500];
/** Much longer than anything takes. */
const answerMs = 60_000;

/** A watch of a server, whose looks a test lets come one after the other. */
function watch(server: string, withinMs: number) {
  const [clock, stop] = [new FakeClock(), new AbortController()];
  let looks = 0;
  const verdict = jetStreamHangs(
    { servers: [server] },
    { everyMs, answerMs: withinMs, limitMs, signal: stop.signal, clock },
  );
  let isOver = false;
  const over = (): void => void (isOver = true);
  verdict.then(over, over);
  const untilWaiting = (): Promise<boolean> =>
    until(() => isOver || clock.pending > 0, 'the watch waits for its next look');
  /** Resolves to false where the watch has ended in place of another look. */
  const look = async (): Promise<boolean> => {
    await untilWaiting();
    if (isOver) return false;
    await clock.advance(everyMs);
    looks += 1;
    return true;
  };
  return { verdict, look, untilWaiting, stop, looks: () => looks };
}

test('a server that answers, but not for its store, is told; the watch ends with its signal', async () => {
  const binary = findNatsServer();
  forgetNatsPorts(folder);
  // Without JetStream.
  const child = spawn(binary, ['-a', '127.0.0.1', '-p', '-1', '--ports_file_dir', folder], {
    stdio: 'ignore',
  });
  try {
    const { port } = await until(
      () => readNatsPorts(folder, { binary, pid: child.pid ?? 0 }),
      'the server tells its port',
    );
    const hanging = watch(`127.0.0.1:${port}`, 300);
    while (await hanging.look());
    expect([await hanging.verdict, hanging.looks()]).toEqual([true, limitMs / everyMs]);
    const ended = watch(`127.0.0.1:${port}`, 300);
    await ended.look();
    ended.stop.abort();
    expect(await ended.verdict).toBe(false);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a server that is well, or that stands still, is not', async () => {
  const server = await startNatsServer({ storeDir: join(folder, 'nats') });
  const pid = server.pid ?? 0;
  const looks = limitMs / everyMs + 1;
  try {
    const [well, still] = [watch(server.url, answerMs), watch(server.url, 50)];
    for (let count = 0; count < looks; count += 1) expect(await well.look()).toBe(true);
    well.stop.abort();
    expect(await well.verdict).toBe(false);
    // It is connected, and waits for its first look.
    expect(await still.look()).toBe(true);
    process.kill(pid, 'SIGSTOP');
    for (let count = 0; count < looks; count += 1) expect(await still.look()).toBe(true);
    process.kill(pid, 'SIGCONT');
    still.stop.abort();
    expect(await still.verdict).toBe(false);
  } finally {
    process.kill(pid, 'SIGCONT');
    await server.stop();
  }
});

test('a watch ends with its signal at once, also while it waits for its next look or for an answer', async () => {
  const server = await startNatsServer({ storeDir: join(folder, 'nats-too') });
  const pid = server.pid ?? 0;
  try {
    const [waiting, asking] = [watch(server.url, answerMs), watch(server.url, answerMs)];
    for (const each of [waiting, asking]) expect(await each.look()).toBe(true);
    await Promise.all([waiting, asking].map(({ untilWaiting }) => untilWaiting()));
    process.kill(pid, 'SIGSTOP');
    expect(await asking.look()).toBe(true);
    const startMs = performance.now();
    for (const { stop, verdict } of [waiting, asking]) {
      stop.abort();
      expect(await verdict).toBe(false);
    }
    expect(performance.now() - startMs).toBeLessThan(answerMs);
  } finally {
    process.kill(pid, 'SIGCONT');
    await server.stop();
  }
});

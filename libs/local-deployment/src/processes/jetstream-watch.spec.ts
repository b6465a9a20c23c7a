import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findNatsServer, forgetNatsPorts, readNatsPorts } from '@emloc/nats';
import { startNatsServer } from '@emloc/nats/testing';

import { jetStreamHangs } from './jetstream-watch.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-watch-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const times = { everyMs: 50, answerMs: 300, limitMs: 500 };

test('a server that answers, but not for its store, is told; the watch ends with its signal', async () => {
  const binary = findNatsServer();
  forgetNatsPorts(folder);
  // Without JetStream.
  const child = spawn(binary, ['-a', '127.0.0.1', '-p', '-1', '--ports_file_dir', folder], {
    stdio: 'ignore',
  });
  try {
    let ports = readNatsPorts(folder, { binary, pid: child.pid ?? 0 });
    while (!ports) {
      await sleep(20);
      ports = readNatsPorts(folder, { binary, pid: child.pid ?? 0 });
    }
    const access = { servers: [`127.0.0.1:${ports.port}`] };
    const startMs = performance.now();
    const { signal } = new AbortController();
    expect(await jetStreamHangs(access, { ...times, signal })).toBe(true);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(times.limitMs);
    expect(await jetStreamHangs(access, { ...times, signal: AbortSignal.timeout(200) })).toBe(
      false,
    );
  } finally {
    child.kill('SIGKILL');
  }
});

test('a server that is well, or that stands still, is not', async () => {
  const server = await startNatsServer({ storeDir: join(folder, 'nats') });
  const pid = server.pid ?? 0;
  try {
    const stop = new AbortController();
    const watching = jetStreamHangs({ servers: [server.url] }, { ...times, signal: stop.signal });
    await sleep(2 * times.limitMs);
    process.kill(pid, 'SIGSTOP');
    await sleep(3 * times.limitMs);
    process.kill(pid, 'SIGCONT');
    await sleep(times.limitMs);
    stop.abort();
    expect(await watching).toBe(false);
  } finally {
    process.kill(pid, 'SIGCONT');
    await server.stop();
  }
});

import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { openServiceLogs } from './service-logs.js';

test('shows what the processes say, without the routine of nats-server', () => {
  const stream = new PassThrough();
  const logs = openServiceLogs(undefined, stream);
  logs.write(
    'nats-server',
    '[7] 2026/11/24 11:27:55.036705 [WRN] Plaintext passwords detected, use nkeys or bcrypt',
  );
  logs.write(
    'nats-server',
    '[7] 2026/11/24 11:27:55.042058 [INF] Listening for client connections on 127.0.0.1:37003',
  );
  logs.write('nats-server', '[7] 2026/11/24 11:27:55.042058 [INF] Slow Consumer Detected');
  logs.write('nats-server', '[7] 2026/11/24 11:27:55.042058 [FTL] Error listening on port');
  logs.write('trainer', '{"level":"info","msg":"listening"}');
  logs.note('trainer', 'ended with SIGKILL');
  const lines = String(stream.read())
    .trimEnd()
    .split('\n')
    .map((line) => line.trim());
  expect(lines).toEqual([
    expect.stringMatching(/^nats-server .*Slow Consumer/),
    expect.stringMatching(/^nats-server .*Error listening/),
    'trainer  info  listening',
    'trainer  ended with SIGKILL',
  ]);
});

test('writes a file for each process, for its owner only', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-logs-'));
  const logs = openServiceLogs(join(folder, 'logs'), new PassThrough());
  logs.write('trainer', '{"a":1}');
  logs.write('trainer', '{"a":2}');
  logs.close();
  const file = join(folder, 'logs', 'trainer.log');
  while ((await readFile(file, 'utf8').catch(() => '')) !== '{"a":1}\n{"a":2}\n')
    await new Promise(setImmediate);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await rm(folder, { recursive: true });
});

test('waits for no reader of a pipe, and says which log is not written', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-logs-'));
  execFileSync('mkfifo', [join(folder, 'trainer.log')]);
  await mkdir(join(folder, 'corrector.log'));
  const stream = new PassThrough();
  const logs = openServiceLogs(folder, stream);
  for (const process of ['trainer', 'trainer', 'corrector']) logs.write(process, 'line');
  logs.close();
  expect(String(stream.read()).trimEnd().split('\n')).toEqual(
    ['trainer', 'corrector'].map(
      (name) =>
        `${name}  its log is not written: ${join(folder, `${name}.log`)} is not a regular file`,
    ),
  );
  await rm(folder, { recursive: true });
});

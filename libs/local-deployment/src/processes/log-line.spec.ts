import { PassThrough } from 'node:stream';

import { onLines } from './lines.js';
import { endpointIn, formatLogLine } from './log-line.js';

test('finds where a service listens in the line that says so, and in no other', () => {
  expect(
    endpointIn('{"level":"info","msg":"listening","address":"127.0.0.1:7071","metricsPort":7171}'),
  ).toEqual({ address: '127.0.0.1:7071', metricsPort: 7171 });
  for (const line of [
    'listening',
    '{"msg":"call","text":"listening","address":"a:1"}',
    '{"msg":"listening"',
    '{"msg":"listening"}',
  ])
    expect(endpointIn(line)).toBeNull();
});

test('writes lines of JSON for people, and leaves others as they are', () => {
  expect(
    formatLogLine(
      'trainer',
      '{"level":"warn","time":"2026-01-02T14:03:59.123Z","service":"trainer","error":{"code":"X"},"layer":3,"msg":"tried again"}',
    ),
  ).toBe('14:03:59 trainer  warn  tried again  error={"code":"X"}  layer=3');
  expect(formatLogLine('nats-server', '[1] 2026 [INF] {ready}')).toBe(
    '         nats-server  [1] 2026 [INF] {ready}',
  );
});

test('takes lines apart wherever they are cut, with the last one and one without an end', async () => {
  const [stream, lines] = [new PassThrough(), [] as string[]];
  onLines(stream, (line) => lines.push(line));
  for (const part of ['a', 'b\nc', '\n\nd', 'é'.repeat(70_000)]) stream.write(part);
  stream.end('\nend');
  await new Promise((resolve) => {
    stream.once('end', resolve);
  });
  expect(lines.slice(0, 3)).toEqual(['ab', 'c', '']);
  expect(lines.slice(3).join('')).toBe(`d${'é'.repeat(70_000)}end`);
});

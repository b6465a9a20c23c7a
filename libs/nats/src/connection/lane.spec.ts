import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '@emloc/time/testing';

import { startNatsServer, type NatsServer } from '../testing/server.js';
import { BufferPool } from './buffer-pool.js';
import { LaneParser, type LaneMessage } from './lane-parser.js';
import { openLane } from './socket-lane.js';

describe('lane parser', () => {
  const stream = Buffer.concat([
    Buffer.from(
      'INFO {"max_payload":1}\r\nPING\r\nMSG a.b 7 5\r\nhello\r\nMSG a 7 re.ply 0\r\n\r\nHMSG h 8 12 15\r\nNATS/1.0\r\n\r\nxyz\r\n',
    ),
    Buffer.from('MSG big 9 40000\r\n'),
    Buffer.alloc(40000, 7),
    Buffer.from('\r\nPONG\r\n'),
  ]);

  const contents = [
    '{"max_payload":1}',
    'ping',
    '7 a.b - 0 5 hello',
    '7 a re.ply 0 0 ',
    '8 h - 12 3 xyz',
    '9 big - 0 40000 true',
    'pong',
  ];

  function parserInto(seen: string[]): LaneParser {
    return new LaneParser(
      {
        message: (id, { subject, reply, headers, payload, release }: LaneMessage) => {
          seen.push(
            `${id} ${subject} ${reply ?? '-'} ${headers.length} ${payload.length} ${payload.length < 10 ? Buffer.from(payload).toString() : payload.every((byte) => byte === 7)}`,
          );
          release();
        },
        info: (json) => seen.push(json),
        ping: () => seen.push('ping'),
        pong: () => seen.push('pong'),
        error: (text) => seen.push(text),
      },
      new BufferPool(1 << 20),
    );
  }

  test.each([1, 2, 3, 7, 64, 1000, 65536])(
    'reads the same messages from pieces of %i bytes',
    (pieceBytes) => {
      const seen: string[] = [];
      const parser = parserInto(seen);
      for (let at = 0; at < stream.length; at += pieceBytes)
        parser.push(stream.subarray(at, at + pieceBytes));
      expect(seen).toEqual(contents);
    },
  );

  test.each([1, 1000, 20_000, 1 << 20])(
    'reads large payloads into place, at most %i bytes at once',
    (pieceBytes) => {
      const seen: string[] = [];
      const parser = parserInto(seen);
      const twice = Buffer.concat([
        stream,
        Buffer.from('MSG bigger 9 300000\r\n'),
        Buffer.alloc(300_000, 7),
        Buffer.from('\r\n'),
        stream,
      ]);
      const scratch = Buffer.alloc(64 * 1024);
      let intoPlace = 0;
      for (let at = 0; at < twice.length;) {
        const target = parser.target(scratch);
        const count = twice.copy(
          target,
          0,
          at,
          Math.min(twice.length, at + pieceBytes, at + target.length),
        );
        if (target.buffer !== scratch.buffer) intoPlace += count;
        parser.push(target.subarray(0, count));
        at += count;
      }
      expect(seen).toEqual([...contents, '9 bigger - 0 300000 true', ...contents]);
      expect(intoPlace).toBeGreaterThan(200_000);
    },
  );

  test('refuses what is not the protocol', () => {
    const parser = new LaneParser(
      { message: () => {}, info: () => {}, ping: () => {}, pong: () => {}, error: () => {} },
      new BufferPool(0),
    );
    expect(() => parser.push(Buffer.from('HTTP/1.1 400\r\n'))).toThrow(/unknown protocol line/);
  });
});

describe('lane', () => {
  const storeDir = mkdtempSync(join(tmpdir(), 'emloc-lane-'));
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({
      storeDir,
      users: [{ kind: 'password', user: 'tester', password: 'right' }],
    });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(storeDir, { recursive: true, force: true });
  });
  const access = (password: string) => ({
    servers: [server.url],
    auth: { kind: 'password' as const, user: 'tester', password },
  });

  test('carries large payloads unchanged and subscribes again after a server restart', async () => {
    const lane = await openLane(access('right'));
    const received: Buffer[] = [];
    lane.subscribe('x.>', (message) => {
      received.push(Buffer.from(message.payload));
      message.release();
    });
    const payload = Buffer.alloc(3_000_000, 'abcdefg');
    lane.publish('x.1', [payload.subarray(0, 10), payload.subarray(10)]);
    await until(() => received.length === 1, 'the first message');
    expect(received[0]?.equals(payload)).toBe(true);
    await server.kill();
    const back = new Promise<void>((resolve) => {
      lane.onReconnect(resolve);
    });
    await server.restart();
    await back;
    lane.publish('x.2', [Buffer.from('again')], { headers: { 'Nats-Msg-Id': '1' } });
    await until(() => received.length === 2, 'the second message');
    lane.close();
    expect(received[1]?.toString()).toBe('again');
  });

  test('fails at once with wrong credentials, and does not print them', async () => {
    await expect(openLane(access('wrong-secret'))).rejects.toMatchObject({
      code: 'NATS_CONNECT_FAILED',
      message: expect.not.stringContaining('wrong-secret'),
    });
  });
});

/** A server that says hello to the first connection, cuts it off, and lets the second wait. */
async function startHesitant(): Promise<{
  url: string;
  said: () => string;
  answer: () => void;
  close: () => void;
}> {
  const sockets: Socket[] = [];
  let said = '';
  const server = createServer((socket) => {
    const isFirst = sockets.push(socket) === 1;
    socket.write('INFO {}\r\n');
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      if (!isFirst) said += bytes.toString('latin1');
      else socket.end('PONG\r\n');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    said: () => said,
    answer: () => sockets[1]?.write('PONG\r\n'),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test('a subscription that is made while the server has not answered yet reaches it', async () => {
  const server = await startHesitant();
  const lane = await openLane({ servers: [server.url] });
  await until(() => server.said().includes('CONNECT'), 'the second greeting');
  expect(lane.publish('early', [Buffer.of(1)])).toBe(false);
  const end = lane.subscribe('late', (message) => message.release());
  await until(() => server.said().includes('SUB late 1\r\n'), 'the subscription');
  const back = new Promise<void>((resolve) => {
    lane.onReconnect(resolve);
  });
  server.answer();
  await back;
  expect(lane.connected).toBe(true);
  end();
  await until(() => server.said().includes('UNSUB 1\r\n'), 'its end');
  lane.close();
  server.close();
});

import { createLogger } from './logger.js';

function capture(level: 'debug' | 'info' = 'info', secrets: string[] = []) {
  const lines: string[] = [];
  return {
    lines,
    logger: createLogger({ service: 'trainer', level, secrets, write: (line) => lines.push(line) }),
  };
}

test('writes one JSON line with service, level, time and fields', () => {
  const { lines, logger } = capture();
  logger.with({ job: 'j1' }).info({ layer: 3 }, 'stored');
  logger.debug({}, 'not this');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'info',
    time: expect.any(String),
    service: 'trainer',
    job: 'j1',
    layer: 3,
    msg: 'stored',
  });
});

test('removes what sounds secret at any depth, and known secrets wherever they stand', () => {
  const { lines, logger } = capture('info', ['s3cr3t"value']);
  logger.error(
    {
      request: { headers: { Authorization: 'Bearer abc' }, natsToken: 'xyz', tokens: 12 },
      error: new Error('failed with s3cr3t"value'),
    },
    'said s3cr3t"value',
  );
  expect(lines.join('')).not.toMatch(/abc|xyz|s3cr3t/);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ request: { tokens: 12 } });
});

test('shows code and causes of errors, and the size of binary data instead of its bytes', () => {
  const { lines, logger } = capture();
  logger.warn(
    {
      error: Object.assign(new Error('outer', { cause: new TypeError('inner') }), {
        code: 'X_FAILED',
      }),
      data: new Float32Array(4),
    },
    'odd',
  );
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    error: {
      type: 'Error',
      code: 'X_FAILED',
      message: 'outer',
      cause: { type: 'TypeError', message: 'inner' },
    },
    data: '[16 bytes]',
  });
});

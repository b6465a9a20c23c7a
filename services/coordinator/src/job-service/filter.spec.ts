import { parseFilter, type Filterable } from './filter.js';

const job: Filterable = {
  state: 'RUNNING',
  displayName: 'the "first"',
  createTime: '2026-11-24T10:00:00.000Z',
};

test.each([
  ['', true],
  ['  ', true],
  ['state = RUNNING', true],
  ['state=STATE_RUNNING', true],
  ['state = "RUNNING"', true],
  ['state != RUNNING', false],
  ['display_name = "the \\"first\\""', true],
  ['display_name != "other"', true],
  ['create_time > "2026-11-24T09:59:59Z"', true],
  ['create_time >= "2026-11-24T11:00:00+01:00"', true],
  ['create_time < "2026-11-24T10:00:00Z"', false],
  ['create_time <= "2026-11-24T10:00:00.000Z" AND state = RUNNING', true],
  ['state = RUNNING AND state != RUNNING', false],
])('%s', (filter, matches) => {
  expect(parseFilter(filter)(job)).toBe(matches);
});

test.each([
  'state',
  'state =',
  'state = RUNNING AND',
  'AND',
  'state = RUNNING state = QUEUED',
  'state = RUNNING OR state = QUEUED',
  'state < RUNNING',
  'state = NONE',
  'tenant = "a"',
  'create_time = "2026-11-24T10:00:00Z"',
  'create_time > "yesterday"',
  'create_time > 2026',
  'display_name > "a"',
  'display_name = "open',
  'state = RUNNING; drop',
  '= = =',
  '"state" = RUNNING',
  `display_name = "${'x'.repeat(3000)}"`,
])('refuses %s', (filter) => {
  expect(() => parseFilter(filter)).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [expect.objectContaining({ field: 'filter' })],
    }),
  );
});

import { isAbandoned } from './jetstream.js';

const minuteNs = 60_000_000_000;

test.each([
  ['one that nobody listens to', { inactive_threshold: 5 * minuteNs }, {}, true],
  ['one that somebody listens to', { inactive_threshold: minuteNs }, { push_bound: true }, false],
  ['one that is asked', { inactive_threshold: minuteNs }, { num_waiting: 1 }, false],
  ['one that stays longer than any of ours', { inactive_threshold: 6 * minuteNs }, {}, false],
  ['one that stays for ever', {}, {}, false],
])('%s is abandoned, or not', (_, config, use, expected) => {
  expect(isAbandoned({ config, ...use })).toBe(expected);
});

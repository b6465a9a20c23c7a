import { ratioOf, serveTable } from './serve-table.js';

test('compares each pair, whatever the machine did between pairs', () => {
  const result = {
    replicas: 1,
    tuneSeconds: [10, 20, 40],
    serveSeconds: [11, 24, 40],
    identical: true,
  };
  expect(ratioOf(result)).toBeCloseTo(1.1);
  expect(ratioOf({ ...result, tuneSeconds: [10, 20], serveSeconds: [11, 24] })).toBeCloseTo(1.15);
});

test('says what misses its target', () => {
  const lines = serveTable([
    { replicas: 1, tuneSeconds: [10], serveSeconds: [11], identical: true },
    { replicas: 3, tuneSeconds: [10], serveSeconds: [13], identical: false },
  ]).split('\n');
  expect(lines[1]?.trim().split(/ +/)).toEqual(['1', '10.0', '11.0', '1.10', 'yes', 'yes']);
  expect(lines[2]?.trim().split(/ +/)).toEqual(['3', '10.0', '13.0', '1.30', 'NO', 'NO']);
});

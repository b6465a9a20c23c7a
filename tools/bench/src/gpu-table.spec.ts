import { gpuTable, median } from './gpu-table.js';

test('puts each rival below the row that it is a rival of, faster being above 1 for rates and for times', () => {
  const table = gpuTable(
    [
      { name: 'train', tokensPerSecond: 30_000, peakBytes: 14 * 2 ** 30, detail: 'all kept' },
      { name: 'factors', seconds: 0.5, peakBytes: 2 ** 30, detail: '7 layers' },
    ],
    [
      { rival: 'factors', name: 'published', seconds: 8 },
      { rival: 'train', name: 'eager', tokensPerSecond: 10_000, peakBytes: 2 ** 34 },
      { rival: 'train', name: 'compiled', error: 'out of memory' },
    ],
  );
  expect(table.split('\n').slice(2)).toEqual([
    '| **LoRA on an emulator of ratio 0.4, 2 x 1024 tokens** (all kept) | 30,000 tokens/s | 14.00 |  |',
    '| PyTorch: eager | 10,000 tokens/s | 16.00 | 3.00 |',
    '| PyTorch: compiled | out of memory |  |  |',
    '| **from statistics to factors, a block** (7 layers) | 0.50 s | 1.00 |  |',
    '| PyTorch: published | 8.00 s |  | 16.00 |',
    '',
  ]);
});

test('rows of images have rivals of their own size, and milliseconds', () => {
  const ours = { name: 'train', title: 'LoRA', peakBytes: 2 ** 34, detail: 'all kept' } as const;
  const table = gpuTable(
    [
      { ...ours, size: 512, seconds: 0.1 },
      { ...ours, size: 1024, seconds: 0.3 },
    ],
    [
      { rival: 'train', size: 1024, name: 'graph', seconds: 0.39 },
      { rival: 'train', size: 512, name: 'graph', seconds: 0.14 },
    ],
  );
  expect(table.split('\n').slice(2)).toEqual([
    '| **LoRA** (all kept) | 100.0 ms | 16.00 |  |',
    '| PyTorch: graph | 140.0 ms |  | 1.40 |',
    '| **LoRA** (all kept) | 300.0 ms | 16.00 |  |',
    '| PyTorch: graph | 390.0 ms |  | 1.30 |',
    '',
  ]);
});

test('takes the middle of an even number of values', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

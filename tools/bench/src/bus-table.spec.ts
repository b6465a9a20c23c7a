import { createBlockSink, createBlockSource } from './bus-blocks.js';
import { busTable, megabytesPerSecond, type BusResult } from './bus-table.js';

const result = (name: BusResult['name'], seconds: number[]): BusResult => ({
  name,
  title: name,
  totalBytes: 1e9,
  seconds,
  senderExtraBytes: 0,
  receiverExtraBytes: 3 * 1024 * 1024,
  correct: true,
});

test('counts the median round, as a share of raw TCP', () => {
  expect(megabytesPerSecond(result('tcp', [1, 5, 0.5]))).toBe(1000);
  expect(busTable([result('tcp', [1]), result('write', [2])])).toMatch(
    /write +500 +0\.50 +0\.25 \/ 0\.35 +0 +3 +yes/,
  );
});

test('a sink tells what its source sends from anything else', () => {
  const [source, sink] = [createBlockSource(), createBlockSink()];
  const totalBytes = 40 * 1024 * 1024;
  const part = new Uint8Array(3_000_000);
  for (let at = 0; at < totalBytes; at += part.length) {
    const bytes = part.subarray(0, Math.min(part.length, totalBytes - at));
    source.read(at, bytes);
    sink.write(at, bytes);
  }
  expect(sink.isEndOf(totalBytes)).toBe(true);
  sink.write(5, Uint8Array.of(0));
  expect(sink.isEndOf(totalBytes)).toBe(false);
});

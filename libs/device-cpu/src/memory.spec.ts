import { MemoryPool, sizeClass } from './memory.js';

describe('memory pool', () => {
  test('hands freed memory out again, also for a somewhat smaller size', () => {
    const pool = new MemoryPool();
    const first = pool.allocate(1_000_000);
    expect(first.byteLength).toBeGreaterThanOrEqual(1_000_000);
    pool.free(first);
    expect(pool.allocate(990_000)).toBe(first);
    expect(pool.allocate(990_000)).not.toBe(first);
  });

  test('never hands out memory that is in use, or too little', () => {
    const pool = new MemoryPool();
    const buffers = [70_000, 64, 70_000, 130_000, 5000].map((bytes) => ({
      bytes,
      buffer: pool.allocate(bytes),
    }));
    expect(new Set(buffers.map(({ buffer }) => buffer)).size).toBe(5);
    for (const { bytes, buffer } of buffers)
      expect(buffer.byteLength).toBeGreaterThanOrEqual(bytes);
  });

  test('wastes at most an eighth', () => {
    for (let bytes = 64; bytes < 2 ** 34; bytes = Math.ceil(bytes * 1.07)) {
      expect(sizeClass(bytes)).toBeGreaterThanOrEqual(bytes);
      expect(sizeClass(bytes)).toBeLessThanOrEqual(bytes * 1.125);
    }
  });

  test('says what the system has no room for', () => {
    expect(() => new MemoryPool().allocate(2 ** 52)).toThrow(
      expect.objectContaining({ code: 'DEVICE_OUT_OF_MEMORY' }),
    );
  });
});

import { type Driver } from './native/driver.js';
import { loadLibc } from './native/libc.js';
import { PinnedMemory } from './pinned-memory.js';

const mebibyte = 2 ** 20;

/** The calls of a driver that page-locks nothing and takes its own blocks from the C library. */
function openMemory() {
  const libc = loadLibc();
  const mapped = new Set<number>();
  const watched = {
    map: (bytes: number) => {
      const address = libc.map(bytes);
      mapped.add(address);
      return address;
    },
    unmap: (address: number, bytes: number) => {
      mapped.delete(address);
      libc.unmap(address, bytes);
    },
  };
  const calls: unknown[][] = [];
  const own = new Map<number, number>();
  const driver = {
    cuMemHostAlloc: (cell: BigUint64Array, bytes: number) => {
      const address = libc.map(bytes);
      own.set(address, bytes);
      cell[0] = BigInt(address);
    },
    cuMemFreeHost: (address: number) => {
      libc.unmap(address, own.get(address) ?? 0);
      own.delete(address);
    },
    cuMemHostRegister: (address: number, bytes: number) =>
      void calls.push(['lock', address, bytes]),
    cuMemHostUnregister: (address: number) => void calls.push(['unlock', address]),
  };
  return { memory: new PinnedMemory(driver as unknown as Driver, watched), calls, mapped, own };
}

describe('page-locked memory', () => {
  test('a large block is aligned, writable to its end, and locked once, at its first copy', () => {
    const { memory, calls, mapped } = openMemory();
    const block = memory.allocate(5 * mebibyte + 1);
    expect(block.bytes.byteLength).toBe(5 * mebibyte + 1);
    expect(block.address % (2 * mebibyte)).toBe(0);
    block.bytes.fill(7);
    expect([block.bytes[0], block.bytes.at(-1)]).toEqual([7, 7]);
    expect(calls).toEqual([]);
    expect([memory.lock(block), memory.lock(block)]).toEqual([block.address, block.address]);
    expect(calls).toEqual([['lock', block.address, 6 * mebibyte]]);
    memory.free(block);
    expect(calls.at(-1)).toEqual(['unlock', block.address]);
    expect(mapped.size).toBe(0);
  });

  test('a large block that was never copied is given back without having been locked', () => {
    const { memory, calls, mapped } = openMemory();
    memory.free(memory.allocate(2 * mebibyte));
    expect([calls, mapped.size]).toEqual([[], 0]);
  });

  test('what is given back is kept up to what was said, locked as it is, for the same size', () => {
    const { memory, calls, mapped } = openMemory();
    memory.keep(8 * mebibyte);
    const first = memory.allocate(4 * mebibyte);
    const address = memory.lock(first);
    memory.free(first);
    expect([memory.spareBytes, mapped.size]).toEqual([4 * mebibyte, 1]);
    const again = memory.allocate(4 * mebibyte - 5);
    expect(again.bytes.byteLength).toBe(4 * mebibyte - 5);
    expect([memory.lock(again), memory.spareBytes, calls.length]).toEqual([address, 0, 1]);
    memory.free(again);
    memory.free(memory.allocate(4 * mebibyte));
    expect([memory.spareBytes, mapped.size, calls.length]).toEqual([4 * mebibyte, 1, 1]);
    memory.close();
    expect(calls.at(-1)).toEqual(['unlock', address]);
    expect([memory.spareBytes, mapped.size]).toEqual([0, 0]);
  });

  test('the oldest that is kept goes before more is taken than may be kept', () => {
    const { memory, mapped } = openMemory();
    memory.keep(10 * mebibyte);
    memory.keep(2 * mebibyte); // The most counts.
    for (const block of [2, 4, 4].map((size) => memory.allocate(size * mebibyte)))
      memory.free(block);
    expect([memory.spareBytes, mapped.size]).toEqual([10 * mebibyte, 3]);
    const six = memory.allocate(6 * mebibyte);
    expect([memory.spareBytes, mapped.size]).toEqual([4 * mebibyte, 2]);
    const twelve = memory.allocate(12 * mebibyte);
    expect([memory.spareBytes, mapped.size]).toEqual([0, 2]);
    memory.free(twelve);
    expect([memory.spareBytes, mapped.size]).toEqual([0, 1]);
    memory.free(six);
    expect(memory.spareBytes).toBe(6 * mebibyte);
    memory.close();
    expect(mapped.size).toBe(0);
  });

  test("a small block is the driver's own and locked from the start", () => {
    const { memory, calls, own } = openMemory();
    const block = memory.allocate(4096);
    block.bytes.fill(1);
    expect(memory.lock(block)).toBe(block.address);
    expect([calls, [...own.keys()]]).toEqual([[], [block.address]]);
    memory.free(block);
    expect(own.size).toBe(0);
  });

  test('more than the system can map is a typed error', () => {
    const { memory } = openMemory();
    expect(() => memory.allocate(2 ** 50)).toThrow(
      expect.objectContaining({ code: 'DEVICE_OUT_OF_MEMORY' }),
    );
  });
});

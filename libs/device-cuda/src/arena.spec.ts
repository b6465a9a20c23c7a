import { Arena, type Allocation } from './arena.js';

function allocate(arena: Arena, bytes: number): Allocation {
  const allocation = arena.allocate(bytes);
  if (!allocation) throw new Error(`no room for ${bytes}`);
  return allocation;
}

/** Lehmer's generator: the same numbers every time. */
function createRandom(): () => number {
  let state = 42;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describe('arena', () => {
  test('takes the smallest hole that fits, and of equals the lowest', () => {
    const arena = new Arena(1000);
    const [a, b, c, d] = [
      allocate(arena, 300),
      allocate(arena, 10),
      allocate(arena, 100),
      allocate(arena, 10),
    ];
    arena.free(a, 1);
    arena.free(c, 2);
    expect(allocate(arena, 90)).toMatchObject({ offset: 310, reusedAt: 2 });
    expect(allocate(arena, 300)).toMatchObject({ offset: 0, reusedAt: 1 });
    expect([b.offset, d.offset, arena.usedBytes]).toEqual([300, 410, 410]);
  });

  test('joins neighbouring holes and keeps their latest release', () => {
    const arena = new Arena(300);
    const pieces = [allocate(arena, 100), allocate(arena, 100), allocate(arena, 100)] as const;
    expect(arena.allocate(1)).toBeNull();
    arena.free(pieces[0], 5);
    arena.free(pieces[2], 9);
    arena.free(pieces[1], 7);
    expect(allocate(arena, 300)).toMatchObject({ offset: 0, reusedAt: 9 });
  });

  test('refuses what was not allocated, and a second release', () => {
    const arena = new Arena(100);
    const allocation = allocate(arena, 50);
    expect(arena.free(allocation, 1)).toBe(true);
    expect(arena.free(allocation, 2)).toBe(false);
    expect(arena.free({ offset: 0, bytes: 50, reusedAt: 0 }, 3)).toBe(false);
    expect(arena.freeBytes).toBe(100);
  });

  test('compaction keeps every byte of every allocation and leaves one hole', () => {
    const random = createRandom();
    const arena = new Arena(64_000);
    const memory = new Uint32Array(arena.extentBytes);
    const live = new Map<Allocation, number>();
    for (let round = 1; round <= 3000; round += 1) {
      const allocation = arena.allocate(1 + Math.floor(random() * 500));
      if (allocation) {
        memory.fill(round, allocation.offset, allocation.offset + allocation.bytes);
        live.set(allocation, round);
      }
      const oldest = [...live.keys()][Math.floor(random() * live.size)] as Allocation;
      if (!allocation || random() < 0.3) {
        live.delete(oldest);
        arena.free(oldest, round);
      }
    }
    for (const { from, to, bytes } of arena.compact(0)) memory.copyWithin(to, from, from + bytes);
    expect(live.size).toBeGreaterThan(50);
    for (const [{ offset, bytes }, value] of live)
      expect(memory.subarray(offset, offset + bytes).every((word) => word === value)).toBe(true);
    const rest = allocate(arena, arena.freeBytes);
    expect(rest.offset + rest.bytes).toBe(arena.extentBytes);
  });
});

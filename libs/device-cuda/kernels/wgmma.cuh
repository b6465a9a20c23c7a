// Hopper's matrix products (wgmma) of tiles that its copy engine (TMA) brings into shared memory; after prelude.cuh and tile.cuh.
// A tile of R rows by 128 columns of bf16 is two halves of 64 columns, (2, R, 64), each row 128 bytes long and swizzled as the copy
// engine does (SWIZZLE_128B), so that it serves as an operand summed over columns and as one summed over rows alike. A product is
// done by a warpgroup, four warps, each 16 of the 64 rows of the result; fragments are those of tile.cuh.

typedef unsigned long long u64;

#define WARPGROUP 128
#define HEAD 128

// What cuTensorMapEncodeTiled describes: 64 columns by the rows of a tile.
struct alignas(64) TensorMap { u64 opaque[16]; };

// A barrier in shared memory, which counts arrivals and bytes that the copy engine has brought. Its phases alternate from 0.
struct Barrier {
  u32 at;
  __device__ __forceinline__ void create(int arrivals) const {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(at), "r"(arrivals) : "memory");
  }
  __device__ __forceinline__ void arrive() const {
    asm volatile("{.reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0];}" ::"r"(at) : "memory");
  }
  // Arrives, and makes the phase wait for so many bytes.
  __device__ __forceinline__ void expect(int bytes) const {
    asm volatile("{.reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1;}" ::"r"(at), "r"(bytes) : "memory");
  }
  // Until the phase of that parity is over; the one before a barrier's first counts as over.
  __device__ __forceinline__ void wait(int parity) const {
    u32 done;
    do {
      asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
                   : "=r"(done)
                   : "r"(at), "r"(parity)
                   : "memory");
    } while (!done);
  }
};

// Barriers are seen by the copy engine from here on; the block has yet to meet.
__device__ __forceinline__ void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ __forceinline__ void load_half(u32 tile, const TensorMap* map, int column, int row, Barrier barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(tile),
               "l"(map), "r"(barrier.at), "r"(column), "r"(row)
               : "memory");
}

// Starts the copy of a tile of ROWS rows from `row` and 128 columns from `column`; rows past the tensor's end become zero.
template <int ROWS> __device__ __forceinline__ void load_tile_by_map(u32 tile, const TensorMap* map, int column, int row, Barrier barrier) {
  load_half(tile, map, column, row, barrier);
  load_half(tile + ROWS * 128, map, column + 64, row, barrier);
}

// How a tile lies in shared memory, as wgmma wants it told: bits 0 to 13 the address, 16 to 29 and 32 to 45 two strides, all in 16
// bytes; 62 and 63 the swizzle.
__device__ __forceinline__ u64 describe(u32 address, int leading, int stride) {
  return (u64)((address & 0x3ffff) >> 4) | (u64)(leading >> 4) << 16 | (u64)(stride >> 4) << 32 | (u64)1 << 62;
}

// The operand of tile rows from `row` that is summed over columns, 16 of them from 16 step.
template <int ROWS> __device__ __forceinline__ u64 rows_operand(u32 tile, int row, int step) {
  return describe(tile + step / 4 * (ROWS * 128) + row * 128 + step % 4 * 32, 16, 1024);
}

// The operand of all 128 tile columns that is summed over rows, 16 of them from 16 step.
template <int ROWS> __device__ __forceinline__ u64 columns_operand(u32 tile, int step) {
  return describe(tile + step * 2048, ROWS * 128, 1024);
}

// Products run beside other instructions. Their operands' registers are theirs from `begin_products` until the group that
// `commit_products` closes is waited for; `settle` keeps the compiler from using results before.
__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int RUNNING> __device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(RUNNING) : "memory");
}
template <int N> __device__ __forceinline__ void settle(float (&x)[N][4]) {
#pragma unroll
  for (int i = 0; i < N; i += 1) asm volatile("" : "+f"(x[i][0]), "+f"(x[i][1]), "+f"(x[i][2]), "+f"(x[i][3])::"memory");
}

#define FOUR(x, i) "+f"(x[i][0]), "+f"(x[i][1]), "+f"(x[i][2]), "+f"(x[i][3])
#define RESULTS_32(x) FOUR(x, 0), FOUR(x, 1), FOUR(x, 2), FOUR(x, 3), FOUR(x, 4), FOUR(x, 5), FOUR(x, 6), FOUR(x, 7)
#define RESULTS_64(x) \
  RESULTS_32(x), FOUR(x, 8), FOUR(x, 9), FOUR(x, 10), FOUR(x, 11), FOUR(x, 12), FOUR(x, 13), FOUR(x, 14), FOUR(x, 15)
#define NAMES_32 \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, " \
  "%27, %28, %29, %30, %31}"
#define NAMES_64 \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, " \
  "%27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, " \
  "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"

// sums (64 rows, 64 or 128 columns) = or += left (64, 16) right (16, columns), both summed over tile columns.
__device__ __forceinline__ void multiply_tiles(float (&sums)[8][4], u64 left, u64 right, int accumulate) {
  asm volatile("{.reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " NAMES_32
               ", %32, %33, p, 1, 1, 0, 0;}"
               : RESULTS_32(sums)
               : "l"(left), "l"(right), "r"(accumulate));
}
__device__ __forceinline__ void multiply_tiles(float (&sums)[16][4], u64 left, u64 right, int accumulate) {
  asm volatile("{.reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " NAMES_64
               ", %64, %65, p, 1, 1, 0, 0;}"
               : RESULTS_64(sums)
               : "l"(left), "l"(right), "r"(accumulate));
}
// sums (64, 128) = or += left (64, 16), in registers, times 16 tile rows.
__device__ __forceinline__ void multiply_rows(float (&sums)[16][4], const Fragment& left, u64 right, int accumulate) {
  asm volatile("{.reg .pred p; setp.ne.b32 p, %69, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " NAMES_64
               ", {%64, %65, %66, %67}, %68, p, 1, 1, 1;}"
               : RESULTS_64(sums)
               : "r"(left.at[0]), "r"(left.at[1]), "r"(left.at[2]), "r"(left.at[3]), "l"(right), "r"(accumulate));
}

// Registers of each thread of the warpgroups that copy, and of those that compute.
template <int REGISTERS> __device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}
template <int REGISTERS> __device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

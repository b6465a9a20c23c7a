// Tiles of up to 64 rows by D columns of bf16 in shared memory, and matrix products of them on tensor cores (mma.m16n8k16, float sums).
// A row takes D + 8 elements, which keeps ldmatrix free of bank conflicts. In a fragment, lane = 4 g + t holds of a 16x8 result
// rows g and g + 8, columns 2t and 2t + 1.

#define TILE_ROWS 64
#define TILE_THREADS 128
#define LOG2E 1.4426950408889634f
#define MINUS_INFINITY __int_as_float(0xff800000)

template <int D> struct Tile {
  static constexpr int stride = D + 8;
  static constexpr int elements = TILE_ROWS * stride;
};

__device__ __forceinline__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

// Starts the copy of `rows` rows of `columns` elements (a multiple of 8) from `source`; the rest of the tile becomes zero. A block
// of THREADS threads fills a tile of ROWS rows. This thread copies the eight elements with index i.
template <int D>
__device__ __forceinline__ void load_eight(bf16* tile, const bf16* source, i64 row_stride, int rows, int columns, int i) {
  const int row = i / (D / 8), column = i % (D / 8) * 8;
  const bool valid = row < rows && column < columns;
  const bf16* from = valid ? source + row * row_stride + column : source;
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(tile + row * Tile<D>::stride + column)), "l"(from),
               "r"(bytes)
               : "memory");
}
template <int D, int ROWS = TILE_ROWS, int THREADS = TILE_THREADS>
__device__ __forceinline__ void load_tile(bf16* tile, const bf16* source, i64 row_stride, int rows, int columns) {
  if constexpr (D > 128) {
#pragma unroll 1  // the addresses of all copies need more registers than there are
    for (int i = threadIdx.x; i < ROWS * (D / 8); i += THREADS) load_eight<D>(tile, source, row_stride, rows, columns, i);
  } else {
#pragma unroll
    for (int i = threadIdx.x; i < ROWS * (D / 8); i += THREADS) load_eight<D>(tile, source, row_stride, rows, columns, i);
  }
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
__device__ __forceinline__ void wait_for_copies() { asm volatile("cp.async.wait_group 0;" ::: "memory"); }

struct Fragment { u32 at[4]; };

// 16 rows from `row`, 16 columns from `column`, as the left operand.
template <int D> __device__ __forceinline__ Fragment load_left(const bf16* tile, int row, int column) {
  const int lane = threadIdx.x & 31;
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.at[0]), "=r"(f.at[1]), "=r"(f.at[2]), "=r"(f.at[3])
               : "r"(shared_address(tile + (row + (lane & 15)) * Tile<D>::stride + column + (lane >> 4) * 8))
               : "memory");
  return f;
}

// The right operands for two 8-column results: result columns are tile rows from `row`, 16 of them, summed over columns from `column`.
template <int D> __device__ __forceinline__ Fragment load_right_rows(const bf16* tile, int row, int column) {
  const int lane = threadIdx.x & 31;
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.at[0]), "=r"(f.at[1]), "=r"(f.at[2]), "=r"(f.at[3])
               : "r"(shared_address(tile + (row + (lane & 7) + (lane >> 4) * 8) * Tile<D>::stride + column + (lane >> 3 & 1) * 8))
               : "memory");
  return f;
}

// The right operands for two 8-column results: result columns are tile columns from `column`, summed over 16 rows from `row`.
template <int D> __device__ __forceinline__ Fragment load_right_columns(const bf16* tile, int row, int column) {
  const int lane = threadIdx.x & 31;
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.at[0]), "=r"(f.at[1]), "=r"(f.at[2]), "=r"(f.at[3])
               : "r"(shared_address(tile + (row + (lane & 15)) * Tile<D>::stride + column + (lane >> 4) * 8))
               : "memory");
  return f;
}

// A left operand whose rows are tile columns from `column`, 16 of them, and whose columns are tile rows from `row`.
template <int D> __device__ __forceinline__ Fragment load_left_transposed(const bf16* tile, int row, int column) {
  const int lane = threadIdx.x & 31;
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.at[0]), "=r"(f.at[1]), "=r"(f.at[2]), "=r"(f.at[3])
               : "r"(shared_address(tile + (row + (lane & 7) + (lane >> 4) * 8) * Tile<D>::stride + column + (lane >> 3 & 1) * 8))
               : "memory");
  return f;
}

// The transpose of an 8x8 matrix of bf16 that a warp holds in fragments' order, two neighbours of a row a lane.
__device__ __forceinline__ u32 transpose(u32 pair) {
  u32 y;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(pair));
  return y;
}

__device__ __forceinline__ void multiply(float* sums, const Fragment& left, u32 right0, u32 right1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(left.at[0]), "r"(left.at[1]), "r"(left.at[2]), "r"(left.at[3]), "r"(right0), "r"(right1));
}

// Two neighbouring 16x8 results, rounded, as a left operand of 16 columns.
__device__ __forceinline__ Fragment to_left(const float* first, const float* second) {
  return {pack_bf16(first[0], first[1]), pack_bf16(first[2], first[3]), pack_bf16(second[0], second[1]), pack_bf16(second[2], second[3])};
}

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ void store_pair(bf16* target, float low, float high) { *reinterpret_cast<u32*>(target) = pack_bf16(low, high); }
__device__ __forceinline__ void store_pair(float* target, float low, float high) { *reinterpret_cast<float2*>(target) = make_float2(low, high); }

// Writes this warp's 16 rows (from `row`) of `columns` columns, times `factor0` for rows g and `factor1` for rows g + 8.
template <int D, typename T>
__device__ __forceinline__ void write_rows(
    T* target, i64 row_stride, const float (*sums)[4], int row, int rows, int columns, float factor0, float factor1) {
  const int lane = threadIdx.x & 31, g = row + (lane >> 2), t = lane & 3;
#pragma unroll
  for (int n = 0; n < D / 8; n += 1) {
    if (n * 8 >= columns) break;
    T* at = target + g * row_stride + n * 8 + t * 2;
    if (g < rows) store_pair(at, sums[n][0] * factor0, sums[n][1] * factor0);
    if (g + 8 < rows) store_pair(at + 8 * row_stride, sums[n][2] * factor1, sums[n][3] * factor1);
  }
}

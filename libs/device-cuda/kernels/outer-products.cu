// out += alpha leftᵀ right for 8 columns of left (N, ..) and right (N, C), on tensor cores: right is read once, as fast as memory gives it.
// A block does 64 columns of right over one stretch of the N rows; the last block of a tile to finish adds the stretches' sums in their
// order, so that equal inputs give equal bits. Which block is last is all that the counters decide; each last block sets its own back to 0.
#include "prelude.cuh"
#include "tile.cuh"

#define PRODUCTS 8
#define TILES 2048
#define COLUMNS 64
#define THREADS COLUMNS
#define RANK 8
#define STAGE_ROWS 64
#define STAGES 4
#define STRIDE (COLUMNS + 8)

// Strides of left and of out are in elements; `partial` holds (stretches, columns, 8) sums where there are several stretches.
struct Product {
  const bf16 *left, *right;
  float *out, *partial;
  int rows, left_stride, columns, stretch_rows, stretches, out_row_stride, out_column_stride;
  float alpha;
};
struct Products { Product at[PRODUCTS]; };

__device__ int finished[PRODUCTS * TILES];

struct Stage {
  bf16 right[STAGE_ROWS * STRIDE];
  bf16 left[STAGE_ROWS * RANK];
};

__device__ __forceinline__ void copy16(bf16* target, const bf16* source, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(target)), "l"(source), "r"(valid ? 16 : 0) : "memory");
}

__device__ __forceinline__ void load_stage(Stage& stage, const Product& p, int row, int end, int first) {
  for (int i = threadIdx.x; i < STAGE_ROWS * (COLUMNS / 8); i += THREADS) {
    const int r = i / (COLUMNS / 8), column = i % (COLUMNS / 8) * 8;
    const bool valid = row + r < end && first + column < p.columns;
    copy16(stage.right + r * STRIDE + column, valid ? p.right + (i64)(row + r) * p.columns + first + column : p.right, valid);
  }
  if (threadIdx.x < STAGE_ROWS) {
    const bool valid = row + (int)threadIdx.x < end;
    copy16(stage.left + threadIdx.x * RANK, valid ? p.left + (i64)(row + threadIdx.x) * p.left_stride : p.left, valid);
  }
}

// Elements [row, column] of a 16x16 block of stored rows as the left operand of its transpose.
__device__ __forceinline__ Fragment load_transposed(const bf16* tile, int row, int column) {
  const int lane = threadIdx.x & 31;
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.at[0]), "=r"(f.at[1]), "=r"(f.at[2]), "=r"(f.at[3])
               : "r"(shared_address(tile + (row + (lane & 7) + (lane >> 4) * 8) * STRIDE + column + (lane >> 3 & 1) * 8))
               : "memory");
  return f;
}

extern "C" __global__ void __launch_bounds__(THREADS) outer_products(const __grid_constant__ Products products) {
  __shared__ __align__(128) Stage stages[STAGES];
  __shared__ bool is_last;
  const Product p = products.at[blockIdx.z];
  const int first = blockIdx.x * COLUMNS;
  if (first >= p.columns || (int)blockIdx.y >= p.stretches) return;
  const int begin = blockIdx.y * p.stretch_rows, end = min(begin + p.stretch_rows, p.rows);
  const int steps = (end - begin + STAGE_ROWS - 1) / STAGE_ROWS;
  const int lane = threadIdx.x & 31, warp_column = (threadIdx.x >> 5) * 32;
#pragma unroll
  for (int i = 0; i < STAGES - 1; i += 1) {
    if (i < steps) load_stage(stages[i], p, begin + i * STAGE_ROWS, end, first);
    commit_copies();
  }
  float sums[2][4] = {};
  for (int step = 0; step < steps; step += 1) {
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
    __syncthreads();
    const int ahead = step + STAGES - 1;
    if (ahead < steps) load_stage(stages[ahead % STAGES], p, begin + ahead * STAGE_ROWS, end, first);
    commit_copies();
    const Stage& stage = stages[step % STAGES];
#pragma unroll
    for (int k = 0; k < STAGE_ROWS; k += 16) {
      u32 right0, right1;
      asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                   : "=r"(right0), "=r"(right1)
                   : "r"(shared_address(stage.left + (k + (lane & 15)) * RANK))
                   : "memory");
#pragma unroll
      for (int m = 0; m < 2; m += 1) multiply(sums[m], load_transposed(stage.right, k, warp_column + m * 16), right0, right1);
    }
  }
  // Lane 4 g + t holds columns g and g + 8 of right, columns 2 t and 2 t + 1 of left.
  const int g = lane >> 2, t = lane & 3;
  if (p.stretches == 1) {
#pragma unroll
    for (int i = 0; i < 8; i += 1) {
      const int column = first + warp_column + (i >> 2) * 16 + (i >> 1 & 1) * 8 + g, rank = 2 * t + (i & 1);
      if (column < p.columns) p.out[(i64)rank * p.out_row_stride + (i64)column * p.out_column_stride] += p.alpha * sums[i >> 2][i & 3];
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i += 1) {
    const int column = first + warp_column + (i >> 1) * 16 + (i & 1) * 8 + g;
    if (column >= p.columns) continue;
    float* target = p.partial + ((i64)blockIdx.y * p.columns + column) * RANK + 2 * t;
    *reinterpret_cast<float2*>(target) = make_float2(sums[i >> 1][2 * (i & 1)], sums[i >> 1][2 * (i & 1) + 1]);
  }
  __threadfence();
  __syncthreads();
  int* counter = finished + blockIdx.z * TILES + blockIdx.x;
  if (threadIdx.x == 0) is_last = atomicAdd(counter, 1) == p.stretches - 1;
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  if (threadIdx.x == 0) *counter = 0;
  const int column = first + threadIdx.x;  // a column a thread
  if (column >= p.columns) return;
  float totals[RANK] = {};
  const float4* from = reinterpret_cast<const float4*>(p.partial + (i64)column * RANK);
  const i64 step = (i64)p.columns * (RANK / 4);
#pragma unroll 4
  for (int stretch = 0; stretch < p.stretches; stretch += 1) {
    const float4 low = __ldcg(from + stretch * step), high = __ldcg(from + stretch * step + 1);
    totals[0] += low.x, totals[1] += low.y, totals[2] += low.z, totals[3] += low.w;
    totals[4] += high.x, totals[5] += high.y, totals[6] += high.z, totals[7] += high.w;
  }
#pragma unroll
  for (int rank = 0; rank < RANK; rank += 1) p.out[(i64)rank * p.out_row_stride + (i64)column * p.out_column_stride] += p.alpha * totals[rank];
}

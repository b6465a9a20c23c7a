// What the gated delta rule needs of all chunks before it walks over them: see Prepared in delta-rule.cuh. A block does one chunk of
// one key head, whose products all its value heads share; grid (chunks of the longest sequence, key heads, sequences).
#include "prelude.cuh"
#include "tile.cuh"
#include "delta-rule.cuh"

// Rows of the float matrices in shared memory: no two rows of a column within a quarter of a warp meet in a bank.
#define LOWER_STRIDE 68

// The running sum of 64 decays, `stride` apart, by the first warp; rows that are missing decay by nothing.
__device__ __forceinline__ void sum_decays(float* sums, const float* decay, int stride, int rows) {
  if (threadIdx.x >= 32) return;
  const int row = threadIdx.x * 2;
  const float first = row < rows ? decay[(i64)row * stride] : 0.0f, second = row + 1 < rows ? decay[(i64)(row + 1) * stride] : 0.0f;
  float total = first + second;
  for (int offset = 1; offset < 32; offset <<= 1) {
    const float before = __shfl_up_sync(0xffffffffu, total, offset);
    if (threadIdx.x >= offset) total += before;
  }
  sums[row] = total - second;
  sums[row + 1] = total;
}

// The inverses of the four 16x16 blocks on the diagonal of I + lower, one column a thread of the first 64.
__device__ __forceinline__ void invert_diagonal(const float* lower, float* inverse) {
  if (threadIdx.x >= CHUNK_ROWS) return;
  const int block = threadIdx.x & ~15, column = threadIdx.x & 15;
  float x[16];
#pragma unroll
  for (int i = 0; i < 16; i += 1) {
    float sum = i == column ? 1.0f : 0.0f;
#pragma unroll
    for (int j = 0; j < i; j += 1) sum -= lower[(block + i) * LOWER_STRIDE + block + j] * x[j];
    x[i] = sum;
  }
#pragma unroll
  for (int i = 0; i < 16; i += 1) inverse[(block + i) * LOWER_STRIDE + threadIdx.x] = x[i];
}

// sums[x] += left[first + x, :] · right[:, column] for eight rows and 16 terms.
__device__ __forceinline__ void add_products(float* sums, const float* left, const float* right) {
#pragma unroll
  for (int k = 0; k < 16; k += 4) {
    float y[4];
#pragma unroll
    for (int i = 0; i < 4; i += 1) y[i] = right[(k + i) * LOWER_STRIDE];
#pragma unroll
    for (int x = 0; x < 8; x += 1) {
      const float4 l = *reinterpret_cast<const float4*>(left + x * LOWER_STRIDE + k);
      sums[x] += l.x * y[0] + l.y * y[1] + l.z * y[2] + l.w * y[3];
    }
  }
}

// The blocks below the diagonal, a column of blocks a warp: N_ij = -N_ii Σ_k L_ik N_kj, j <= k < i. A lane does eight rows of a column.
__device__ __forceinline__ void invert_below(const float* lower, float* inverse) {
  const int j = threadIdx.x >> 5, lane = threadIdx.x & 31, half = (lane >> 4) * 8, column = j * 16 + (lane & 15);
  for (int i = j + 1; i < 4; i += 1) {
    const int row = i * 16 + half;
    float* place = inverse + row * LOWER_STRIDE + column;
    float sums[8] = {}, results[8] = {};
    for (int k = j; k < i; k += 1) add_products(sums, lower + row * LOWER_STRIDE + k * 16, inverse + k * 16 * LOWER_STRIDE + column);
#pragma unroll
    for (int x = 0; x < 8; x += 1) place[x * LOWER_STRIDE] = sums[x];
    __syncwarp();
    add_products(results, inverse + row * LOWER_STRIDE + i * 16, inverse + i * 16 * LOWER_STRIDE + column);
    __syncwarp();
#pragma unroll
    for (int x = 0; x < 8; x += 1) place[x * LOWER_STRIDE] = -results[x];
    __syncwarp();
  }
}

__device__ __forceinline__ void write_lower(bf16* target, const float* matrix) {
  for (int i = threadIdx.x; i < CHUNK_ROWS * CHUNK_ROWS / 2; i += TILE_THREADS) {
    const int row = i / (CHUNK_ROWS / 2), column = i % (CHUNK_ROWS / 2) * 2;
    if (column >> 4 > row >> 4) continue;
    store_pair(target + row * CHUNK_ROWS + column, matrix[row * LOWER_STRIDE + column], matrix[row * LOWER_STRIDE + column + 1]);
  }
}

// This warp's 16 rows of P and of L from Q Kt and K Kt.
__device__ __forceinline__ void decay_products(
    bf16* scores, float* lower, const float (*query_key)[4], const float (*key_key)[4], const float* sums, const float* strength) {
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
#pragma unroll
  for (int n = 0; n < CHUNK_ROWS / 8; n += 1) {
    if (n >> 1 > warp) continue;
#pragma unroll
    for (int half = 0; half < 2; half += 1) {
      const int row = warp * 16 + g + half * 8, column = n * 8 + t * 2;
      float decay[2];
#pragma unroll
      for (int i = 0; i < 2; i += 1) decay[i] = column + i <= row ? exp_fast(sums[row] - sums[column + i]) : 0.0f;
      store_pair(scores + row * CHUNK_ROWS + column, decay[0] * query_key[n][half * 2], decay[1] * query_key[n][half * 2 + 1]);
      const float low = column < row ? strength[row] * decay[0] * key_key[n][half * 2] : 0.0f;
      const float high = column + 1 < row ? strength[row] * decay[1] * key_key[n][half * 2 + 1] : 0.0f;
      store_pair(lower + row * LOWER_STRIDE + column, low, high);
    }
  }
}

template <int D>
__device__ void delta_rule_prepare(
    const bf16* q, const bf16* k, const float* decay, const float* strength, const int* offsets, const Prepared& prepared,
    const Rule& rule) {
  extern __shared__ __align__(128) unsigned char memory[];
  bf16* keys = reinterpret_cast<bf16*>(memory);
  bf16* queries = keys + Tile<D>::elements;
  float* lower = reinterpret_cast<float*>(queries + Tile<D>::elements);
  float* inverse = lower + CHUNK_ROWS * LOWER_STRIDE;
  float* sums = inverse + CHUNK_ROWS * LOWER_STRIDE;
  float* strengths = sums + CHUNK_ROWS;
  const Span span = span_of(offsets, blockIdx.z);
  if (blockIdx.x >= span.chunks) return;
  const int first = blockIdx.x * CHUNK_ROWS, rows = min(span.length - first, CHUNK_ROWS), group = rule.value_heads / rule.key_heads;
  const int key_head = rule.first / group + blockIdx.y, warp = threadIdx.x >> 5;
  const i64 stride = (i64)rule.key_heads * rule.key_dim, at = (span.start + first) * stride + key_head * rule.key_dim;
  load_tile<D>(keys, k + at, stride, rows, rule.key_dim);
  load_tile<D>(queries, q + at, stride, rows, rule.key_dim);
  commit_copies();
  wait_for_copies();
  __syncthreads();
  float key_key[8][4] = {}, query_key[8][4] = {};
#pragma unroll
  for (int i = 0; i < D / 16; i += 1) {
    const Fragment key = load_left<D>(keys, warp * 16, i * 16), query = load_left<D>(queries, warp * 16, i * 16);
#pragma unroll
    for (int c = 0; c < 4; c += 1) {
      if (c > warp) continue;
      const Fragment right = load_right_rows<D>(keys, c * 16, i * 16);
      multiply_pair(key_key + 2 * c, key, right);
      multiply_pair(query_key + 2 * c, query, right);
    }
  }
  for (int member = 0; member < group; member += 1) {
    const int place = blockIdx.y * group + member, head = rule.first + place;
    const i64 held = (i64)(span.chunk + blockIdx.x) * rule.held + place, gate = (i64)(span.start + first) * rule.value_heads + head;
    bf16 *scores = prepared.scores + held * CHUNK_ROWS * CHUNK_ROWS, *result = prepared.inverses + held * CHUNK_ROWS * CHUNK_ROWS;
    __syncthreads();
    sum_decays(sums, decay + gate, rule.value_heads, rows);
    if (threadIdx.x < CHUNK_ROWS)
      strengths[threadIdx.x] = (int)threadIdx.x < rows ? strength[gate + (i64)threadIdx.x * rule.value_heads] : 0.0f;
    __syncthreads();
    if (threadIdx.x < CHUNK_ROWS) prepared.sums[held * CHUNK_ROWS + threadIdx.x] = sums[threadIdx.x];
    decay_products(scores, lower, query_key, key_key, sums, strengths);
    __syncthreads();
    invert_diagonal(lower, inverse);
    __syncthreads();
    invert_below(lower, inverse);
    __syncthreads();
    write_lower(result, inverse);
  }
}

#ifndef HEAD_WIDTH
#define HEAD_WIDTH 128
#endif
extern "C" __global__ void __launch_bounds__(TILE_THREADS) delta_rule_prepare_bfloat16(
    const bf16* q, const bf16* k, const float* decay, const float* strength, const int* offsets, bf16* inverses, bf16* scores,
    float* sums, int key_heads, int value_heads, int key_dim, int value_dim, int first, int held) {
  delta_rule_prepare<HEAD_WIDTH>(
      q, k, decay, strength, offsets, {inverses, scores, sums}, {key_heads, value_heads, key_dim, value_dim, first, held});
}

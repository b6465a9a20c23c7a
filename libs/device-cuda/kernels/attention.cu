// Causal grouped-query attention of packed sequences on tensor cores, scores in registers only (online softmax as in
// FlashAttention-2, arXiv 2307.08691). A block does 64 queries of one head: q, out (N, heads head_dim), k, v (N, kv_heads head_dim),
// log_sum_exp (heads, N). head_dim is a multiple of 8 up to D; what is missing counts as zeros.
#include "prelude.cuh"
#include "tile.cuh"

template <int D>
__device__ void attention(
    const bf16* q, const bf16* k, const bf16* v, bf16* out, float* log_sum_exp, const int* offsets, int n, int heads, int kv_heads,
    int head_dim, float scale) {
  extern __shared__ __align__(128) unsigned char memory[];
  bf16* keys = reinterpret_cast<bf16*>(memory);       // two tiles; the second one first holds the queries
  bf16* values = keys + 2 * Tile<D>::elements;        // two tiles
  const int start = offsets[blockIdx.z], length = offsets[blockIdx.z + 1] - start;
  const int tile = gridDim.x - 1 - blockIdx.x;        // the longest first
  const int first = tile * TILE_ROWS;
  if (first >= length) return;
  const int head = blockIdx.y, kv_head = head / (heads / kv_heads);
  const i64 q_stride = (i64)heads * head_dim, k_stride = (i64)kv_heads * head_dim;
  const bf16* k_base = k + start * k_stride + kv_head * head_dim;
  const bf16* v_base = v + start * k_stride + kv_head * head_dim;
  const int warp_row = (threadIdx.x >> 5) * 16, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;

  load_tile<D>(keys + Tile<D>::elements, q + (start + first) * q_stride + head * head_dim, q_stride, length - first, head_dim);
  load_tile<D>(keys, k_base, k_stride, length, head_dim);
  load_tile<D>(values, v_base, k_stride, length, head_dim);
  commit_copies();
  wait_for_copies();
  __syncthreads();
  Fragment query[D / 16];
#pragma unroll
  for (int i = 0; i < D / 16; i += 1) query[i] = load_left<D>(keys + Tile<D>::elements, warp_row, i * 16);
  __syncthreads();

  float sums[D / 8][4] = {};
  float maximum[2] = {MINUS_INFINITY, MINUS_INFINITY}, total[2] = {0, 0};
  const float factor = scale * LOG2E;
  for (int j = 0; j <= tile; j += 1) {
    const bf16* k_tile = keys + (j & 1) * Tile<D>::elements;
    const bf16* v_tile = values + (j & 1) * Tile<D>::elements;
    if (j < tile) {
      const int next = (j + 1) * TILE_ROWS, other = (j + 1 & 1) * Tile<D>::elements;
      load_tile<D>(keys + other, k_base + next * k_stride, k_stride, length - next, head_dim);
      load_tile<D>(values + other, v_base + next * k_stride, k_stride, length - next, head_dim);
      commit_copies();
    }
    float scores[8][4] = {};
#pragma unroll
    for (int i = 0; i < D / 16; i += 1) {
#pragma unroll
      for (int c = 0; c < 4; c += 1) {
        const Fragment right = load_right_rows<D>(k_tile, c * 16, i * 16);
        multiply(scores[2 * c], query[i], right.at[0], right.at[1]);
        multiply(scores[2 * c + 1], query[i], right.at[2], right.at[3]);
      }
    }
    if (j == tile) {
#pragma unroll
      for (int c = 0; c < 8; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) {
          if (c * 8 + t * 2 + (e & 1) > warp_row + g + (e >> 1) * 8) scores[c][e] = MINUS_INFINITY;
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; half += 1) {
      float highest = maximum[half];
#pragma unroll
      for (int c = 0; c < 8; c += 1) {
        highest = fmaxf(highest, fmaxf(scores[c][2 * half], scores[c][2 * half + 1]) * factor);
      }
      highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
      const float shrink = exp2_fast(maximum[half] - highest);
      maximum[half] = highest;
      total[half] *= shrink;
#pragma unroll
      for (int i = 0; i < D / 8; i += 1) {
        sums[i][2 * half] *= shrink;
        sums[i][2 * half + 1] *= shrink;
      }
#pragma unroll
      for (int c = 0; c < 8; c += 1) {
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; e += 1) {
          scores[c][e] = exp2_fast(scores[c][e] * factor - highest);
          total[half] += scores[c][e];
        }
      }
    }
#pragma unroll
    for (int c = 0; c < 4; c += 1) {
      const Fragment left = to_left(scores[2 * c], scores[2 * c + 1]);
#pragma unroll
      for (int i = 0; i < D / 16; i += 1) {
        const Fragment right = load_right_columns<D>(v_tile, c * 16, i * 16);
        multiply(sums[2 * i], left, right.at[0], right.at[1]);
        multiply(sums[2 * i + 1], left, right.at[2], right.at[3]);
      }
    }
    wait_for_copies();
    __syncthreads();
  }

  float inverse[2];
#pragma unroll
  for (int half = 0; half < 2; half += 1) {
    total[half] += __shfl_xor_sync(0xffffffffu, total[half], 1);
    total[half] += __shfl_xor_sync(0xffffffffu, total[half], 2);
    inverse[half] = 1.0f / total[half];
    const int row = first + warp_row + g + half * 8;
    if (t == 0 && row < length) log_sum_exp[(i64)head * n + start + row] = maximum[half] / LOG2E + logf(total[half]);
  }
  bf16* target = out + (start + first) * q_stride + head * head_dim;
  write_rows<D>(target, q_stride, sums, warp_row, length - first, head_dim, inverse[0], inverse[1]);
}

#define EACH(D) \
  extern "C" __global__ void __launch_bounds__(TILE_THREADS) attention_##D( \
      const bf16* q, const bf16* k, const bf16* v, bf16* out, float* log_sum_exp, const int* offsets, int n, int heads, int kv_heads, \
      int head_dim, float scale) { \
    attention<D>(q, k, v, out, log_sum_exp, offsets, n, heads, kv_heads, head_dim, scale); \
  }
// A model needs one head size, so only that is compiled when it is named.
#ifdef HEAD_WIDTH
#define NAMED(D) EACH(D)
NAMED(HEAD_WIDTH)
#else
EACH(32)
EACH(64)
EACH(96)
EACH(128)
#endif

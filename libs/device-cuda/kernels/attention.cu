// Grouped-query attention of packed sequences on tensor cores, scores in registers only (online softmax as in FlashAttention-2,
// arXiv 2307.08691). A block does 64 queries of one head: q, out (N, heads head_dim), k, v (N, kv_heads head_dim), log_sum_exp
// (heads, N). head_dim is a multiple of 8 up to D; what is missing counts as zeros. A sink (heads), where there are sinks, is one
// more score of the softmax, whose share is dropped. With RELATIVE_BIAS a row of relative_bias (2 reach + 1, heads) is added to scores.
#include "prelude.cuh"
#include "tile.cuh"
#include "attention.cuh"

template <int D>
__device__ void attention(
    const bf16* q, const bf16* k, const bf16* v, bf16* out, float* log_sum_exp, const int* offsets, int n, int heads, int kv_heads,
    int head_dim, float scale, int window, float soft_cap, const bf16* sinks, const bf16* relative_bias, int reach) {
  constexpr int STEP = Steps<D>::rows, STAGE = 2 * STEP * Tile<D>::stride;
  extern __shared__ __align__(128) unsigned char memory[];
  bf16* tiles = reinterpret_cast<bf16*>(memory);      // two stages of keys and values; the second one first holds the queries
  float* biases = reinterpret_cast<float*>(tiles + 2 * STAGE);  // of the head by distance, in the scores' unit
  const int start = offsets[blockIdx.z], length = offsets[blockIdx.z + 1] - start;
  const int tile = gridDim.x - 1 - blockIdx.x;        // the longest first
  const int first = tile * TILE_ROWS;
  if (first >= length) return;
  const int head = blockIdx.y, kv_head = head / (heads / kv_heads);
  const i64 q_stride = (i64)heads * head_dim, k_stride = (i64)kv_heads * head_dim;
  const bf16* k_base = k + start * k_stride + kv_head * head_dim;
  const bf16* v_base = v + start * k_stride + kv_head * head_dim;
  const int warp_row = (threadIdx.x >> 5) * 16, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  const Range range = tiles_of(keys_of(first, TILE_ROWS, length, window), STEP);

  load_tile<D>(tiles + STAGE, q + (start + first) * q_stride + head * head_dim, q_stride, length - first, head_dim);
  const int begin = range.first * STEP;
  load_tile<D, STEP>(tiles, k_base + begin * k_stride, k_stride, length - begin, head_dim);
  load_tile<D, STEP>(tiles + STAGE / 2, v_base + begin * k_stride, k_stride, length - begin, head_dim);
  commit_copies();
  if (RELATIVE_BIAS) {
    const float unit = 1.0f / (SOFT_CAP ? soft_cap : scale);
    for (int i = threadIdx.x; i <= 2 * reach; i += blockDim.x) biases[i] = to_float(relative_bias[(i64)i * heads + head]) * unit;
  }
  wait_for_copies();
  __syncthreads();
  Fragment query[D / 16];
#pragma unroll
  for (int i = 0; i < D / 16; i += 1) query[i] = load_left<D>(tiles + STAGE, warp_row, i * 16);
  __syncthreads();

  float sums[D / 8][4] = {};
  float maximum[2] = {MINUS_INFINITY, MINUS_INFINITY}, total[2] = {0, 0};
  const ScoreScale factor(scale, soft_cap);
  for (int j = range.first; j < range.end; j += 1) {
    const int key = j * STEP, stage = (j - range.first & 1) * STAGE;
    const bf16* k_tile = tiles + stage;
    const bf16* v_tile = k_tile + STAGE / 2;
    if (j + 1 < range.end) {
      const int next = key + STEP;
      bf16* other = tiles + (STAGE - stage);
      load_tile<D, STEP>(other, k_base + next * k_stride, k_stride, length - next, head_dim);
      load_tile<D, STEP>(other + STAGE / 2, v_base + next * k_stride, k_stride, length - next, head_dim);
      commit_copies();
    }
    float scores[STEP / 8][4] = {};
#pragma unroll
    for (int i = 0; i < D / 16; i += 1) {
#pragma unroll
      for (int c = 0; c < STEP / 16; c += 1) {
        const Fragment right = load_right_rows<D>(k_tile, c * 16, i * 16);
        multiply(scores[2 * c], query[i], right.at[0], right.at[1]);
        multiply(scores[2 * c + 1], query[i], right.at[2], right.at[3]);
      }
    }
    if (SOFT_CAP) {
#pragma unroll
      for (int c = 0; c < STEP / 8; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) scores[c][e] = to_score(scores[c][e], factor.inner).value;
      }
    }
    if (RELATIVE_BIAS) {
#pragma unroll
      for (int c = 0; c < STEP / 8; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) {
          const int column = key + c * 8 + t * 2 + (e & 1), row = first + warp_row + g + (e >> 1) * 8;
          scores[c][e] += biases[bias_entry(column - row, reach)];
        }
      }
    }
    const Overlap mask = overlap<TILE_ROWS, STEP>(first, key, length, window);
    if (mask.is_cut) {
#pragma unroll
      for (int c = 0; c < STEP / 8; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) {
          if (!mask.attends(warp_row + g + (e >> 1) * 8, c * 8 + t * 2 + (e & 1))) scores[c][e] = MINUS_INFINITY;
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; half += 1) {
      float highest = maximum[half];
#pragma unroll
      for (int c = 0; c < STEP / 8; c += 1) {
        highest = fmaxf(highest, fmaxf(scores[c][2 * half], scores[c][2 * half + 1]) * factor.outer);
      }
      highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
      // Below a window's lower edge a row may have met no key yet.
      const float shift = MASK == WINDOW && highest == MINUS_INFINITY ? 0.0f : highest;
      const float shrink = exp2_fast(maximum[half] - shift);
      maximum[half] = highest;
      total[half] *= shrink;
#pragma unroll
      for (int i = 0; i < D / 8; i += 1) {
        sums[i][2 * half] *= shrink;
        sums[i][2 * half + 1] *= shrink;
      }
#pragma unroll
      for (int c = 0; c < STEP / 8; c += 1) {
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; e += 1) {
          scores[c][e] = exp2_fast(scores[c][e] * factor.outer - shift);
          total[half] += scores[c][e];
        }
      }
    }
#pragma unroll
    for (int c = 0; c < STEP / 16; c += 1) {
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
    float shrink = 1;
    if (sinks) {
      const float sink = to_float(sinks[head]) * LOG2E, highest = fmaxf(maximum[half], sink);
      shrink = exp2_fast(maximum[half] - highest);
      total[half] = total[half] * shrink + exp2_fast(sink - highest);
      maximum[half] = highest;
    }
    inverse[half] = shrink / total[half];
    const int row = first + warp_row + g + half * 8;
    if (t == 0 && row < length) log_sum_exp[(i64)head * n + start + row] = maximum[half] / LOG2E + logf(total[half]);
  }
  bf16* target = out + (start + first) * q_stride + head * head_dim;
  write_rows<D>(target, q_stride, sums, warp_row, length - first, head_dim, inverse[0], inverse[1]);
}

#define EACH(D) \
  extern "C" __global__ void __launch_bounds__(TILE_THREADS) attention_##D( \
      const bf16* q, const bf16* k, const bf16* v, bf16* out, float* log_sum_exp, const int* offsets, int n, int heads, int kv_heads, \
      int head_dim, float scale, int window, float soft_cap, const bf16* sinks, const bf16* relative_bias, int reach) { \
    attention<D>( \
        q, k, v, out, log_sum_exp, offsets, n, heads, kv_heads, head_dim, scale, window, soft_cap, sinks, relative_bias, reach); \
  }
// A model needs one head size, so only that is compiled when it is named.
#ifdef HEAD_WIDTH
#define NAMED(D) EACH(D)
NAMED(HEAD_WIDTH)
#else
EACH(32)
EACH(64)
EACH(80)
EACH(96)
EACH(128)
EACH(256)
#endif

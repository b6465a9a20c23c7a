// Backward of attention.cu, without atomics, so that equal inputs give equal bits: one kernel sums dK and dV over the queries of
// the heads that share a key head, in order; another sums dQ over the keys. Both recompute the scores from log_sum_exp.
// delta (heads, N) = Σ dOut · out of each query. Where there are few keys, every head sums on its own into float32 parts
// (N, heads head_dim), which a third kernel adds up: that fills the card. Sinks are in log_sum_exp and change nothing else.
#include "prelude.cuh"
#include "tile.cuh"
#include "attention.cuh"

template <typename T>
__device__ void attention_delta(const T* out, const T* d_out, float* delta, int n, int heads, int head_dim) {
  const i64 index = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (index >= (i64)n * heads) return;
  float sum = 0;
  for (int i = threadIdx.x & 31; i < head_dim; i += 32) sum += to_float(out[index * head_dim + i]) * to_float(d_out[index * head_dim + i]);
  sum = warp_sum(sum);
  if ((threadIdx.x & 31) == 0) delta[index % heads * n + index / heads] = sum;
}
extern "C" __global__ void attention_delta_bfloat16(const bf16* out, const bf16* d_out, float* delta, int n, int heads, int head_dim) {
  attention_delta(out, d_out, delta, n, heads, head_dim);
}
extern "C" __global__ void attention_delta_float32(const float* out, const float* d_out, float* delta, int n, int heads, int head_dim) {
  attention_delta(out, d_out, delta, n, heads, head_dim);
}

// A block does 64 keys and `heads_each` heads of one key head: all of them, or one when there are parts. Scores are transposed:
// rows are keys, columns queries, 32 of them at a time.
template <int D> __device__ void attention_keys(const Operands& o, bf16* d_k, bf16* d_v, float* part_k, float* part_v, int heads_each) {
  extern __shared__ __align__(128) unsigned char memory[];
  bf16* keys = reinterpret_cast<bf16*>(memory);
  bf16* values = keys + Tile<D>::elements;
  bf16* queries = values + Tile<D>::elements;
  bf16* gradients = queries + Tile<D>::elements;
  float* row_log = reinterpret_cast<float*>(gradients + Tile<D>::elements);
  float* row_delta = row_log + TILE_ROWS;
  const int start = o.offsets[blockIdx.z], length = o.offsets[blockIdx.z + 1] - start;
  const int first = blockIdx.x * TILE_ROWS;
  if (first >= length) return;
  const Range range = tiles_of(queries_of(first, TILE_ROWS, length, o.window), TILE_ROWS);
  const int tiles = range.end - range.first;
  const int first_head = blockIdx.y * heads_each, kv_head = first_head / (o.heads / o.kv_heads);
  const i64 q_stride = (i64)o.heads * o.head_dim, k_stride = (i64)o.kv_heads * o.head_dim;
  const i64 k_at = (start + first) * k_stride + kv_head * o.head_dim;
  const int warp_row = (threadIdx.x >> 5) * 16, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  const ScoreScale factor(o.scale, o.soft_cap);
  load_tile<D>(keys, o.k + k_at, k_stride, length - first, o.head_dim);
  load_tile<D>(values, o.v + k_at, k_stride, length - first, o.head_dim);

  float d_key[D / 8][4] = {}, d_value[D / 8][4] = {};
  for (int step = 0; step < heads_each * tiles; step += 1) {
    const int head = first_head + step / tiles, row = (range.first + step % tiles) * TILE_ROWS;
    const Overlap mask = overlap<TILE_ROWS, TILE_ROWS>(row, first, length, o.window);
    const i64 q_at = (start + row) * q_stride + head * o.head_dim;
    __syncthreads();
    load_tile<D>(queries, o.q + q_at, q_stride, length - row, o.head_dim);
    load_tile<D>(gradients, o.d_out + q_at, q_stride, length - row, o.head_dim);
    commit_copies();
    if (threadIdx.x < TILE_ROWS) {
      const bool valid = row + (int)threadIdx.x < length;
      const i64 at = (i64)head * o.n + start + row + threadIdx.x;
      row_log[threadIdx.x] = valid ? o.log_sum_exp[at] * LOG2E : __int_as_float(0x7f800000);
      row_delta[threadIdx.x] = valid ? o.delta[at] : 0;
    }
    wait_for_copies();
    __syncthreads();
#pragma unroll 1  // both halves unrolled need more registers than there are
    for (int chunk = 0; chunk < TILE_ROWS; chunk += 32) {
      float scores[4][4] = {}, d_scores[4][4] = {};
#pragma unroll
      for (int i = 0; i < D / 16; i += 1) {
        const Fragment key = load_left<D>(keys, warp_row, i * 16), value = load_left<D>(values, warp_row, i * 16);
#pragma unroll
        for (int c = 0; c < 2; c += 1) {
          const Fragment query = load_right_rows<D>(queries, chunk + c * 16, i * 16);
          multiply(scores[2 * c], key, query.at[0], query.at[1]);
          multiply(scores[2 * c + 1], key, query.at[2], query.at[3]);
          const Fragment gradient = load_right_rows<D>(gradients, chunk + c * 16, i * 16);
          multiply(d_scores[2 * c], value, gradient.at[0], gradient.at[1]);
          multiply(d_scores[2 * c + 1], value, gradient.at[2], gradient.at[3]);
        }
      }
#pragma unroll
      for (int c = 0; c < 4; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) {
          const int column = chunk + c * 8 + t * 2 + (e & 1);
          const bool masked = mask.is_cut && !mask.attends(column, warp_row + g + (e >> 1) * 8);
          const Score score = to_score(scores[c][e], factor.inner);
          const float p = masked ? 0.0f : exp2_fast(score.value * factor.outer - row_log[column]);
          scores[c][e] = p;
          d_scores[c][e] = p * (d_scores[c][e] - row_delta[column]) * score.slope;
        }
      }
#pragma unroll
      for (int c = 0; c < 2; c += 1) {
        const Fragment p = to_left(scores[2 * c], scores[2 * c + 1]), d = to_left(d_scores[2 * c], d_scores[2 * c + 1]);
#pragma unroll
        for (int i = 0; i < D / 16; i += 1) {
          const Fragment gradient = load_right_columns<D>(gradients, chunk + c * 16, i * 16);
          multiply(d_value[2 * i], p, gradient.at[0], gradient.at[1]);
          multiply(d_value[2 * i + 1], p, gradient.at[2], gradient.at[3]);
          const Fragment query = load_right_columns<D>(queries, chunk + c * 16, i * 16);
          multiply(d_key[2 * i], d, query.at[0], query.at[1]);
          multiply(d_key[2 * i + 1], d, query.at[2], query.at[3]);
        }
      }
    }
  }
  if (part_k) {
    const i64 at = (start + first) * q_stride + first_head * o.head_dim;
    write_rows<D>(part_k + at, q_stride, d_key, warp_row, length - first, o.head_dim, o.scale, o.scale);
    write_rows<D>(part_v + at, q_stride, d_value, warp_row, length - first, o.head_dim, 1.0f, 1.0f);
    return;
  }
  write_rows<D>(d_k + k_at, k_stride, d_key, warp_row, length - first, o.head_dim, o.scale, o.scale);
  write_rows<D>(d_v + k_at, k_stride, d_value, warp_row, length - first, o.head_dim, 1.0f, 1.0f);
}

// Sums of `group` heads' parts: x (rows, group, head_dim) to out (rows, head_dim), rows being tokens and key heads; two columns a thread.
extern "C" __global__ void attention_add_parts(const float* x, bf16* out, i64 pairs, int group, int head_dim) {
  const i64 i = global_index() * 2;
  if (i >= pairs * 2) return;
  const float* from = x + i / head_dim * group * head_dim + i % head_dim;
  float2 sum = make_float2(0, 0);
  for (int j = 0; j < group; j += 1) {
    const float2 y = *reinterpret_cast<const float2*>(from + j * head_dim);
    sum.x += y.x;
    sum.y += y.y;
  }
  *reinterpret_cast<u32*>(out + i) = pack_bf16(sum.x, sum.y);
}

// A block does 64 queries of one head, 32 keys at a time.
template <int D> __device__ void attention_queries(const Operands& o, bf16* d_q) {
  constexpr int STEP = Steps<D>::rows;
  extern __shared__ __align__(128) unsigned char memory[];
  bf16* keys = reinterpret_cast<bf16*>(memory);
  bf16* values = keys + STEP * Tile<D>::stride;
  bf16* queries = values + STEP * Tile<D>::stride;
  bf16* gradients = queries + Tile<D>::elements;
  const int start = o.offsets[blockIdx.z], length = o.offsets[blockIdx.z + 1] - start;
  const int tile = gridDim.x - 1 - blockIdx.x, first = tile * TILE_ROWS;
  if (first >= length) return;
  const int head = blockIdx.y, kv_head = head / (o.heads / o.kv_heads);
  const i64 q_stride = (i64)o.heads * o.head_dim, k_stride = (i64)o.kv_heads * o.head_dim;
  const i64 q_at = (start + first) * q_stride + head * o.head_dim;
  const int warp_row = (threadIdx.x >> 5) * 16, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  const ScoreScale factor(o.scale, o.soft_cap);
  load_tile<D>(queries, o.q + q_at, q_stride, length - first, o.head_dim);
  load_tile<D>(gradients, o.d_out + q_at, q_stride, length - first, o.head_dim);
  float row_log[2], row_delta[2];
#pragma unroll
  for (int half = 0; half < 2; half += 1) {
    const int row = first + warp_row + g + half * 8;
    const i64 at = (i64)head * o.n + start + row;
    row_log[half] = row < length ? o.log_sum_exp[at] * LOG2E : __int_as_float(0x7f800000);
    row_delta[half] = row < length ? o.delta[at] : 0;
  }

  float d_query[D / 8][4] = {};
  const Range range = tiles_of(keys_of(first, TILE_ROWS, length, o.window), STEP);
  for (int j = range.first; j < range.end; j += 1) {
    const int key_row = j * STEP;
    const i64 k_at = (start + key_row) * k_stride + kv_head * o.head_dim;
    const Overlap mask = overlap<TILE_ROWS, STEP>(first, key_row, length, o.window);
    __syncthreads();
    load_tile<D, STEP>(keys, o.k + k_at, k_stride, length - key_row, o.head_dim);
    load_tile<D, STEP>(values, o.v + k_at, k_stride, length - key_row, o.head_dim);
    commit_copies();
    wait_for_copies();
    __syncthreads();
#pragma unroll
    for (int chunk = 0; chunk < STEP; chunk += 32) {
      float scores[4][4] = {}, d_scores[4][4] = {};
#pragma unroll
      for (int i = 0; i < D / 16; i += 1) {
        const Fragment query = load_left<D>(queries, warp_row, i * 16), gradient = load_left<D>(gradients, warp_row, i * 16);
#pragma unroll
        for (int c = 0; c < 2; c += 1) {
          const Fragment key = load_right_rows<D>(keys, chunk + c * 16, i * 16);
          multiply(scores[2 * c], query, key.at[0], key.at[1]);
          multiply(scores[2 * c + 1], query, key.at[2], key.at[3]);
          const Fragment value = load_right_rows<D>(values, chunk + c * 16, i * 16);
          multiply(d_scores[2 * c], gradient, value.at[0], value.at[1]);
          multiply(d_scores[2 * c + 1], gradient, value.at[2], value.at[3]);
        }
      }
#pragma unroll
      for (int c = 0; c < 4; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) {
          const bool masked = mask.is_cut && !mask.attends(warp_row + g + (e >> 1) * 8, chunk + c * 8 + t * 2 + (e & 1));
          const Score score = to_score(scores[c][e], factor.inner);
          const float p = masked ? 0.0f : exp2_fast(score.value * factor.outer - row_log[e >> 1]);
          d_scores[c][e] = p * (d_scores[c][e] - row_delta[e >> 1]) * score.slope;
        }
      }
#pragma unroll
      for (int c = 0; c < 2; c += 1) {
        const Fragment d = to_left(d_scores[2 * c], d_scores[2 * c + 1]);
#pragma unroll
        for (int i = 0; i < D / 16; i += 1) {
          const Fragment key = load_right_columns<D>(keys, chunk + c * 16, i * 16);
          multiply(d_query[2 * i], d, key.at[0], key.at[1]);
          multiply(d_query[2 * i + 1], d, key.at[2], key.at[3]);
        }
      }
    }
  }
  write_rows<D>(d_q + q_at, q_stride, d_query, warp_row, length - first, o.head_dim, o.scale, o.scale);
}

#define KEYS(D) \
  extern "C" __global__ void __launch_bounds__(TILE_THREADS) attention_keys_##D( \
      PARAMETERS(bf16), bf16* d_k, bf16* d_v, float* part_k, float* part_v, int heads_each) { \
    attention_keys<D>({ARGUMENTS}, d_k, d_v, part_k, part_v, heads_each); \
  }
#define QUERIES(D) \
  extern "C" __global__ void __launch_bounds__(TILE_THREADS) attention_queries_##D(PARAMETERS(bf16), bf16* d_q) { \
    attention_queries<D>({ARGUMENTS}, d_q); \
  }
#define EACH(D) KEYS(D) QUERIES(D)
// A model needs one head size, so only that is compiled when it is named. The keys of wide heads are in attention-keys-wide.cu.
#ifndef HEAD_WIDTH
EACH(32)
EACH(64)
EACH(80)
EACH(96)
EACH(128)
QUERIES(256)
#else
#if HEAD_WIDTH > 128
#define NAMED(D) QUERIES(D)
#else
#define NAMED(D) EACH(D)
#endif
NAMED(HEAD_WIDTH)
#endif

// dK and dV of attention-backward.cu for heads wider than 128, whose two sums do not fit into the registers of one warp: of a block's
// eight warps the first four sum dV and the others dK, for the same 64 keys and 32 queries at a time.
#include "prelude.cuh"
#include "tile.cuh"
#include "attention.cuh"

// Two numbers of each query lie in the eight elements behind its row of the tile, which nothing else uses.
template <int D> struct RowValues {
  static constexpr int stride = Tile<D>::stride / 2;
  float* at;
  __device__ __forceinline__ explicit RowValues(bf16* queries) : at(reinterpret_cast<float*>(queries + D)) {}
  __device__ __forceinline__ float& log(int row) { return at[row * stride]; }
  __device__ __forceinline__ float& delta(int row) { return at[row * stride + 1]; }
};

// As attention_keys of attention-backward.cu: `heads_each` heads of one key head, or one when there are parts.
template <int D> __device__ void attention_keys_wide(const Operands& o, bf16* d_k, bf16* d_v, float* part_k, float* part_v, int heads_each) {
  constexpr int STEP = Steps<D>::rows, THREADS = 2 * TILE_THREADS;
  static_assert(STEP == 32, "a step is one chunk of 32 queries");
  extern __shared__ __align__(128) unsigned char memory[];
  bf16* keys = reinterpret_cast<bf16*>(memory);
  bf16* values = keys + Tile<D>::elements;
  bf16* queries = values + Tile<D>::elements;
  bf16* gradients = queries + STEP * Tile<D>::stride;
  RowValues<D> row_values(queries);
  const int start = o.offsets[blockIdx.z], length = o.offsets[blockIdx.z + 1] - start;
  const int first = blockIdx.x * TILE_ROWS;
  if (first >= length) return;
  const Range range = tiles_of(queries_of(first, TILE_ROWS, length, o.window), STEP);
  const int tiles = range.end - range.first;
  const int first_head = blockIdx.y * heads_each, kv_head = first_head / (o.heads / o.kv_heads);
  const i64 q_stride = (i64)o.heads * o.head_dim, k_stride = (i64)o.kv_heads * o.head_dim;
  const i64 k_at = (start + first) * k_stride + kv_head * o.head_dim;
  const bool sums_keys = threadIdx.x >= TILE_THREADS;
  const int warp_row = (threadIdx.x % TILE_THREADS >> 5) * 16, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  const ScoreScale factor(o.scale, o.soft_cap);
  load_tile<D, TILE_ROWS, THREADS>(keys, o.k + k_at, k_stride, length - first, o.head_dim);
  load_tile<D, TILE_ROWS, THREADS>(values, o.v + k_at, k_stride, length - first, o.head_dim);

  float sums[D / 8][4] = {};
  for (int step = 0; step < heads_each * tiles; step += 1) {
    const int head = first_head + step / tiles, row = (range.first + step % tiles) * STEP;
    const Overlap mask = overlap<STEP, TILE_ROWS>(row, first, length, o.window);
    const i64 q_at = (start + row) * q_stride + head * o.head_dim;
    __syncthreads();
    load_tile<D, STEP, THREADS>(queries, o.q + q_at, q_stride, length - row, o.head_dim);
    load_tile<D, STEP, THREADS>(gradients, o.d_out + q_at, q_stride, length - row, o.head_dim);
    commit_copies();
    if (threadIdx.x < STEP) {
      const bool valid = row + (int)threadIdx.x < length;
      const i64 at = (i64)head * o.n + start + row + threadIdx.x;
      row_values.log(threadIdx.x) = valid ? o.log_sum_exp[at] * LOG2E : __int_as_float(0x7f800000);
      row_values.delta(threadIdx.x) = valid ? o.delta[at] : 0;
    }
    wait_for_copies();
    __syncthreads();
    float scores[4][4] = {}, d_scores[4][4] = {};
#pragma unroll
    for (int i = 0; i < D / 16; i += 1) {
      const Fragment key = load_left<D>(keys, warp_row, i * 16);
#pragma unroll
      for (int c = 0; c < 2; c += 1) {
        const Fragment query = load_right_rows<D>(queries, c * 16, i * 16);
        multiply(scores[2 * c], key, query.at[0], query.at[1]);
        multiply(scores[2 * c + 1], key, query.at[2], query.at[3]);
      }
    }
    if (sums_keys) {
#pragma unroll
      for (int i = 0; i < D / 16; i += 1) {
        const Fragment value = load_left<D>(values, warp_row, i * 16);
#pragma unroll
        for (int c = 0; c < 2; c += 1) {
          const Fragment gradient = load_right_rows<D>(gradients, c * 16, i * 16);
          multiply(d_scores[2 * c], value, gradient.at[0], gradient.at[1]);
          multiply(d_scores[2 * c + 1], value, gradient.at[2], gradient.at[3]);
        }
      }
    }
#pragma unroll
    for (int c = 0; c < 4; c += 1) {
#pragma unroll
      for (int e = 0; e < 4; e += 1) {
        const int column = c * 8 + t * 2 + (e & 1);
        const bool masked = mask.is_cut && !mask.attends(column, warp_row + g + (e >> 1) * 8);
        const Score score = to_score(scores[c][e], factor.inner);
        const float p = masked ? 0.0f : exp2_fast(score.value * factor.outer - row_values.log(column));
        scores[c][e] = sums_keys ? p * (d_scores[c][e] - row_values.delta(column)) * score.slope : p;
      }
    }
    const bf16* right_tile = sums_keys ? queries : gradients;
#pragma unroll
    for (int c = 0; c < 2; c += 1) {
      const Fragment left = to_left(scores[2 * c], scores[2 * c + 1]);
#pragma unroll
      for (int i = 0; i < D / 16; i += 1) {
        const Fragment right = load_right_columns<D>(right_tile, c * 16, i * 16);
        multiply(sums[2 * i], left, right.at[0], right.at[1]);
        multiply(sums[2 * i + 1], left, right.at[2], right.at[3]);
      }
    }
  }
  const float scale = sums_keys ? o.scale : 1.0f;
  if (part_k) {
    float* part = (sums_keys ? part_k : part_v) + (start + first) * q_stride + first_head * o.head_dim;
    write_rows<D>(part, q_stride, sums, warp_row, length - first, o.head_dim, scale, scale);
    return;
  }
  write_rows<D>((sums_keys ? d_k : d_v) + k_at, k_stride, sums, warp_row, length - first, o.head_dim, scale, scale);
}

extern "C" __global__ void __launch_bounds__(2 * TILE_THREADS) attention_keys_256(
    PARAMETERS(bf16), bf16* d_k, bf16* d_v, float* part_k, float* part_v, int heads_each) {
  attention_keys_wide<256>({ARGUMENTS}, d_k, d_v, part_k, part_v, heads_each);
}

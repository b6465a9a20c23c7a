// The gated delta rule on tensor cores, chunk after chunk: formulas in delta-rule.cuh. A block does 64 columns of one value head of
// one sequence, 16 of them a warp, whose part of the state stays in registers, transposed: then every product's result is the next
// one's left operand and no warp waits for another's. grid (value columns / 64, held heads, sequences).
#include "prelude.cuh"
#include "tile.cuh"
#include "delta-rule.cuh"

template <int D> struct Stages {
  bf16 *keys, *queries, *inverse, *scores, *values;  // two tiles of keys, one of each of the others
  float* factors;                                    // two of Factors
  __device__ __forceinline__ explicit Stages(unsigned char* memory) {
    keys = reinterpret_cast<bf16*>(memory);
    queries = keys + 2 * Tile<D>::elements;
    inverse = queries + Tile<D>::elements;
    scores = inverse + Tile<CHUNK_ROWS>::elements;
    values = scores + Tile<CHUNK_ROWS>::elements;
    factors = reinterpret_cast<float*>(values + Tile<CHUNK_ROWS>::elements);
  }
};

struct RuleInputs {
  const bf16 *q, *k, *v;
  const float* strength;
  const int* offsets;
};

template <int D>
__device__ void delta_rule(
    const RuleInputs& in, const Prepared& prepared, const float* initial_state, bf16* out, float* states, float* final_state,
    const Rule& rule) {
  extern __shared__ __align__(128) unsigned char memory[];
  const Stages<D> stages(memory);
  const Span span = span_of(in.offsets, blockIdx.z);
  const int head = rule.first + blockIdx.y, key_head = head / (rule.value_heads / rule.key_heads);
  const int block_column = blockIdx.x * CHUNK_ROWS, warp_column = (threadIdx.x >> 5) * 16, column = block_column + warp_column;
  const int t = threadIdx.x & 3;
  const i64 k_stride = (i64)rule.key_heads * rule.key_dim, v_stride = (i64)rule.value_heads * rule.value_dim;
  const i64 k_at = span.start * k_stride + key_head * rule.key_dim, v_at = span.start * v_stride + head * rule.value_dim;
  const i64 state_elements = (i64)rule.key_dim * rule.value_dim;
  const i64 of_sequence = ((i64)blockIdx.z * rule.value_heads + head) * state_elements;
  const auto load_keys = [&](int c) {
    load_tile<D>(
        stages.keys + (c & 1) * Tile<D>::elements, in.k + k_at + c * CHUNK_ROWS * k_stride, k_stride, span.length - c * CHUNK_ROWS,
        rule.key_dim);
    commit_copies();
  };
  const auto load_others = [&](int c) {
    const int row = c * CHUNK_ROWS, rows = span.length - row;
    const i64 held = (i64)(span.chunk + c) * rule.held + blockIdx.y;
    load_tile<D>(stages.queries, in.q + k_at + row * k_stride, k_stride, rows, rule.key_dim);
    load_tile<CHUNK_ROWS>(
        stages.inverse, prepared.inverses + held * CHUNK_ROWS * CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS);
    load_tile<CHUNK_ROWS>(stages.scores, prepared.scores + held * CHUNK_ROWS * CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS);
    load_tile<CHUNK_ROWS>(
        stages.values, in.v + v_at + row * v_stride + block_column, v_stride, rows, rule.value_dim - block_column);
    commit_copies();
    Factors(stages.factors + (c & 1) * Factors::elements)
        .load(prepared.sums + held * CHUNK_ROWS, in.strength + (i64)(span.start + row) * rule.value_heads + head, rule.value_heads, rows);
  };

  float state[D / 8][4];
  read_state<D>(state, initial_state ? initial_state + of_sequence : nullptr, rule, column);
  if (span.chunks > 0) {
    load_keys(0);
    load_others(0);
  }
  for (int c = 0; c < span.chunks; c += 1) {
    const bf16* keys = stages.keys + (c & 1) * Tile<D>::elements;
    const Factors factors(stages.factors + (c & 1) * Factors::elements);
    wait_for_copies();
    __syncthreads();
    if (c + 1 < span.chunks) load_keys(c + 1);
    if (states) write_state<D>(states + ((i64)(span.chunk + c) * rule.value_heads + head) * state_elements, state, rule, column);

    float updates[8][4] = {}, answers[8][4] = {};
#pragma unroll
    for (int i = 0; i < D / 16; i += 1) {
      const Fragment left = to_left(state[2 * i], state[2 * i + 1]);
#pragma unroll
      for (int n = 0; n < 4; n += 1) {
        multiply_pair(updates + 2 * n, left, load_right_rows<D>(keys, n * 16, i * 16));
        multiply_pair(answers + 2 * n, left, load_right_rows<D>(stages.queries, n * 16, i * 16));
      }
    }
    // B (V - E K S)
#pragma unroll
    for (int n = 0; n < 4; n += 1) {
      const Fragment value = load_left_transposed<CHUNK_ROWS>(stages.values, n * 16, warp_column);
#pragma unroll
      for (int i = 0; i < 4; i += 1) {
        float* x = updates[2 * n + (i >> 1)] + (i & 1) * 2;
        const int row = n * 16 + (i >> 1) * 8 + t * 2;
        x[0] = factors.strength[row] * low_half(value.at[i]) + factors.erased[row] * x[0];
        x[1] = factors.strength[row + 1] * high_half(value.at[i]) + factors.erased[row + 1] * x[1];
      }
    }
    float written[8][4] = {};
#pragma unroll
    for (int j = 0; j < 4; j += 1) {
      const Fragment left = to_left(updates[2 * j], updates[2 * j + 1]);
#pragma unroll
      for (int n = j; n < 4; n += 1) multiply_pair(written + 2 * n, left, load_right_rows<CHUNK_ROWS>(stages.inverse, n * 16, j * 16));
    }
    scale_columns(answers, factors.growth);
#pragma unroll
    for (int j = 0; j < 4; j += 1) {
      const Fragment left = to_left(written[2 * j], written[2 * j + 1]);
#pragma unroll
      for (int n = j; n < 4; n += 1) multiply_pair(answers + 2 * n, left, load_right_rows<CHUNK_ROWS>(stages.scores, n * 16, j * 16));
    }
    __syncthreads();
    if (c + 1 < span.chunks) load_others(c + 1);
    scale_columns(written, factors.rest);

    const float decay = factors.growth[CHUNK_ROWS - 1];
#pragma unroll
    for (int j = 0; j < D / 8; j += 1) {
#pragma unroll
      for (int i = 0; i < 4; i += 1) state[j][i] *= decay;
    }
#pragma unroll
    for (int j = 0; j < 4; j += 1) {
      const Fragment left = to_left(written[2 * j], written[2 * j + 1]);
#pragma unroll
      for (int i = 0; i < D / 16; i += 1) multiply_pair(state + 2 * i, left, load_right_columns<D>(keys, j * 16, i * 16));
    }
    write_transposed<8>(
        out + v_at + c * CHUNK_ROWS * v_stride + column, v_stride, answers, span.length - c * CHUNK_ROWS, rule.value_dim - column);
  }
  if (final_state) write_state<D>(final_state + of_sequence, state, rule, column);
}

#ifndef HEAD_WIDTH
#define HEAD_WIDTH 128
#endif
extern "C" __global__ void __launch_bounds__(TILE_THREADS) delta_rule_bfloat16(
    const bf16* q, const bf16* k, const bf16* v, const float* strength, const int* offsets, bf16* inverses, bf16* scores, float* sums,
    const float* initial_state, bf16* out, float* states, float* final_state, int key_heads, int value_heads, int key_dim,
    int value_dim, int first, int held) {
  delta_rule<HEAD_WIDTH>(
      {q, k, v, strength, offsets}, {inverses, scores, sums}, initial_state, out, states, final_state,
      {key_heads, value_heads, key_dim, value_dim, first, held});
}

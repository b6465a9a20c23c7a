// The serial part of the gated delta rule's backward on tensor cores: with dS' the gradient of the state behind a chunk,
//   dU = Pt dO + T K dS'    Y = (I + L)^-t dU    dV = B Y    dS = e^(G_C) dS' + (E Q)t dO - (E K)t dV
// from the last chunk to the first; formulas and names in delta-rule.cuh, blocks and registers as in delta-rule.cu. Y takes dV's place,
// where delta-rule-gradients.cu turns it into dV; d_states (chunks, held, key_dim, value_dim) keeps every chunk's dS' for it.
#include "prelude.cuh"
#include "tile.cuh"
#include "delta-rule.cuh"

template <int D> struct Stages {
  bf16 *keys, *queries, *inverse, *scores, *gradients;  // two tiles of keys and queries, one of each of the others
  float* factors;                                       // two of Factors
  __device__ __forceinline__ explicit Stages(unsigned char* memory) {
    keys = reinterpret_cast<bf16*>(memory);
    queries = keys + 2 * Tile<D>::elements;
    inverse = queries + 2 * Tile<D>::elements;
    scores = inverse + Tile<CHUNK_ROWS>::elements;
    gradients = scores + Tile<CHUNK_ROWS>::elements;
    factors = reinterpret_cast<float*>(gradients + Tile<CHUNK_ROWS>::elements);
  }
};

struct RuleGradients {
  const bf16 *q, *k;
  const float* strength;
  const int* offsets;
  const bf16* d_out;
};

// This warp's columns of dS', a chunk's place of d_states being `to`.
template <int D> __device__ __forceinline__ void keep_state(bf16* to, const float (*state)[4], const Rule& rule, int column) {
  write_transposed<D / 8>(to + column, rule.value_dim, state, rule.key_dim, rule.value_dim - column);
}

template <int D>
__device__ void delta_rule_backward(
    const RuleGradients& in, const Prepared& prepared, const float* d_final_state, bf16* y, bf16* d_states, float* d_initial_state,
    const Rule& rule) {
  extern __shared__ __align__(128) unsigned char memory[];
  const Stages<D> stages(memory);
  const Span span = span_of(in.offsets, blockIdx.z);
  const int head = rule.first + blockIdx.y, key_head = head / (rule.value_heads / rule.key_heads);
  const int block_column = blockIdx.x * CHUNK_ROWS, warp_column = (threadIdx.x >> 5) * 16, column = block_column + warp_column;
  const i64 k_stride = (i64)rule.key_heads * rule.key_dim, v_stride = (i64)rule.value_heads * rule.value_dim;
  const i64 k_at = span.start * k_stride + key_head * rule.key_dim, v_at = span.start * v_stride + head * rule.value_dim;
  const i64 state_elements = (i64)rule.key_dim * rule.value_dim;
  const i64 of_sequence = ((i64)blockIdx.z * rule.value_heads + head) * state_elements;
  const auto load_rows = [&](int c) {
    const i64 at = k_at + c * CHUNK_ROWS * k_stride;
    const int place = (c & 1) * Tile<D>::elements, rows = span.length - c * CHUNK_ROWS;
    load_tile<D>(stages.keys + place, in.k + at, k_stride, rows, rule.key_dim);
    load_tile<D>(stages.queries + place, in.q + at, k_stride, rows, rule.key_dim);
    commit_copies();
  };
  const auto load_others = [&](int c) {
    const int row = c * CHUNK_ROWS, rows = span.length - row;
    const i64 held = (i64)(span.chunk + c) * rule.held + blockIdx.y;
    load_tile<CHUNK_ROWS>(
        stages.inverse, prepared.inverses + held * CHUNK_ROWS * CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS);
    load_tile<CHUNK_ROWS>(stages.scores, prepared.scores + held * CHUNK_ROWS * CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS);
    load_tile<CHUNK_ROWS>(
        stages.gradients, in.d_out + v_at + row * v_stride + block_column, v_stride, rows, rule.value_dim - block_column);
    commit_copies();
    Factors(stages.factors + (c & 1) * Factors::elements)
        .load(prepared.sums + held * CHUNK_ROWS, in.strength + (i64)(span.start + row) * rule.value_heads + head, rule.value_heads, rows);
  };

  float state[D / 8][4];
  read_state<D>(state, d_final_state ? d_final_state + of_sequence : nullptr, rule, column);
  if (span.chunks > 0) {
    load_rows(span.chunks - 1);
    load_others(span.chunks - 1);
  }
  for (int c = span.chunks - 1; c >= 0; c -= 1) {
    const bf16 *keys = stages.keys + (c & 1) * Tile<D>::elements, *queries = stages.queries + (c & 1) * Tile<D>::elements;
    const Factors factors(stages.factors + (c & 1) * Factors::elements);
    wait_for_copies();
    __syncthreads();
    if (c > 0) load_rows(c - 1);
    keep_state<D>(d_states + ((i64)(span.chunk + c) * rule.held + blockIdx.y) * state_elements, state, rule, column);

    float updates[8][4] = {};
#pragma unroll
    for (int i = 0; i < D / 16; i += 1) {
      const Fragment left = to_left(state[2 * i], state[2 * i + 1]);
#pragma unroll
      for (int n = 0; n < 4; n += 1) multiply_pair(updates + 2 * n, left, load_right_rows<D>(keys, n * 16, i * 16));
    }
    scale_columns(updates, factors.rest);
    Fragment gradients[4];
#pragma unroll
    for (int i = 0; i < 4; i += 1) {
      gradients[i] = load_left_transposed<CHUNK_ROWS>(stages.gradients, i * 16, warp_column);
#pragma unroll
      for (int n = 0; n <= i; n += 1)
        multiply_pair(updates + 2 * n, gradients[i], load_right_columns<CHUNK_ROWS>(stages.scores, i * 16, n * 16));
    }
    float solved[8][4] = {};
#pragma unroll
    for (int i = 0; i < 4; i += 1) {
      const Fragment left = to_left(updates[2 * i], updates[2 * i + 1]);
#pragma unroll
      for (int n = 0; n <= i; n += 1) multiply_pair(solved + 2 * n, left, load_right_columns<CHUNK_ROWS>(stages.inverse, i * 16, n * 16));
    }
    __syncthreads();
    if (c > 0) load_others(c - 1);

    write_transposed<8>(
        y + v_at + c * CHUNK_ROWS * v_stride + column, v_stride, solved, span.length - c * CHUNK_ROWS, rule.value_dim - column);
    const float decay = factors.growth[CHUNK_ROWS - 1];
#pragma unroll
    for (int j = 0; j < D / 8; j += 1) {
#pragma unroll
      for (int i = 0; i < 4; i += 1) state[j][i] *= decay;
    }
    scale_columns(solved, factors.erased);
#pragma unroll
    for (int i = 0; i < 4; i += 1) {
      const Fragment answered = scaled_left(gradients[i], factors.growth, i * 16);
      const Fragment erased = to_left(solved[2 * i], solved[2 * i + 1]);
#pragma unroll
      for (int j = 0; j < D / 16; j += 1) {
        multiply_pair(state + 2 * j, answered, load_right_columns<D>(queries, i * 16, j * 16));
        multiply_pair(state + 2 * j, erased, load_right_columns<D>(keys, i * 16, j * 16));
      }
    }
  }
  if (d_initial_state) write_state<D>(d_initial_state + of_sequence, state, rule, column);
}

#ifndef HEAD_WIDTH
#define HEAD_WIDTH 128
#endif
extern "C" __global__ void __launch_bounds__(TILE_THREADS) delta_rule_backward_bfloat16(
    const bf16* q, const bf16* k, const float* strength, const int* offsets, const bf16* d_out, bf16* inverses, bf16* scores,
    float* sums, const float* d_final_state, bf16* y, bf16* d_states, float* d_initial_state, int key_heads, int value_heads,
    int key_dim, int value_dim, int first, int held) {
  delta_rule_backward<HEAD_WIDTH>(
      {q, k, strength, offsets, d_out}, {inverses, scores, sums}, d_final_state, y, d_states, d_initial_state,
      {key_heads, value_heads, key_dim, value_dim, first, held});
}

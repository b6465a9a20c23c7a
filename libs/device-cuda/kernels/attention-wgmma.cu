// attention.cu for heads of 128 on Hopper cards (compute capability 9.0): products by wgmma, operands brought by the copy engine. A
// block does 128 queries of one head: one warpgroup copies keys and values, 128 of each at a time and two of each kept; two
// warpgroups compute 64 queries each. While the tensor cores sum the values of one tile, the scores of the next become weights.
#include "prelude.cuh"
#include "tile.cuh"
#include "attention.cuh"
#include "wgmma.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

#ifndef TURNS
#define TURNS 1
#endif

#define QUERIES 128
#define KEYS 128
#define STAGES 2
#define COMPUTING_WARPS 8
#define TILE_BYTES (128 * HEAD * 2)

struct Shared {
  u32 queries, keys, values, barriers;
  __device__ __forceinline__ explicit Shared(u32 start)
      : queries(start), keys(start + TILE_BYTES), values(keys + STAGES * TILE_BYTES), barriers(values + STAGES * TILE_BYTES) {}
  __device__ __forceinline__ u32 key_tile(int stage) const { return keys + stage * TILE_BYTES; }
  __device__ __forceinline__ u32 value_tile(int stage) const { return values + stage * TILE_BYTES; }
  __device__ __forceinline__ Barrier queries_full() const { return {barriers}; }
  __device__ __forceinline__ Barrier keys_full(int stage) const { return {barriers + 8 + stage * 8}; }
  __device__ __forceinline__ Barrier values_full(int stage) const { return {barriers + 8 + (STAGES + stage) * 8}; }
  __device__ __forceinline__ Barrier keys_free(int stage) const { return {barriers + 8 + (2 * STAGES + stage) * 8}; }
  __device__ __forceinline__ Barrier values_free(int stage) const { return {barriers + 8 + (3 * STAGES + stage) * 8}; }
};

// The warpgroups start their products in turns, so that one computes weights while the other's products run.
__device__ __forceinline__ void await_turn(int group) {
#if TURNS
  asm volatile("bar.sync %0, 256;" ::"r"(group + 1) : "memory");
#endif
}
__device__ __forceinline__ void pass_turn(int group) {
#if TURNS
  asm volatile("bar.arrive %0, 256;" ::"r"(2 - group) : "memory");
#endif
}

__device__ __forceinline__ int stage_of(int step) { return step % STAGES; }
__device__ __forceinline__ int phase_of(int step) { return step / STAGES & 1; }

// What a row's scores have come to: the largest, in exponents of two, and this lane's share of the sum of weights.
struct Softmax { float maximum[2], total[2]; };

// Scores of a tile become weights; returns by how much earlier sums shrink.
__device__ __forceinline__ void to_weights(float (&scores)[KEYS / 8][4], Softmax& rows, float factor, float (&shrink)[2]) {
#pragma unroll
  for (int half = 0; half < 2; half += 1) {
    float highest = MINUS_INFINITY;
#pragma unroll
    for (int c = 0; c < KEYS / 8; c += 1) highest = fmaxf(highest, fmaxf(scores[c][2 * half], scores[c][2 * half + 1]));
    highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
    highest = fmaxf(rows.maximum[half], highest * factor);
    // Below a window's lower edge a row may have met no key yet.
    const float shift = MASK == WINDOW && highest == MINUS_INFINITY ? 0.0f : highest;
    shrink[half] = exp2_fast(rows.maximum[half] - shift);
    rows.maximum[half] = highest;
    float total = 0;
#pragma unroll
    for (int c = 0; c < KEYS / 8; c += 1) {
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; e += 1) {
        scores[c][e] = exp2_fast(scores[c][e] * factor - shift);
        total += scores[c][e];
      }
    }
    rows.total[half] = rows.total[half] * shrink[half] + total;
  }
}

__device__ __forceinline__ void cut(float (&scores)[KEYS / 8][4], const Overlap& mask, int row, int column) {
  if (!mask.is_cut) return;
#pragma unroll
  for (int c = 0; c < KEYS / 8; c += 1) {
#pragma unroll
    for (int e = 0; e < 4; e += 1) {
      if (!mask.attends(row + (e >> 1) * 8, c * 8 + column + (e & 1))) scores[c][e] = MINUS_INFINITY;
    }
  }
}

__device__ __forceinline__ void begin_scores(float (&scores)[KEYS / 8][4], u32 queries, int row, u32 keys) {
#pragma unroll
  for (int i = 0; i < HEAD / 16; i += 1)
    multiply_tiles(scores, rows_operand<QUERIES>(queries, row, i), rows_operand<KEYS>(keys, 0, i), i > 0);
}

__device__ __forceinline__ void begin_sums(float (&sums)[HEAD / 8][4], const Fragment (&weights)[KEYS / 16], u32 values, bool is_first) {
#pragma unroll
  for (int c = 0; c < KEYS / 16; c += 1) multiply_rows(sums, weights[c], columns_operand<KEYS>(values, c), !is_first || c > 0);
}

__device__ __forceinline__ void to_fragments(Fragment (&weights)[KEYS / 16], const float (&scores)[KEYS / 8][4]) {
#pragma unroll
  for (int c = 0; c < KEYS / 16; c += 1) weights[c] = to_left(scores[2 * c], scores[2 * c + 1]);
}

extern "C" __global__ void __launch_bounds__(3 * WARPGROUP, 1) attention_wgmma(
    const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k, const __grid_constant__ TensorMap v, bf16* out,
    float* log_sum_exp, const int* offsets, int n, int heads, int kv_heads, float scale, int window, const bf16* sinks) {
  extern __shared__ __align__(1024) unsigned char memory[];
  const Shared shared((shared_address(memory) + 1023) & ~1023u);
  const int start = offsets[blockIdx.z], length = offsets[blockIdx.z + 1] - start;
  const int first = (gridDim.x - 1 - blockIdx.x) * QUERIES;  // the longest first
  if (first >= length) return;
  const int head = blockIdx.y, kv_head = head / (heads / kv_heads);
  const Range range = tiles_of(keys_of(first, QUERIES, length, window), KEYS);
  const int tiles = range.end - range.first;
  if (threadIdx.x == 0) {
    shared.queries_full().create(1);
    for (int stage = 0; stage < STAGES; stage += 1) {
      shared.keys_full(stage).create(1);
      shared.values_full(stage).create(1);
      shared.keys_free(stage).create(COMPUTING_WARPS);
      shared.values_free(stage).create(COMPUTING_WARPS);
    }
    publish_barriers();
  }
  __syncthreads();

  if (threadIdx.x < WARPGROUP) {
    give_registers<24>();
    if (threadIdx.x > 0) return;
    shared.queries_full().expect(TILE_BYTES);
    load_tile_by_map<QUERIES>(shared.queries, &q, head * HEAD, start + first, shared.queries_full());
    for (int i = 0; i < tiles; i += 1) {
      const int stage = stage_of(i), row = start + (range.first + i) * KEYS;
      shared.keys_free(stage).wait(phase_of(i) ^ 1);
      shared.keys_full(stage).expect(TILE_BYTES);
      load_tile_by_map<KEYS>(shared.key_tile(stage), &k, kv_head * HEAD, row, shared.keys_full(stage));
      shared.values_free(stage).wait(phase_of(i) ^ 1);
      shared.values_full(stage).expect(TILE_BYTES);
      load_tile_by_map<KEYS>(shared.value_tile(stage), &v, kv_head * HEAD, row, shared.values_full(stage));
    }
  } else {
    take_registers<240>();
    const int group = threadIdx.x / WARPGROUP - 1, group_row = group * 64, thread = threadIdx.x % WARPGROUP;
    const int warp_row = group_row + (thread >> 5) * 16, lane = thread & 31, g = lane >> 2, t = lane & 3;
    const float factor = scale * LOG2E;
    float sums[HEAD / 8][4], scores[KEYS / 8][4];
    Fragment weights[KEYS / 16];
    Softmax rows = {{MINUS_INFINITY, MINUS_INFINITY}, {0, 0}};
    float shrink[2];

    if (group == 1) pass_turn(group);
    shared.queries_full().wait(0);
    shared.keys_full(0).wait(0);
    begin_products();
    begin_scores(scores, shared.queries, group_row, shared.key_tile(0));
    commit_products();
    wait_for_products<0>();
    settle(scores);
    if (lane == 0) shared.keys_free(0).arrive();
    cut(scores, overlap<QUERIES, KEYS>(first, range.first * KEYS, length, window), warp_row + g, t * 2);
    to_weights(scores, rows, factor, shrink);
    to_fragments(weights, scores);
#pragma unroll 1
    for (int i = 1; i < tiles; i += 1) {
      const int stage = stage_of(i), last = stage_of(i - 1);
      shared.keys_full(stage).wait(phase_of(i));
      await_turn(group);
      begin_products();
      begin_scores(scores, shared.queries, group_row, shared.key_tile(stage));
      commit_products();
      shared.values_full(last).wait(phase_of(i - 1));
      begin_sums(sums, weights, shared.value_tile(last), i == 1);
      commit_products();
      pass_turn(group);
      wait_for_products<1>();
      settle(scores);
      if (lane == 0) shared.keys_free(stage).arrive();
      cut(scores, overlap<QUERIES, KEYS>(first, (range.first + i) * KEYS, length, window), warp_row + g, t * 2);
      to_weights(scores, rows, factor, shrink);
      wait_for_products<0>();
      settle(sums);
      if (lane == 0) shared.values_free(last).arrive();
#pragma unroll
      for (int c = 0; c < HEAD / 8; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) sums[c][e] *= shrink[e >> 1];
      }
      to_fragments(weights, scores);
    }
    const int last = tiles - 1;
    shared.values_full(stage_of(last)).wait(phase_of(last));
    begin_products();
    begin_sums(sums, weights, shared.value_tile(stage_of(last)), last == 0);
    commit_products();
    wait_for_products<0>();
    settle(sums);

    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; half += 1) {
      float total = rows.total[half], maximum = rows.maximum[half], less = 1;
      total += __shfl_xor_sync(0xffffffffu, total, 1);
      total += __shfl_xor_sync(0xffffffffu, total, 2);
      if (sinks) {
        const float sink = to_float(sinks[head]) * LOG2E, highest = fmaxf(maximum, sink);
        less = exp2_fast(maximum - highest);
        total = total * less + exp2_fast(sink - highest);
        maximum = highest;
      }
      inverse[half] = less / total;
      const int row = first + warp_row + g + half * 8;
      if (t == 0 && row < length) log_sum_exp[(i64)head * n + start + row] = maximum / LOG2E + logf(total);
    }
    const i64 stride = (i64)heads * HEAD;
    bf16* target = out + (start + first) * stride + head * HEAD;
    write_rows<HEAD>(target, stride, sums, warp_row, length - first, HEAD, inverse[0], inverse[1]);
  }
}

#endif

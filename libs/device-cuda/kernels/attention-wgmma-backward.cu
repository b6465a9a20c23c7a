// attention-backward.cu for heads of 128 on Hopper cards; see attention-wgmma.cu. One kernel sums dK and dV over the queries of the
// heads that share a key head, another dQ over the keys; no result is written but by the block that sums it, so that equal inputs
// give equal bits. Every operand is a tile as the copy engine brought it, or scores in registers.
#include "prelude.cuh"
#include "tile.cuh"
#include "attention.cuh"
#include "wgmma.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

#define COMPUTING_WARPS 8
#define OWN 128    // rows that a block does
#define STEP 64    // queries that the keys' kernel walks over at a time
#define STAGES 3   // of them
#define WIDE_STEP 128  // keys that the queries' kernel walks over at a time
#define WIDE_STAGES 2
#define OWN_BYTES (OWN * HEAD * 2)
#define STEP_BYTES (STEP * HEAD * 2)
#define WIDE_BYTES (WIDE_STEP * HEAD * 2)

// delta (heads, N) = Σ dOut · out of each query and head; a warp each, four columns a lane.
extern "C" __global__ void attention_delta_wgmma(const bf16* out, const bf16* d_out, float* delta, int n, int heads) {
  const i64 index = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (index >= (i64)n * heads) return;
  const i64 at = index * HEAD + (threadIdx.x & 31) * 4;
  const Vector<bf16, 4> x = load_vector<bf16, 4>(out + at), y = load_vector<bf16, 4>(d_out + at);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 4; i += 1) sum += to_float(x.at[i]) * to_float(y.at[i]);
  sum = warp_sum(sum);
  if ((threadIdx.x & 31) == 0) delta[index % heads * n + index / heads] = sum;
}

struct KeysShared {
  u32 keys, values, queries, gradients, rows, barriers;
  __device__ __forceinline__ explicit KeysShared(u32 start)
      : keys(start), values(start + OWN_BYTES), queries(start + 2 * OWN_BYTES), gradients(queries + STAGES * STEP_BYTES),
        rows(gradients + STAGES * STEP_BYTES), barriers(rows + STAGES * 2 * STEP * 4) {}
  __device__ __forceinline__ u32 query_tile(int stage) const { return queries + stage * STEP_BYTES; }
  __device__ __forceinline__ u32 gradient_tile(int stage) const { return gradients + stage * STEP_BYTES; }
  // log_sum_exp in exponents of two, and delta, of a stage's queries.
  __device__ __forceinline__ u32 logs(int stage) const { return rows + stage * 2 * STEP * 4; }
  __device__ __forceinline__ u32 deltas(int stage) const { return logs(stage) + STEP * 4; }
  __device__ __forceinline__ Barrier own_full() const { return {barriers}; }
  __device__ __forceinline__ Barrier full(int stage) const { return {barriers + 8 + stage * 8}; }
  __device__ __forceinline__ Barrier free(int stage) const { return {barriers + 8 + (STAGES + stage) * 8}; }
};

__device__ __forceinline__ void store_shared(u32 at, float x) { asm volatile("st.shared.f32 [%0], %1;" ::"r"(at), "f"(x) : "memory"); }
__device__ __forceinline__ float2 load_shared_pair(u32 at) {
  float2 x;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "r"(at) : "memory");
  return x;
}

#define PARAMETERS_WGMMA \
  const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k, const __grid_constant__ TensorMap v, \
      const __grid_constant__ TensorMap d_out, const float *log_sum_exp, const float *delta, const int *offsets, int n, int heads, \
      int kv_heads, float scale, int window

// A block does 128 keys, 64 a warpgroup, and `heads_each` heads of one key head: all of them, or one when there are parts. Scores
// are transposed: rows are keys, columns queries.
extern "C" __global__ void __launch_bounds__(3 * WARPGROUP, 1) attention_keys_wgmma(
    PARAMETERS_WGMMA, bf16* d_k, bf16* d_v, float* part_k, float* part_v, int heads_each) {
  extern __shared__ __align__(1024) unsigned char memory[];
  const KeysShared shared((shared_address(memory) + 1023) & ~1023u);
  const int start = offsets[blockIdx.z], length = offsets[blockIdx.z + 1] - start;
  const int first = blockIdx.x * OWN;
  if (first >= length) return;
  const Range range = tiles_of(queries_of(first, OWN, length, window), STEP);
  const int tiles = range.end - range.first, steps = heads_each * tiles;
  const int first_head = blockIdx.y * heads_each, kv_head = first_head / (heads / kv_heads);
  if (threadIdx.x == 0) {
    shared.own_full().create(1);
    for (int stage = 0; stage < STAGES; stage += 1) {
      shared.full(stage).create(1 + 32);
      shared.free(stage).create(COMPUTING_WARPS);
    }
    publish_barriers();
  }
  __syncthreads();

  if (threadIdx.x < WARPGROUP) {
    give_registers<24>();
    if (threadIdx.x >= 32) return;
    const int lane = threadIdx.x;
    if (lane == 0) {
      shared.own_full().expect(2 * OWN_BYTES);
      load_tile_by_map<OWN>(shared.keys, &k, kv_head * HEAD, start + first, shared.own_full());
      load_tile_by_map<OWN>(shared.values, &v, kv_head * HEAD, start + first, shared.own_full());
    }
    int stage = 0, phase = 0;
#pragma unroll 1
    for (int j = 0; j < heads_each; j += 1) {
      const int head = first_head + j;
#pragma unroll 1
      for (int i = 0; i < tiles; i += 1) {
        const int row = (range.first + i) * STEP;
        shared.free(stage).wait(phase ^ 1);
        if (lane == 0) {
          shared.full(stage).expect(2 * STEP_BYTES);
          load_tile_by_map<STEP>(shared.query_tile(stage), &q, head * HEAD, start + row, shared.full(stage));
          load_tile_by_map<STEP>(shared.gradient_tile(stage), &d_out, head * HEAD, start + row, shared.full(stage));
        }
#pragma unroll
        for (int e = lane; e < STEP; e += 32) {
          const bool valid = row + e < length;
          const i64 at = (i64)head * n + start + row + e;
          store_shared(shared.logs(stage) + e * 4, valid ? log_sum_exp[at] * LOG2E : __int_as_float(0x7f800000));
          store_shared(shared.deltas(stage) + e * 4, valid ? delta[at] : 0);
        }
        shared.full(stage).arrive();
        stage = stage + 1 == STAGES ? 0 : stage + 1;
        phase ^= stage == 0;
      }
    }
  } else {
    take_registers<240>();
    const int group_row = (threadIdx.x / WARPGROUP - 1) * 64, thread = threadIdx.x % WARPGROUP;
    const int warp_row = group_row + (thread >> 5) * 16, lane = thread & 31, g = lane >> 2, t = lane & 3;
    const float factor = scale * LOG2E;
    float d_key[HEAD / 8][4] = {}, d_value[HEAD / 8][4] = {};
    float scores[STEP / 8][4] = {}, d_scores[STEP / 8][4] = {};
    Fragment weights[STEP / 16], d_weights[STEP / 16];
    shared.own_full().wait(0);
    int stage = 0, phase = 0, before = 0, tile = range.first;
#pragma unroll 1
    for (int step = 0; step < steps; step += 1) {
      shared.full(stage).wait(phase);
      begin_products();
#pragma unroll
      for (int i = 0; i < HEAD / 16; i += 1)
        multiply_tiles(scores, rows_operand<OWN>(shared.keys, group_row, i), rows_operand<STEP>(shared.query_tile(stage), 0, i), i > 0);
      commit_products();
#pragma unroll
      for (int i = 0; i < HEAD / 16; i += 1)
        multiply_tiles(
            d_scores, rows_operand<OWN>(shared.values, group_row, i), rows_operand<STEP>(shared.gradient_tile(stage), 0, i), i > 0);
      commit_products();
      // What the step before was still adding to dK is done, too.
      wait_for_products<1>();
      settle(scores);
      if (step > 0 && lane == 0) shared.free(before).arrive();
      const Overlap mask = overlap<STEP, OWN>(tile * STEP, first, length, window);
#pragma unroll
      for (int c = 0; c < STEP / 8; c += 1) {
        const float2 logs = load_shared_pair(shared.logs(stage) + (c * 8 + t * 2) * 4);
#pragma unroll
        for (int e = 0; e < 4; e += 1) {
          const bool masked = mask.is_cut && !mask.attends(c * 8 + t * 2 + (e & 1), warp_row + g + (e >> 1) * 8);
          scores[c][e] = masked ? 0.0f : exp2_fast(scores[c][e] * factor - (e & 1 ? logs.y : logs.x));
        }
      }
#pragma unroll
      for (int c = 0; c < STEP / 16; c += 1) weights[c] = to_left(scores[2 * c], scores[2 * c + 1]);
      begin_products();
#pragma unroll
      for (int c = 0; c < STEP / 16; c += 1)
        multiply_rows(d_value, weights[c], columns_operand<STEP>(shared.gradient_tile(stage), c), 1);
      commit_products();
      wait_for_products<0>();  // of dV, too: its weights' registers are needed
      settle(d_scores);
#pragma unroll
      for (int c = 0; c < STEP / 8; c += 1) {
        const float2 deltas = load_shared_pair(shared.deltas(stage) + (c * 8 + t * 2) * 4);
#pragma unroll
        for (int e = 0; e < 4; e += 1) d_scores[c][e] = scores[c][e] * (d_scores[c][e] - (e & 1 ? deltas.y : deltas.x));
      }
#pragma unroll
      for (int c = 0; c < STEP / 16; c += 1) d_weights[c] = to_left(d_scores[2 * c], d_scores[2 * c + 1]);
      begin_products();
#pragma unroll
      for (int c = 0; c < STEP / 16; c += 1)
        multiply_rows(d_key, d_weights[c], columns_operand<STEP>(shared.query_tile(stage), c), 1);
      commit_products();
      before = stage;
      stage = stage + 1 == STAGES ? 0 : stage + 1;
      phase ^= stage == 0;
      tile = tile + 1 == range.end ? range.first : tile + 1;
    }
    wait_for_products<0>();
    settle(d_key);
    settle(d_value);
    const i64 q_stride = (i64)heads * HEAD, k_stride = (i64)kv_heads * HEAD;
    if (part_k) {
      const i64 at = (start + first) * q_stride + first_head * HEAD;
      write_rows<HEAD>(part_k + at, q_stride, d_key, warp_row, length - first, HEAD, scale, scale);
      write_rows<HEAD>(part_v + at, q_stride, d_value, warp_row, length - first, HEAD, 1.0f, 1.0f);
    } else {
      const i64 at = (start + first) * k_stride + kv_head * HEAD;
      write_rows<HEAD>(d_k + at, k_stride, d_key, warp_row, length - first, HEAD, scale, scale);
      write_rows<HEAD>(d_v + at, k_stride, d_value, warp_row, length - first, HEAD, 1.0f, 1.0f);
    }
  }
}

struct QueriesShared {
  u32 queries, gradients, keys, values, barriers;
  __device__ __forceinline__ explicit QueriesShared(u32 start)
      : queries(start), gradients(start + OWN_BYTES), keys(start + 2 * OWN_BYTES), values(keys + WIDE_STAGES * WIDE_BYTES),
        barriers(values + WIDE_STAGES * WIDE_BYTES) {}
  __device__ __forceinline__ u32 key_tile(int stage) const { return keys + stage * WIDE_BYTES; }
  __device__ __forceinline__ u32 value_tile(int stage) const { return values + stage * WIDE_BYTES; }
  __device__ __forceinline__ Barrier queries_full() const { return {barriers}; }
  __device__ __forceinline__ Barrier gradients_full() const { return {barriers + 8}; }
  __device__ __forceinline__ Barrier keys_full(int stage) const { return {barriers + 16 + stage * 8}; }
  __device__ __forceinline__ Barrier values_full(int stage) const { return {barriers + 16 + (WIDE_STAGES + stage) * 8}; }
  __device__ __forceinline__ Barrier keys_free(int stage) const { return {barriers + 16 + (2 * WIDE_STAGES + stage) * 8}; }
  __device__ __forceinline__ Barrier values_free(int stage) const { return {barriers + 16 + (3 * WIDE_STAGES + stage) * 8}; }
};

// A block does 128 queries of one head, 64 a warpgroup.
extern "C" __global__ void __launch_bounds__(3 * WARPGROUP, 1) attention_queries_wgmma(PARAMETERS_WGMMA, bf16* d_q) {
  extern __shared__ __align__(1024) unsigned char memory[];
  const QueriesShared shared((shared_address(memory) + 1023) & ~1023u);
  const int start = offsets[blockIdx.z], length = offsets[blockIdx.z + 1] - start;
  const int first = (gridDim.x - 1 - blockIdx.x) * OWN;
  if (first >= length) return;
  const int head = blockIdx.y, kv_head = head / (heads / kv_heads);
  const Range range = tiles_of(keys_of(first, OWN, length, window), WIDE_STEP);
  const int tiles = range.end - range.first;
  if (threadIdx.x == 0) {
    shared.queries_full().create(1);
    shared.gradients_full().create(1);
    for (int stage = 0; stage < WIDE_STAGES; stage += 1) {
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
    shared.queries_full().expect(OWN_BYTES);
    load_tile_by_map<OWN>(shared.queries, &q, head * HEAD, start + first, shared.queries_full());
    shared.gradients_full().expect(OWN_BYTES);
    load_tile_by_map<OWN>(shared.gradients, &d_out, head * HEAD, start + first, shared.gradients_full());
#pragma unroll 1
    for (int i = 0; i < tiles; i += 1) {
      const int stage = i % WIDE_STAGES, phase = i / WIDE_STAGES & 1, row = start + (range.first + i) * WIDE_STEP;
      shared.keys_free(stage).wait(phase ^ 1);
      shared.keys_full(stage).expect(WIDE_BYTES);
      load_tile_by_map<WIDE_STEP>(shared.key_tile(stage), &k, kv_head * HEAD, row, shared.keys_full(stage));
      shared.values_free(stage).wait(phase ^ 1);
      shared.values_full(stage).expect(WIDE_BYTES);
      load_tile_by_map<WIDE_STEP>(shared.value_tile(stage), &v, kv_head * HEAD, row, shared.values_full(stage));
    }
  } else {
    take_registers<240>();
    const int group_row = (threadIdx.x / WARPGROUP - 1) * 64, thread = threadIdx.x % WARPGROUP;
    const int warp_row = group_row + (thread >> 5) * 16, lane = thread & 31, g = lane >> 2, t = lane & 3;
    const float factor = scale * LOG2E;
    float row_log[2], row_delta[2];
#pragma unroll
    for (int half = 0; half < 2; half += 1) {
      const int row = first + warp_row + g + half * 8;
      const i64 at = (i64)head * n + start + row;
      row_log[half] = row < length ? log_sum_exp[at] * LOG2E : __int_as_float(0x7f800000);
      row_delta[half] = row < length ? delta[at] : 0;
    }
    float d_query[HEAD / 8][4] = {}, scores[WIDE_STEP / 8][4] = {}, d_scores[WIDE_STEP / 8][4] = {};
    Fragment d_weights[WIDE_STEP / 16];
    shared.queries_full().wait(0);
    shared.gradients_full().wait(0);
#pragma unroll 1
    for (int i = 0; i < tiles; i += 1) {
      const int stage = i % WIDE_STAGES, phase = i / WIDE_STAGES & 1;
      shared.keys_full(stage).wait(phase);
      begin_products();
#pragma unroll
      for (int j = 0; j < HEAD / 16; j += 1)
        multiply_tiles(
            scores, rows_operand<OWN>(shared.queries, group_row, j), rows_operand<WIDE_STEP>(shared.key_tile(stage), 0, j), j > 0);
      commit_products();
      shared.values_full(stage).wait(phase);
#pragma unroll
      for (int j = 0; j < HEAD / 16; j += 1)
        multiply_tiles(
            d_scores, rows_operand<OWN>(shared.gradients, group_row, j), rows_operand<WIDE_STEP>(shared.value_tile(stage), 0, j), j > 0);
      commit_products();
      wait_for_products<1>();
      settle(scores);
      const Overlap mask = overlap<OWN, WIDE_STEP>(first, (range.first + i) * WIDE_STEP, length, window);
#pragma unroll
      for (int c = 0; c < WIDE_STEP / 8; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) {
          const bool masked = mask.is_cut && !mask.attends(warp_row + g + (e >> 1) * 8, c * 8 + t * 2 + (e & 1));
          scores[c][e] = masked ? 0.0f : exp2_fast(scores[c][e] * factor - row_log[e >> 1]);
        }
      }
      wait_for_products<0>();
      settle(d_scores);
      if (lane == 0) shared.values_free(stage).arrive();
#pragma unroll
      for (int c = 0; c < WIDE_STEP / 8; c += 1) {
#pragma unroll
        for (int e = 0; e < 4; e += 1) scores[c][e] *= d_scores[c][e] - row_delta[e >> 1];
      }
#pragma unroll
      for (int c = 0; c < WIDE_STEP / 16; c += 1) d_weights[c] = to_left(scores[2 * c], scores[2 * c + 1]);
      begin_products();
#pragma unroll
      for (int c = 0; c < WIDE_STEP / 16; c += 1)
        multiply_rows(d_query, d_weights[c], columns_operand<WIDE_STEP>(shared.key_tile(stage), c), 1);
      commit_products();
      wait_for_products<0>();
      settle(d_query);
      if (lane == 0) shared.keys_free(stage).arrive();
    }
    const i64 stride = (i64)heads * HEAD;
    write_rows<HEAD>(d_q + (start + first) * stride + head * HEAD, stride, d_query, warp_row, length - first, HEAD, scale, scale);
  }
}

#endif

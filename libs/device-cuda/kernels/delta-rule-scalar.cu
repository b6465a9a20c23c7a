// The gated delta rule and its backward without tensor cores, for float32 and for heads that delta-rule.cu does not do, key heads of
// up to 256: row after row, one warp a column of the state, lane by lane over its elements, which is right but slow. Operands as in
// delta-rule.cuh. Row by row, S being the state before it: S_ = e^decay S, u = strength (v - S_t k), S' = S_ + k ut, out = S't q.
#include "prelude.cuh"

#define SLOTS 8
#define CHUNK_ROWS 64
#define WARPS 4
#define BACKWARD_WARPS 16
#define MOST_KEY_DIM (SLOTS * 32)

struct Rule { int key_heads, value_heads, key_dim, value_dim; };

// A column of a state, or a row of q or k: element lane + 32 i of `count`, `stride` apart.
struct Column {
  float at[SLOTS];
  template <typename T> __device__ __forceinline__ void load(const T* source, int count, int stride = 1) {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) at[i] = lane + 32 * i < count ? to_float(source[(lane + 32 * i) * stride]) : 0.0f;
  }
  __device__ __forceinline__ void write(float* target, int count, int stride = 1) const {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) {
      if (lane + 32 * i < count) target[(lane + 32 * i) * stride] = at[i];
    }
  }
  __device__ __forceinline__ float dot(const Column& other) const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) sum += at[i] * other.at[i];
    return warp_sum(sum);
  }
  __device__ __forceinline__ void add(float factor, const Column& other) {
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) at[i] += factor * other.at[i];
  }
  __device__ __forceinline__ void scale(float factor) {
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) at[i] *= factor;
  }
};

__device__ __forceinline__ int first_chunk(const int* offsets, int sequence) {
  int chunk = 0;
  for (int i = 0; i < sequence; i += 1) chunk += (offsets[i + 1] - offsets[i] + CHUNK_ROWS - 1) / CHUNK_ROWS;
  return chunk;
}

// grid (value columns / WARPS, value heads, sequences)
template <typename T>
__device__ void delta_rule(
    const T* q, const T* k, const T* v, const float* decay, const float* strength, const int* offsets, const float* initial_state,
    T* out, float* states, float* final_state, const Rule& rule) {
  const int column = blockIdx.x * WARPS + (threadIdx.x >> 5), head = blockIdx.y;
  if (column >= rule.value_dim) return;
  const int key_head = head / (rule.value_heads / rule.key_heads), start = offsets[blockIdx.z], end = offsets[blockIdx.z + 1];
  const i64 state_elements = (i64)rule.key_dim * rule.value_dim;
  const i64 of_sequence = ((i64)blockIdx.z * rule.value_heads + head) * state_elements + column;
  float* kept = states ? states + ((i64)first_chunk(offsets, blockIdx.z) * rule.value_heads + head) * state_elements + column : nullptr;
  Column state = {}, key, query;
  if (initial_state) state.load(initial_state + of_sequence, rule.key_dim, rule.value_dim);
  for (int row = start; row < end; row += 1) {
    if (kept && (row - start) % CHUNK_ROWS == 0) {
      state.write(kept, rule.key_dim, rule.value_dim);
      kept += rule.value_heads * state_elements;
    }
    const i64 of_key = ((i64)row * rule.key_heads + key_head) * rule.key_dim, gate = (i64)row * rule.value_heads + head;
    key.load(k + of_key, rule.key_dim);
    query.load(q + of_key, rule.key_dim);
    state.scale(expf(decay[gate]));
    const float value = to_float(v[gate * rule.value_dim + column]);
    state.add(strength[gate] * (value - state.dot(key)), key);
    const float answer = state.dot(query);
    if ((threadIdx.x & 31) == 0) store(out + gate * rule.value_dim + column, answer);
  }
  if (final_state) state.write(final_state + of_sequence, rule.key_dim, rule.value_dim);
}

// What a block of the backward has for itself: S_ of each warp's column for the rows of a chunk, the gradient of the state of the
// value heads of a key head, and the sums of dq and dk over a chunk's columns and heads.
struct Scratch {
  float *trace, *gradients, *sums;
  __device__ __forceinline__ Scratch(float* memory, const Rule& rule) {
    const i64 traces = (i64)BACKWARD_WARPS * CHUNK_ROWS * rule.key_dim, group = rule.value_heads / rule.key_heads;
    const i64 state = group * rule.key_dim * rule.value_dim, both = 2 * CHUNK_ROWS * rule.key_dim;
    trace = memory + blockIdx.x * (traces + state + both);
    gradients = trace + traces;
    sums = gradients + state;
  }
};

template <typename T> struct Operands {
  const T *q, *k, *v;
  const float *decay, *strength, *states;
  const T* d_out;
  T* d_v;
  float *d_decay, *d_strength;
};

// A chunk's rows, and the value head and the columns of it that the block's warps are at.
struct Place { int row, rows, key_head, head, column; i64 chunk; };

// Adds what a row's columns give dq and dk, a warp each, in their order, or sets it by the first of all columns.
__device__ __forceinline__ void add_row(float* sums, float (*parts)[BACKWARD_WARPS][MOST_KEY_DIM], int key_dim, bool is_first) {
  const int which = threadIdx.x / MOST_KEY_DIM, d = threadIdx.x % MOST_KEY_DIM;
  if (which > 1 || d >= key_dim) return;
  float* to = sums + which * CHUNK_ROWS * key_dim + d;
  float total = is_first ? 0.0f : *to;
  for (int warp = 0; warp < BACKWARD_WARPS; warp += 1) total += parts[which][warp][d];
  *to = total;
}

// The rows of a chunk forward, to trace S_, then backward, for a column a warp; `gradient` is that of the state behind the chunk.
template <typename T>
__device__ void delta_rule_columns(const Operands<T>& o, const Rule& rule, float* trace, float* gradients, float* sums, const Place& at, bool is_first) {
  __shared__ float parts[2][BACKWARD_WARPS][MOST_KEY_DIM];
  __shared__ float errors[BACKWARD_WARPS][CHUNK_ROWS];  // v - S_t k
  __shared__ float gates[2][BACKWARD_WARPS];
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, column = at.column + warp;
  const bool valid = column < rule.value_dim;
  const int stride = rule.value_dim;
  const i64 state_elements = (i64)rule.key_dim * rule.value_dim;
  Column state = {}, key, query, gradient = {};
  trace += warp * CHUNK_ROWS * rule.key_dim;
  if (valid) {
    state.load(o.states + (at.chunk * rule.value_heads + at.head) * state_elements + column, rule.key_dim, stride);
    gradient.load(gradients + column, rule.key_dim, stride);
  }
  for (int i = 0; i < at.rows; i += 1) {
    const i64 of_key = ((i64)(at.row + i) * rule.key_heads + at.key_head) * rule.key_dim, gate = (i64)(at.row + i) * rule.value_heads + at.head;
    key.load(o.k + of_key, rule.key_dim);
    state.scale(expf(o.decay[gate]));
    state.write(trace + i * rule.key_dim, rule.key_dim);
    const float error = (valid ? to_float(o.v[gate * rule.value_dim + column]) : 0.0f) - state.dot(key);
    if (lane == 0) errors[warp][i] = error;
    state.add(o.strength[gate] * error, key);
  }
  __syncwarp();
  for (int i = at.rows - 1; i >= 0; i -= 1) {
    const i64 of_key = ((i64)(at.row + i) * rule.key_heads + at.key_head) * rule.key_dim, gate = (i64)(at.row + i) * rule.value_heads + at.head;
    const float strength = o.strength[gate], error = errors[warp][i];
    const float d_out = valid ? to_float(o.d_out[gate * rule.value_dim + column]) : 0.0f;
    key.load(o.k + of_key, rule.key_dim);
    query.load(o.q + of_key, rule.key_dim);
    state.load(trace + i * rule.key_dim, rule.key_dim);
    gradient.add(d_out, query);
    const float d_update = gradient.dot(key), d_value = strength * d_update;
#pragma unroll
    for (int j = 0; j < SLOTS; j += 1) {
      const float update = strength * error;
      parts[0][warp][lane + 32 * j] = d_out * (state.at[j] + key.at[j] * update);
      parts[1][warp][lane + 32 * j] = gradient.at[j] * update - state.at[j] * d_value;
    }
    gradient.add(-d_value, key);
    const float d_decay = gradient.dot(state);
    gradient.scale(expf(o.decay[gate]));
    if (lane == 0) {
      gates[0][warp] = d_decay;
      gates[1][warp] = d_update * error;
      if (valid) store(o.d_v + gate * rule.value_dim + column, d_value);
    }
    __syncthreads();
    add_row(sums + i * rule.key_dim, parts, rule.key_dim, is_first && at.column == 0);
    if (threadIdx.x < 2) {
      float* to = (threadIdx.x == 0 ? o.d_decay : o.d_strength) + gate;
      float total = at.column == 0 ? 0.0f : *to;
      for (int j = 0; j < BACKWARD_WARPS; j += 1) total += gates[threadIdx.x][j];
      *to = total;
    }
    __syncthreads();
  }
  if (valid) gradient.write(gradients + column, rule.key_dim, stride);
}

// A block does pairs of a sequence and a key head, gridDim.x apart; `memory` has a Scratch for every block.
template <typename T>
__device__ void delta_rule_backward(
    const Operands<T>& o, const int* offsets, const float* d_final_state, T* d_q, T* d_k, float* d_initial_state, float* memory,
    int sequences, const Rule& rule) {
  const Scratch scratch(memory, rule);
  const int group = rule.value_heads / rule.key_heads, state_elements = rule.key_dim * rule.value_dim;
  for (int pair = blockIdx.x; pair < sequences * rule.key_heads; pair += gridDim.x) {
    const int sequence = pair / rule.key_heads, key_head = pair % rule.key_heads;
    const int start = offsets[sequence], length = offsets[sequence + 1] - start, chunks = (length + CHUNK_ROWS - 1) / CHUNK_ROWS;
    const i64 before = first_chunk(offsets, sequence), of_sequence = ((i64)sequence * rule.value_heads + key_head * group) * state_elements;
    __syncthreads();
    for (int i = threadIdx.x; i < group * state_elements; i += blockDim.x)
      scratch.gradients[i] = d_final_state ? d_final_state[of_sequence + i] : 0.0f;
    __syncthreads();
    for (int c = chunks - 1; c >= 0; c -= 1) {
      const int row = start + c * CHUNK_ROWS, rows = min(length - c * CHUNK_ROWS, CHUNK_ROWS);
      for (int member = 0; member < group; member += 1) {
        for (int column = 0; column < rule.value_dim; column += BACKWARD_WARPS)
          delta_rule_columns<T>(
              o, rule, scratch.trace, scratch.gradients + member * state_elements, scratch.sums,
              {row, rows, key_head, key_head * group + member, column, before + c}, member == 0);
      }
      __syncthreads();
      for (int i = threadIdx.x; i < rows * rule.key_dim; i += blockDim.x) {
        const i64 to = ((i64)(row + i / rule.key_dim) * rule.key_heads + key_head) * rule.key_dim + i % rule.key_dim;
        store(d_q + to, scratch.sums[i]);
        store(d_k + to, scratch.sums[CHUNK_ROWS * rule.key_dim + i]);
      }
      __syncthreads();
    }
    if (!d_initial_state) continue;
    for (int i = threadIdx.x; i < group * state_elements; i += blockDim.x) d_initial_state[of_sequence + i] = scratch.gradients[i];
  }
}

#define EACH(NAME, T) \
  extern "C" __global__ void __launch_bounds__(WARPS * 32) delta_rule_##NAME( \
      const T* q, const T* k, const T* v, const float* decay, const float* strength, const int* offsets, const float* initial_state, \
      T* out, float* states, float* final_state, int key_heads, int value_heads, int key_dim, int value_dim) { \
    delta_rule<T>( \
        q, k, v, decay, strength, offsets, initial_state, out, states, final_state, {key_heads, value_heads, key_dim, value_dim}); \
  } \
  extern "C" __global__ void __launch_bounds__(BACKWARD_WARPS * 32) delta_rule_backward_##NAME( \
      const T* q, const T* k, const T* v, const float* decay, const float* strength, const float* states, const T* d_out, \
      const int* offsets, const float* d_final_state, T* d_q, T* d_k, T* d_v, float* d_decay, float* d_strength, \
      float* d_initial_state, float* memory, int sequences, int key_heads, int value_heads, int key_dim, int value_dim) { \
    delta_rule_backward<T>( \
        {q, k, v, decay, strength, states, d_out, d_v, d_decay, d_strength}, offsets, d_final_state, d_q, d_k, d_initial_state, \
        memory, sequences, {key_heads, value_heads, key_dim, value_dim}); \
  }
EACH(float32, float)
EACH(bfloat16, bf16)

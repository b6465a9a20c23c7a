// Attention and its backward without tensor cores, for float32 and for head sizes that attention.cu does not do, up to 256:
// one warp a query (or a key) of one head, lane by lane over the head's elements. Layouts, mask and soft cap as in attention.cu.
#include "prelude.cuh"
#include "tile.cuh"
#include "attention.cuh"

#define SLOTS 8

template <typename T> struct Row {
  float at[SLOTS];
  __device__ __forceinline__ void load(const T* source, int head_dim) {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) at[i] = lane + 32 * i < head_dim ? to_float(source[lane + 32 * i]) : 0.0f;
  }
  __device__ __forceinline__ void write(T* target, int head_dim, float factor) const {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) {
      if (lane + 32 * i < head_dim) store(target + lane + 32 * i, at[i] * factor);
    }
  }
  __device__ __forceinline__ float dot(const Row& other) const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) sum += at[i] * other.at[i];
    return warp_sum(sum);
  }
  __device__ __forceinline__ void add(float factor, const Row& other) {
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) at[i] += factor * other.at[i];
  }
};

template <typename T>
__device__ void attention(
    const T* q, const T* k, const T* v, T* out, float* log_sum_exp, const int* offsets, int n, int heads, int kv_heads, int head_dim,
    float scale, int window, float soft_cap, const T* sinks, const T* relative_bias, int reach) {
  const int start = offsets[blockIdx.z], length = offsets[blockIdx.z + 1] - start;
  const int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (row >= length) return;
  const int head = blockIdx.y, kv_head = head / (heads / kv_heads);
  const i64 at = ((i64)(start + row) * heads + head) * head_dim;
  Row<T> query, key, value, sums = {};
  query.load(q + at, head_dim);
  float maximum = __int_as_float(0xff800000), total = 0;
  const Range range = keys_of(row, 1, length, window);
  for (int j = range.first; j < range.end; j += 1) {
    const i64 other = ((i64)(start + j) * kv_heads + kv_head) * head_dim;
    key.load(k + other, head_dim);
    value.load(v + other, head_dim);
    const float bias = relative_bias ? to_float(relative_bias[(i64)bias_entry(j - row, reach) * heads + head]) : 0.0f;
    const float score = exact_score(query.dot(key), scale, soft_cap).value + bias;
    const float highest = fmaxf(maximum, score), shrink = expf(maximum - highest), p = expf(score - highest);
    total = total * shrink + p;
#pragma unroll
    for (int i = 0; i < SLOTS; i += 1) sums.at[i] = sums.at[i] * shrink + p * value.at[i];
    maximum = highest;
  }
  float shrink = 1;
  if (sinks) {
    const float sink = to_float(sinks[head]), highest = fmaxf(maximum, sink);
    shrink = expf(maximum - highest);
    total = total * shrink + expf(sink - highest);
    maximum = highest;
  }
  sums.write(out + at, head_dim, shrink / total);
  if ((threadIdx.x & 31) == 0) log_sum_exp[(i64)head * n + start + row] = maximum + logf(total);
}

template <typename T>
__device__ void attention_queries(
    const T* q, const T* k, const T* v, const T* d_out, const float* log_sum_exp, const float* delta, const int* offsets, int n, int heads,
    int kv_heads, int head_dim, float scale, int window, float soft_cap, T* d_q) {
  const int start = offsets[blockIdx.z], length = offsets[blockIdx.z + 1] - start;
  const int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (row >= length) return;
  const int head = blockIdx.y, kv_head = head / (heads / kv_heads);
  const i64 at = ((i64)(start + row) * heads + head) * head_dim, statistic = (i64)head * n + start + row;
  Row<T> query, gradient, key, value, sums = {};
  query.load(q + at, head_dim);
  gradient.load(d_out + at, head_dim);
  const Range range = keys_of(row, 1, length, window);
  for (int j = range.first; j < range.end; j += 1) {
    const i64 other = ((i64)(start + j) * kv_heads + kv_head) * head_dim;
    key.load(k + other, head_dim);
    value.load(v + other, head_dim);
    const Score score = exact_score(query.dot(key), scale, soft_cap);
    const float p = expf(score.value - log_sum_exp[statistic]);
    sums.add(p * (gradient.dot(value) - delta[statistic]) * score.slope, key);
  }
  sums.write(d_q + at, head_dim, scale);
}

template <typename T>
__device__ void attention_keys(
    const T* q, const T* k, const T* v, const T* d_out, const float* log_sum_exp, const float* delta, const int* offsets, int n, int heads,
    int kv_heads, int head_dim, float scale, int window, float soft_cap, T* d_k, T* d_v) {
  const int start = offsets[blockIdx.z], length = offsets[blockIdx.z + 1] - start;
  const int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (row >= length) return;
  const int kv_head = blockIdx.y, group = heads / kv_heads;
  const i64 at = ((i64)(start + row) * kv_heads + kv_head) * head_dim;
  Row<T> query, gradient, key, value, key_sums = {}, value_sums = {};
  key.load(k + at, head_dim);
  value.load(v + at, head_dim);
  const Range range = queries_of(row, 1, length, window);
  for (int head = kv_head * group; head < (kv_head + 1) * group; head += 1) {
    for (int j = range.first; j < range.end; j += 1) {
      const i64 other = ((i64)(start + j) * heads + head) * head_dim, statistic = (i64)head * n + start + j;
      query.load(q + other, head_dim);
      gradient.load(d_out + other, head_dim);
      const Score score = exact_score(query.dot(key), scale, soft_cap);
      const float p = expf(score.value - log_sum_exp[statistic]);
      key_sums.add(p * (gradient.dot(value) - delta[statistic]) * score.slope, query);
      value_sums.add(p, gradient);
    }
  }
  key_sums.write(d_k + at, head_dim, scale);
  value_sums.write(d_v + at, head_dim, 1.0f);
}

#define EACH(NAME, T) \
  extern "C" __global__ void attention_##NAME( \
      const T* q, const T* k, const T* v, T* out, float* log_sum_exp, const int* offsets, int n, int heads, int kv_heads, int head_dim, \
      float scale, int window, float soft_cap, const T* sinks, const T* relative_bias, int reach) { \
    attention<T>( \
        q, k, v, out, log_sum_exp, offsets, n, heads, kv_heads, head_dim, scale, window, soft_cap, sinks, relative_bias, reach); \
  } \
  extern "C" __global__ void attention_queries_##NAME(PARAMETERS(T), T* d_q) { attention_queries<T>(ARGUMENTS, d_q); } \
  extern "C" __global__ void attention_keys_##NAME(PARAMETERS(T), T* d_k, T* d_v) { attention_keys<T>(ARGUMENTS, d_k, d_v); }
EACH(float32, float)
EACH(bfloat16, bf16)

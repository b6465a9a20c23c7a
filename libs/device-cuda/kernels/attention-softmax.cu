// The softmax of attention for heads that no other kernel holds: scores (rows, stride) float32 of one head's queries from `first_row`
// of a sequence on and its keys from `first_key` on become probabilities, zeros where a query does not attend. log_sum_exp is that of
// the first of the rows; sink and relative_bias are the head's own, its entries `heads` apart, or null. One block a row.
#include "prelude.cuh"
#include "tile.cuh"
#include "attention.cuh"

// Largest value of the block, the same in every thread. `shared` holds 32 elements.
__device__ __forceinline__ float block_max(float x, float* shared) {
  for (int offset = 16; offset > 0; offset >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
  __syncthreads();
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = x;
  __syncthreads();
  float highest = shared[0];
  for (int i = 1; i < (blockDim.x + 31) >> 5; i += 1) highest = fmaxf(highest, shared[i]);
  return highest;
}

template <typename T> struct Scores {
  const float* from;  // of the row's first key
  const T* relative_bias;
  int row, first_key, heads, reach;
  float scale, soft_cap;

  __device__ __forceinline__ float at(int key) const {
    const float bias = relative_bias ? to_float(relative_bias[(i64)bias_entry(key - row, reach) * heads]) : 0.0f;
    return exact_score(from[key - first_key], scale, soft_cap).value + bias;
  }
};

template <typename T>
__device__ void attention_softmax(
    const float* scores, T* probabilities, float* log_sum_exp, int first_row, int first_key, int keys, int length, int stride,
    float scale, int window, float soft_cap, const T* sink, const T* relative_bias, int heads, int reach) {
  __shared__ float shared[32];
  const int row = first_row + blockIdx.x;
  const Range range = keys_of(row, 1, length, window);
  const Scores<T> score = {scores + (i64)blockIdx.x * stride, relative_bias, row, first_key, heads, reach, scale, soft_cap};
  float own = MINUS_INFINITY, sum = 0;
  for (int key = range.first + threadIdx.x; key < range.end; key += blockDim.x) {
    const float x = score.at(key), larger = fmaxf(own, x);
    sum = sum * expf(own - larger) + expf(x - larger);
    own = larger;
  }
  float highest = block_max(own, shared);
  if (sink) highest = fmaxf(highest, to_float(*sink));
  float total = block_sum(sum * expf(own - highest), shared);
  if (sink) total += expf(to_float(*sink) - highest);
  if (threadIdx.x == 0) log_sum_exp[blockIdx.x] = highest + logf(total);
  T* to = probabilities + (i64)blockIdx.x * stride;
  const float inverse = 1.0f / total;
  for (int i = threadIdx.x; i < keys; i += blockDim.x) {
    const int key = first_key + i;
    store(to + i, key >= range.first && key < range.end ? expf(score.at(key) - highest) * inverse : 0.0f);
  }
}

#define EACH(NAME, T) \
  extern "C" __global__ void attention_softmax_##NAME( \
      const float* scores, T* probabilities, float* log_sum_exp, int first_row, int first_key, int keys, int length, int stride, \
      float scale, int window, float soft_cap, const T* sink, const T* relative_bias, int heads, int reach) { \
    attention_softmax<T>( \
        scores, probabilities, log_sum_exp, first_row, first_key, keys, length, stride, scale, window, soft_cap, sink, relative_bias, \
        heads, reach); \
  }
EACH(float32, float)
EACH(bfloat16, bf16)

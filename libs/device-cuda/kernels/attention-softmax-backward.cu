// The elementwise parts of attention's backward for heads that no other kernel holds; scores as in attention-softmax.cu.
#include "prelude.cuh"
#include "tile.cuh"
#include "attention.cuh"

// From products (rows, stride) of queries and keys and of gradients and values: probabilities, and the gradients of the products of
// queries and keys, zeros where a query does not attend. log_sum_exp and delta are those of the first row on. One block a row.
template <typename T>
__device__ void attention_softmax_backward(
    const float* scores, const float* d_probabilities, const float* log_sum_exp, const float* delta, T* probabilities, T* d_scores,
    int first_row, int first_key, int keys, int length, int stride, float scale, int window, float soft_cap) {
  const int row = first_row + blockIdx.x;
  const Range range = keys_of(row, 1, length, window);
  const float log = log_sum_exp[blockIdx.x], mean = delta[blockIdx.x];
  const i64 start = (i64)blockIdx.x * stride;
  for (int i = threadIdx.x; i < keys; i += blockDim.x) {
    const int key = first_key + i;
    const bool attends = key >= range.first && key < range.end;
    const Score score = exact_score(scores[start + i], scale, soft_cap);
    const float p = attends ? expf(score.value - log) : 0.0f;
    store(probabilities + start + i, p);
    store(d_scores + start + i, attends ? p * (d_probabilities[start + i] - mean) * score.slope * scale : 0.0f);
  }
}

// `elements` zeros.
extern "C" __global__ void attention_clear(float* sums, i64 elements) {
  const i64 i = global_index();
  if (i < elements) sums[i] = 0.0f;
}

// One head's sums (rows, width) as rows of `stride` elements; one block a row.
template <typename T> __device__ void attention_write_sums(const float* sums, T* target, int width, int stride) {
  for (int i = threadIdx.x; i < width; i += blockDim.x) store(target + (i64)blockIdx.x * stride + i, sums[(i64)blockIdx.x * width + i]);
}

#define EACH(NAME, T) \
  extern "C" __global__ void attention_softmax_backward_##NAME( \
      const float* scores, const float* d_probabilities, const float* log_sum_exp, const float* delta, T* probabilities, T* d_scores, \
      int first_row, int first_key, int keys, int length, int stride, float scale, int window, float soft_cap) { \
    attention_softmax_backward<T>( \
        scores, d_probabilities, log_sum_exp, delta, probabilities, d_scores, first_row, first_key, keys, length, stride, scale, window, \
        soft_cap); \
  } \
  extern "C" __global__ void attention_write_sums_##NAME(const float* sums, T* target, int width, int stride) { \
    attention_write_sums<T>(sums, target, width, stride); \
  }
EACH(float32, float)
EACH(bfloat16, bf16)

// Softmax cross-entropy of each row of V logits, one block a row: one pass for the running maximum, its index and the sum, one for
// the gradient, whose scale is on the device and which overwrites the logits. A row of target -1 counts nothing. NaN in a row makes its loss NaN. The maximum is that of scaled logits; the cap, which keeps
// the order and may make different logits equal, comes after it.
#include "prelude.cuh"

struct Running { float maximum; float sum; int index; };

// What happens to logits before the softmax: nothing, or scale and then cap tanh(. / cap), cap 0 for none.
struct Plain {
  __device__ float scaled(float x) const { return x; }
  __device__ float capped(float x) const { return x; }
  __device__ float slope(float) const { return 1.0f; }
};
struct Transformed {
  float scale, cap;
  __device__ float scaled(float x) const { return scale * x; }
  __device__ float capped(float x) const { return cap > 0 ? cap * tanhf(x / cap) : x; }
  // Of the whole, where it has the value y.
  __device__ float slope(float y) const { return cap > 0 ? scale * (1.0f - y / cap * (y / cap)) : scale; }
};

template <typename L> __device__ __forceinline__ Running join(Running a, Running b, L logit) {
  const bool first = a.maximum > b.maximum || (a.maximum == b.maximum && a.index < b.index);
  const float maximum = first ? a.maximum : b.maximum;
  const int index = first ? a.index : b.index;
  // An empty side has maximum -inf and sum 0; inf - inf would make it NaN.
  const float left = a.sum == 0 ? 0 : a.sum * expf(logit.capped(a.maximum) - logit.capped(maximum));
  const float right = b.sum == 0 ? 0 : b.sum * expf(logit.capped(b.maximum) - logit.capped(maximum));
  return {maximum, left + right, index};
}

template <typename T, int W, typename L>
__device__ void cross_entropy(
    T* logits, const int* targets, float* loss, int* prediction, int v, const float* gradient_scale, L logit) {
  __shared__ Running shared[32];
  T* row = logits + (i64)blockIdx.x * v;
  Running mine = {__int_as_float(0xff800000), 0, 0x7fffffff};
  for (int i = threadIdx.x * W; i < v; i += blockDim.x * W) {
    const Vector<T, W> x = load_vector<T, W>(row + i);
    // The maximum first, so that most elements cost one exponential and no branch.
    float highest = mine.maximum;
    int best = mine.index;
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float y = logit.scaled(to_float(x.at[j]));
      best = y > highest ? i + j : best;
      highest = y > highest ? y : highest;
    }
    if (highest > mine.maximum)
      mine = {highest, mine.sum * expf(logit.capped(mine.maximum) - logit.capped(highest)), best};
    const float shift = logit.capped(fmaxf(mine.maximum, -3.0e38f));
#pragma unroll
    for (int j = 0; j < W; j += 1) mine.sum += expf(logit.capped(logit.scaled(to_float(x.at[j]))) - shift);
  }
  for (int offset = 16; offset > 0; offset >>= 1) {
    const Running other = {__shfl_xor_sync(0xffffffffu, mine.maximum, offset), __shfl_xor_sync(0xffffffffu, mine.sum, offset),
                           __shfl_xor_sync(0xffffffffu, mine.index, offset)};
    mine = (threadIdx.x & offset) ? join(other, mine, logit) : join(mine, other, logit);
  }
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = mine;
  __syncthreads();
  Running all = shared[0];
  for (int i = 1; i < (int)(blockDim.x >> 5); i += 1) all = join(all, shared[i], logit);
  const int target = targets[blockIdx.x];
  const float largest = logit.capped(all.maximum);
  if (threadIdx.x == 0) {
    loss[blockIdx.x] = target < 0 ? 0 : logf(all.sum) + largest - logit.capped(logit.scaled(to_float(row[target])));
    prediction[blockIdx.x] = all.index == 0x7fffffff ? 0 : all.index;
  }
  if (!gradient_scale) return;
  __syncthreads();
  const float inverse = 1.0f / all.sum;
  const float factor = gradient_scale[0];
  for (int i = threadIdx.x * W; i < v; i += blockDim.x * W) {
    Vector<T, W> x = load_vector<T, W>(row + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float y = logit.capped(logit.scaled(to_float(x.at[j])));
      const float p = expf(y - largest) * inverse;
      store(&x.at[j], target < 0 ? 0 : (p - (i + j == target ? 1.0f : 0.0f)) * factor * logit.slope(y));
    }
    store_vector<T, W>(row + i, x);
  }
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void cross_entropy_##NAME( \
      T* logits, const int* targets, float* loss, int* prediction, int v, const float* gradient_scale) { \
    cross_entropy<T, W>(logits, targets, loss, prediction, v, gradient_scale, Plain()); \
  } \
  extern "C" __global__ void cross_entropy_transformed_##NAME( \
      T* logits, const int* targets, float* loss, int* prediction, int v, const float* gradient_scale, float scale, \
      float cap) { \
    const Transformed logit = {scale, cap}; \
    cross_entropy<T, W>(logits, targets, loss, prediction, v, gradient_scale, logit); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

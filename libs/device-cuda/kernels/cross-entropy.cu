// Softmax cross-entropy of each row of V logits, one block a row: one pass for the running maximum, its index and the sum, one for
// the gradient, which overwrites the logits. NaN in a row makes its loss NaN.
#include "prelude.cuh"

struct Running { float maximum; float sum; int index; };

__device__ __forceinline__ Running join(Running a, Running b) {
  const bool first = a.maximum > b.maximum || (a.maximum == b.maximum && a.index < b.index);
  const float maximum = first ? a.maximum : b.maximum;
  const int index = first ? a.index : b.index;
  // An empty side has maximum -inf and sum 0; inf - inf would make it NaN.
  const float left = a.sum == 0 ? 0 : a.sum * expf(a.maximum - maximum);
  const float right = b.sum == 0 ? 0 : b.sum * expf(b.maximum - maximum);
  return {maximum, left + right, index};
}

template <typename T, int W>
__device__ void cross_entropy(T* logits, const int* targets, float* loss, int* prediction, int v, int with_gradient, float gradient_scale) {
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
      const float y = to_float(x.at[j]);
      best = y > highest ? i + j : best;
      highest = y > highest ? y : highest;
    }
    if (highest > mine.maximum) mine = {highest, mine.sum * expf(mine.maximum - highest), best};
#pragma unroll
    for (int j = 0; j < W; j += 1) mine.sum += expf(to_float(x.at[j]) - fmaxf(mine.maximum, -3.0e38f));
  }
  for (int offset = 16; offset > 0; offset >>= 1) {
    const Running other = {__shfl_xor_sync(0xffffffffu, mine.maximum, offset), __shfl_xor_sync(0xffffffffu, mine.sum, offset),
                           __shfl_xor_sync(0xffffffffu, mine.index, offset)};
    mine = (threadIdx.x & offset) ? join(other, mine) : join(mine, other);
  }
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = mine;
  __syncthreads();
  Running all = shared[0];
  for (int i = 1; i < (int)(blockDim.x >> 5); i += 1) all = join(all, shared[i]);
  const int target = targets[blockIdx.x];
  if (threadIdx.x == 0) {
    loss[blockIdx.x] = logf(all.sum) + all.maximum - to_float(row[target]);
    prediction[blockIdx.x] = all.index == 0x7fffffff ? 0 : all.index;
  }
  if (!with_gradient) return;
  __syncthreads();
  const float inverse = 1.0f / all.sum;
  for (int i = threadIdx.x * W; i < v; i += blockDim.x * W) {
    Vector<T, W> x = load_vector<T, W>(row + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float p = expf(to_float(x.at[j]) - all.maximum) * inverse;
      store(&x.at[j], (p - (i + j == target ? 1.0f : 0.0f)) * gradient_scale);
    }
    store_vector<T, W>(row + i, x);
  }
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void cross_entropy_##NAME( \
      T* logits, const int* targets, float* loss, int* prediction, int v, int with_gradient, float gradient_scale) { \
    cross_entropy<T, W>(logits, targets, loss, prediction, v, with_gradient, gradient_scale); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

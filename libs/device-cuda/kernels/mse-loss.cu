// The mean of squared differences of each row of d elements, times its weight (null: 1), one block a row, W elements an access (W
// divides d). With a gradient, whose scale is on the device, the prediction becomes
// 2 / d gradient_scale weight (prediction - target).
#include "prelude.cuh"

template <typename T, typename U, int W>
__device__ void mse_loss(T* prediction, const U* target, const float* weights, float* loss, int d, const float* gradient_scale) {
  __shared__ float shared[32];
  const i64 base = (i64)blockIdx.x * d;
  const float weight = weights ? weights[blockIdx.x] : 1.0f;
  const float scale = gradient_scale ? 2.0f * gradient_scale[0] / d * weight : 0;
  float sum = 0;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    Vector<T, W> v = load_vector<T, W>(prediction + base + i);
    const Vector<U, W> t = load_vector<U, W>(target + base + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float difference = to_float(v.at[j]) - to_float(t.at[j]);
      sum += difference * difference;
      store(&v.at[j], scale * difference);
    }
    if (gradient_scale) store_vector<T, W>(prediction + base + i, v);
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) loss[blockIdx.x] = weight * (sum / d);
}

#define EACH(NAME, T, U, W) \
  extern "C" __global__ void mse_loss_##NAME( \
      T* prediction, const U* target, const float* weights, float* loss, int d, const float* gradient_scale) { \
    mse_loss<T, U, W>(prediction, target, weights, loss, d, gradient_scale); \
  }
EACH(float32_float32_wide, float, float, 4)
EACH(float32_float32, float, float, 1)
EACH(bfloat16_bfloat16_wide, bf16, bf16, 8)
EACH(bfloat16_bfloat16, bf16, bf16, 1)
EACH(bfloat16_float32_wide, bf16, float, 4)
EACH(bfloat16_float32, bf16, float, 1)

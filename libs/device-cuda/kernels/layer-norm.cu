// layerNorm and its backward, one block a row of d elements, W of them an access (W divides d). The mean of a first pass is corrected
// by the mean of the differences from it, so that rows with a large mean lose nothing. Null weights count as ones, null biases as zeros.
#include "prelude.cuh"
#include "gains.cuh"

template <typename T, int W>
__device__ void layer_norm(const T* x, const T* weight, const T* bias, T* out, float* mean, float* inverse_std, int d, float epsilon) {
  __shared__ float shared[32];
  const i64 base = (i64)blockIdx.x * d;
  float sum = 0;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    const Vector<T, W> v = load_vector<T, W>(x + base + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) sum += to_float(v.at[j]);
  }
  const float rough = block_sum(sum, shared) / d;
  float differences = 0, squares = 0;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    const Vector<T, W> v = load_vector<T, W>(x + base + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float y = to_float(v.at[j]) - rough;
      differences += y;
      squares += y * y;
    }
  }
  const float correction = block_sum(differences, shared) / d;
  const float variance = block_sum(squares, shared) / d - correction * correction;
  const float r = 1.0f / sqrtf(fmaxf(variance, 0.0f) + epsilon);
  if (threadIdx.x == 0) {
    mean[blockIdx.x] = rough + correction;
    inverse_std[blockIdx.x] = r;
  }
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    Vector<T, W> v = load_vector<T, W>(x + base + i), b;
    const Gains<W> w = load_gains<T, W>(weight, i, 0.0f);
    if (bias) b = load_vector<T, W>(bias + i);
#pragma unroll
    for (int j = 0; j < W; j += 1)
      store(&v.at[j], (to_float(v.at[j]) - rough - correction) * r * w.at[j] + (bias ? to_float(b.at[j]) : 0.0f));
    store_vector<T, W>(out + base + i, v);
  }
}

// dx = r (g - mean(g) - y mean(g y)), g = dOut w, y = (x - mean) r
template <typename T, int W>
__device__ void layer_norm_backward(
    const T* d_out, const T* x, const T* weight, const float* mean, const float* inverse_std, T* d_x, int d, int accumulate) {
  __shared__ float shared[32];
  const i64 base = (i64)blockIdx.x * d;
  const float rough = mean[blockIdx.x], r = inverse_std[blockIdx.x];
  float differences = 0, gradients = 0, products = 0;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    const Vector<T, W> g = load_vector<T, W>(d_out + base + i), v = load_vector<T, W>(x + base + i);
    const Gains<W> w = load_gains<T, W>(weight, i, 0.0f);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float y = to_float(v.at[j]) - rough, gradient = to_float(g.at[j]) * w.at[j];
      differences += y;
      gradients += gradient;
      products += gradient * y;
    }
  }
  const float correction = block_sum(differences, shared) / d;
  const float plain = block_sum(gradients, shared);
  const float tilt = (block_sum(products, shared) - correction * plain) / d * r * r;
  const float level = plain / d;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    const Vector<T, W> g = load_vector<T, W>(d_out + base + i), v = load_vector<T, W>(x + base + i);
    const Gains<W> w = load_gains<T, W>(weight, i, 0.0f);
    Vector<T, W> y;
    if (accumulate) y = load_vector<T, W>(d_x + base + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float gradient = r * (to_float(g.at[j]) * w.at[j] - level - (to_float(v.at[j]) - rough - correction) * tilt);
      store(&y.at[j], accumulate ? to_float(y.at[j]) + gradient : gradient);
    }
    store_vector<T, W>(d_x + base + i, y);
  }
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void layer_norm_##NAME( \
      const T* x, const T* weight, const T* bias, T* out, float* mean, float* inverse_std, int d, float epsilon) { \
    layer_norm<T, W>(x, weight, bias, out, mean, inverse_std, d, epsilon); \
  } \
  extern "C" __global__ void layer_norm_backward_##NAME( \
      const T* d_out, const T* x, const T* weight, const float* mean, const float* inverse_std, T* d_x, int d, int accumulate) { \
    layer_norm_backward<T, W>(d_out, x, weight, mean, inverse_std, d_x, d, accumulate); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

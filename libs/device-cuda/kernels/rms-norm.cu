// rmsNorm and its backward, one block a row of d elements, W of them an access (W divides d).
// out = x r w, r = 1 / sqrt(mean(x²) + epsilon), w = offset + weight, a null weight counting as ones.
#include "prelude.cuh"
#include "gains.cuh"

template <typename T, int W>
__device__ void rms_norm(const T* x, const T* weight, T* out, float* inverse_rms, int d, float epsilon, float offset) {
  __shared__ float shared[32];
  const T* row = x + (i64)blockIdx.x * d;
  float sum = 0;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    const Vector<T, W> v = load_vector<T, W>(row + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) sum += to_float(v.at[j]) * to_float(v.at[j]);
  }
  const float r = 1.0f / sqrtf(block_sum(sum, shared) / d + epsilon);
  if (threadIdx.x == 0) inverse_rms[blockIdx.x] = r;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    Vector<T, W> v = load_vector<T, W>(row + i);
    const Gains<W> w = load_gains<T, W>(weight, i, offset);
#pragma unroll
    for (int j = 0; j < W; j += 1) store(&v.at[j], to_float(v.at[j]) * r * w.at[j]);
    store_vector<T, W>(out + (i64)blockIdx.x * d + i, v);
  }
}

// dx = r (g - x r² mean(g x)), g = dOut w; out = x r w once more unless it is null
template <typename T, int W>
__device__ void rms_norm_backward(const T* d_out, const T* x, const T* weight, const float* inverse_rms, T* d_x, T* out, int d, int accumulate, float offset) {
  __shared__ float shared[32];
  const i64 base = (i64)blockIdx.x * d;
  const float r = inverse_rms[blockIdx.x];
  float sum = 0;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    const Vector<T, W> g = load_vector<T, W>(d_out + base + i), v = load_vector<T, W>(x + base + i);
    const Gains<W> w = load_gains<T, W>(weight, i, offset);
#pragma unroll
    for (int j = 0; j < W; j += 1) sum += to_float(g.at[j]) * w.at[j] * to_float(v.at[j]);
  }
  const float projection = block_sum(sum, shared) / d * r * r;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    const Vector<T, W> g = load_vector<T, W>(d_out + base + i), v = load_vector<T, W>(x + base + i);
    const Gains<W> w = load_gains<T, W>(weight, i, offset);
    Vector<T, W> y;
    if (accumulate) y = load_vector<T, W>(d_x + base + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float gradient = r * (to_float(g.at[j]) * w.at[j] - to_float(v.at[j]) * projection);
      store(&y.at[j], accumulate ? to_float(y.at[j]) + gradient : gradient);
    }
    store_vector<T, W>(d_x + base + i, y);
    if (!out) continue;
#pragma unroll
    for (int j = 0; j < W; j += 1) store(&y.at[j], to_float(v.at[j]) * r * w.at[j]);
    store_vector<T, W>(out + base + i, y);
  }
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void rms_norm_##NAME(const T* x, const T* weight, T* out, float* inverse_rms, int d, float epsilon, float offset) { \
    rms_norm<T, W>(x, weight, out, inverse_rms, d, epsilon, offset); \
  } \
  extern "C" __global__ void rms_norm_backward_##NAME( \
      const T* d_out, const T* x, const T* weight, const float* inverse_rms, T* d_x, T* out, int d, int accumulate, float offset) { \
    rms_norm_backward<T, W>(d_out, x, weight, inverse_rms, d_x, out, d, accumulate, offset); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

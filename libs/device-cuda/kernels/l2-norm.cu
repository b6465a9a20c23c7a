// out = scale x s, s = 1 / sqrt(Σ x² + epsilon), of heads of d elements, and its backward; one warp a head, W elements an access (W
// divides d).
#include "prelude.cuh"

template <typename T, int W>
__device__ void l2_norm(const T* x, T* out, float* inverse_norm, i64 heads, int d, float epsilon, float scale) {
  const i64 head = global_index() >> 5;
  if (head >= heads) return;
  const int lane = threadIdx.x & 31;
  float sum = 0;
  for (int i = lane * W; i < d; i += 32 * W) {
    const Vector<T, W> v = load_vector<T, W>(x + head * d + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) sum += to_float(v.at[j]) * to_float(v.at[j]);
  }
  const float s = 1.0f / sqrtf(warp_sum(sum) + epsilon);
  if (lane == 0) inverse_norm[head] = s;
  for (int i = lane * W; i < d; i += 32 * W) {
    Vector<T, W> v = load_vector<T, W>(x + head * d + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) store(&v.at[j], to_float(v.at[j]) * s * scale);
    store_vector<T, W>(out + head * d + i, v);
  }
}

// dx = scale s (g - x s² Σ x g)
template <typename T, int W>
__device__ void l2_norm_backward(
    const T* d_out, const T* x, const float* inverse_norm, T* d_x, i64 heads, int d, float scale, int accumulate) {
  const i64 head = global_index() >> 5;
  if (head >= heads) return;
  const int lane = threadIdx.x & 31;
  const float s = inverse_norm[head];
  float sum = 0;
  for (int i = lane * W; i < d; i += 32 * W) {
    const Vector<T, W> g = load_vector<T, W>(d_out + head * d + i), v = load_vector<T, W>(x + head * d + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) sum += to_float(g.at[j]) * to_float(v.at[j]);
  }
  const float projection = warp_sum(sum) * s * s;
  for (int i = lane * W; i < d; i += 32 * W) {
    const Vector<T, W> g = load_vector<T, W>(d_out + head * d + i), v = load_vector<T, W>(x + head * d + i);
    Vector<T, W> y;
    if (accumulate) y = load_vector<T, W>(d_x + head * d + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float gradient = scale * s * (to_float(g.at[j]) - to_float(v.at[j]) * projection);
      store(&y.at[j], accumulate ? to_float(y.at[j]) + gradient : gradient);
    }
    store_vector<T, W>(d_x + head * d + i, y);
  }
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void l2_norm_##NAME(const T* x, T* out, float* inverse_norm, i64 heads, int d, float epsilon, float scale) { \
    l2_norm<T, W>(x, out, inverse_norm, heads, d, epsilon, scale); \
  } \
  extern "C" __global__ void l2_norm_backward_##NAME( \
      const T* d_out, const T* x, const float* inverse_norm, T* d_x, i64 heads, int d, float scale, int accumulate) { \
    l2_norm_backward<T, W>(d_out, x, inverse_norm, d_x, heads, d, scale, accumulate); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 4)
EACH(bfloat16, bf16, 1)

// out = act(x) and its backward, elementwise; outputs may be inputs.
#include "prelude.cuh"
#include "activation.cuh"

template <typename T, int W, Kind K> __device__ void activation(const T* x, T* out, i64 count) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  Vector<T, W> v = load_vector<T, W>(x + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&v.at[j], activate<K>(to_float(v.at[j])));
  store_vector<T, W>(out + i, v);
}

template <typename T, int W, Kind K>
__device__ void activation_backward(const T* d_out, const T* x, T* d_x, i64 count, int accumulate) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<T, W> d = load_vector<T, W>(d_out + i), v = load_vector<T, W>(x + i);
  Vector<T, W> y;
  if (accumulate) y = load_vector<T, W>(d_x + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) {
    const float at = to_float(v.at[j]);
    const float gradient = pull_back<K>(to_float(d.at[j]), at, share<K>(at));
    store(&y.at[j], accumulate ? to_float(y.at[j]) + gradient : gradient);
  }
  store_vector<T, W>(d_x + i, y);
}

#define EACH(NAME, KIND, T, W) \
  extern "C" __global__ void activation_##NAME(const T* x, T* out, i64 count) { activation<T, W, KIND>(x, out, count); } \
  extern "C" __global__ void activation_backward_##NAME(const T* d_out, const T* x, T* d_x, i64 count, int accumulate) { \
    activation_backward<T, W, KIND>(d_out, x, d_x, count, accumulate); \
  }
#define KINDS(NAME, KIND) \
  EACH(NAME##_float32_wide, KIND, float, 4) \
  EACH(NAME##_float32, KIND, float, 1) \
  EACH(NAME##_bfloat16_wide, KIND, bf16, 8) \
  EACH(NAME##_bfloat16, KIND, bf16, 1)
KINDS(silu, SILU)
KINDS(quick_gelu, QUICK_GELU)
KINDS(gelu_tanh, GELU_TANH)
KINDS(gelu, GELU)

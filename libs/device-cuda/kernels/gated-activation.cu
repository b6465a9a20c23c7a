// out = silu(gate) up and its backward, elementwise; outputs may be inputs. The backward writes `out` once more unless it is null.
#include "prelude.cuh"

template <typename T, int W> __device__ void gated_activation(const T* gate, const T* up, T* out, i64 count) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  Vector<T, W> g = load_vector<T, W>(gate + i);
  const Vector<T, W> u = load_vector<T, W>(up + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) {
    const float x = to_float(g.at[j]);
    store(&g.at[j], x / (1.0f + expf(-x)) * to_float(u.at[j]));
  }
  store_vector<T, W>(out + i, g);
}

template <typename T, int W>
__device__ void gated_activation_backward(const T* d_out, const T* gate, const T* up, T* d_gate, T* d_up, T* out, i64 count) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<T, W> d = load_vector<T, W>(d_out + i);
  Vector<T, W> g = load_vector<T, W>(gate + i), u = load_vector<T, W>(up + i), again;
#pragma unroll
  for (int j = 0; j < W; j += 1) {
    const float x = to_float(g.at[j]), y = to_float(u.at[j]), z = to_float(d.at[j]);
    const float e = 1.0f + expf(-x), sigmoid = 1.0f / e;
    store(&again.at[j], x / e * y);
    store(&g.at[j], z * y * sigmoid * (1.0f + x * (1.0f - sigmoid)));
    store(&u.at[j], z * x * sigmoid);
  }
  store_vector<T, W>(d_gate + i, g);
  store_vector<T, W>(d_up + i, u);
  if (out) store_vector<T, W>(out + i, again);
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void gated_activation_##NAME(const T* gate, const T* up, T* out, i64 count) { gated_activation<T, W>(gate, up, out, count); } \
  extern "C" __global__ void gated_activation_backward_##NAME(const T* d_out, const T* gate, const T* up, T* d_gate, T* d_up, T* out, i64 count) { \
    gated_activation_backward<T, W>(d_out, gate, up, d_gate, d_up, out, count); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

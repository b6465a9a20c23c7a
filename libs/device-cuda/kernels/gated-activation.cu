// out = act(gate) up and its backward, elementwise; outputs may be inputs. The backward writes `out` once more unless it is null.
// Clamped SwiGLU: out = act(min(gate, limit)) (min(max(up, -limit), limit) + 1); what clamping held has no gradient. Comparisons, not
// fminf and fmaxf: NaN must reach the output.
#include "prelude.cuh"
#include "activation.cuh"

template <Kind K> __device__ __forceinline__ float clamped_gate(float x, float limit) {
  return K == CLAMPED_SWIGLU && x > limit ? limit : x;
}

template <Kind K> __device__ __forceinline__ float clamped_up(float y, float limit) {
  if constexpr (K == CLAMPED_SWIGLU) return (y > limit ? limit : y < -limit ? -limit : y) + 1.0f;
  return y;
}

template <typename T, int W, Kind K> __device__ void gated_activation(const T* gate, const T* up, T* out, i64 count, float limit) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  Vector<T, W> g = load_vector<T, W>(gate + i);
  const Vector<T, W> u = load_vector<T, W>(up + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) {
    const float x = clamped_gate<K>(to_float(g.at[j]), limit);
    store(&g.at[j], activate<K>(x) * clamped_up<K>(to_float(u.at[j]), limit));
  }
  store_vector<T, W>(out + i, g);
}

template <typename T, int W, Kind K>
__device__ void gated_activation_backward(
    const T* d_out, const T* gate, const T* up, T* d_gate, T* d_up, T* out, i64 count, float limit) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<T, W> d = load_vector<T, W>(d_out + i);
  Vector<T, W> g = load_vector<T, W>(gate + i), u = load_vector<T, W>(up + i), again;
#pragma unroll
  for (int j = 0; j < W; j += 1) {
    const float gate_given = to_float(g.at[j]), up_given = to_float(u.at[j]), z = to_float(d.at[j]);
    const float x = clamped_gate<K>(gate_given, limit), y = clamped_up<K>(up_given, limit);
    const float s = share<K>(x);
    const bool gate_held = K == CLAMPED_SWIGLU && gate_given > limit;
    const bool up_held = K == CLAMPED_SWIGLU && fabsf(up_given) > limit;
    store(&again.at[j], activate<K>(x) * y);
    store(&g.at[j], gate_held ? 0.0f : pull_back<K>(z * y, x, s));
    store(&u.at[j], up_held ? 0.0f : K == SIGMOID ? z * s : z * x * s);
  }
  store_vector<T, W>(d_gate + i, g);
  store_vector<T, W>(d_up + i, u);
  if (out) store_vector<T, W>(out + i, again);
}

#define EACH(NAME, KIND, T, W) \
  extern "C" __global__ void gated_activation_##NAME(const T* gate, const T* up, T* out, i64 count, float limit) { \
    gated_activation<T, W, KIND>(gate, up, out, count, limit); \
  } \
  extern "C" __global__ void gated_activation_backward_##NAME( \
      const T* d_out, const T* gate, const T* up, T* d_gate, T* d_up, T* out, i64 count, float limit) { \
    gated_activation_backward<T, W, KIND>(d_out, gate, up, d_gate, d_up, out, count, limit); \
  }
#define KINDS(NAME, KIND) \
  EACH(NAME##_float32_wide, KIND, float, 4) \
  EACH(NAME##_float32, KIND, float, 1) \
  EACH(NAME##_bfloat16_wide, KIND, bf16, 8) \
  EACH(NAME##_bfloat16, KIND, bf16, 1)
KINDS(silu, SILU)
KINDS(sigmoid, SIGMOID)
KINDS(gelu, GELU)
KINDS(gelu_tanh, GELU_TANH)
KINDS(clamped_swiglu, CLAMPED_SWIGLU)

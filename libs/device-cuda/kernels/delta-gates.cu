// decay = -exp(log_decay) softplus(a + offset) and strength = σ(b) of every row and head, and their backward. log_decay and offset
// (heads) are float32 or of the operands' type.
#include "prelude.cuh"
#include "activation.cuh"

// Without an overflow of exp, and exact where it is small.
__device__ __forceinline__ float softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }

template <typename T, typename P>
__device__ void delta_gates(const T* a, const T* b, const P* log_decay, const P* offset, float* decay, float* strength, i64 count, int heads) {
  const i64 i = global_index();
  if (i >= count) return;
  const int head = i % heads;
  decay[i] = -expf(to_float(log_decay[head])) * softplus(to_float(a[i]) + to_float(offset[head]));
  strength[i] = logistic(to_float(b[i]));
}

template <typename T, typename P>
__device__ void delta_gates_backward(
    const float* d_decay, const float* d_strength, const T* a, const T* b, const P* log_decay, const P* offset, T* d_a, T* d_b,
    i64 count, int heads) {
  const i64 i = global_index();
  if (i >= count) return;
  const int head = i % heads;
  const float strength = logistic(to_float(b[i]));
  store(d_a + i, -d_decay[i] * expf(to_float(log_decay[head])) * logistic(to_float(a[i]) + to_float(offset[head])));
  store(d_b + i, d_strength[i] * strength * (1.0f - strength));
}

#define EACH(NAME, T, P) \
  extern "C" __global__ void delta_gates_##NAME( \
      const T* a, const T* b, const P* log_decay, const P* offset, float* decay, float* strength, i64 count, int heads) { \
    delta_gates<T, P>(a, b, log_decay, offset, decay, strength, count, heads); \
  } \
  extern "C" __global__ void delta_gates_backward_##NAME( \
      const float* d_decay, const float* d_strength, const T* a, const T* b, const P* log_decay, const P* offset, T* d_a, T* d_b, \
      i64 count, int heads) { \
    delta_gates_backward<T, P>(d_decay, d_strength, a, b, log_decay, offset, d_a, d_b, count, heads); \
  }
EACH(float32_float32, float, float)
EACH(bfloat16_bfloat16, bf16, bf16)
EACH(bfloat16_float32, bf16, float)

// DoRA's gate of each output, m / |w| - 1, and the gradient of m. A thread a column, rows in order.
#include "prelude.cuh"

template <typename T>
__device__ void dora_gate(const float* magnitude, const float* inverse, T* gate, int rows, int columns, float root) {
  const i64 i = global_index();
  if (i >= columns) return;
  const float value = magnitude[i] * inverse[i] / root - 1.0f;
  for (int row = 0; row < rows; row += 1) store(gate + (i64)row * columns + i, value);
}

template <typename T>
__device__ void dora_gate_backward(const T* gradient, const float* inverse, float* out, int rows, int columns, float root) {
  const i64 i = global_index();
  if (i >= columns) return;
  float sum = 0.0f;
  for (int row = 0; row < rows; row += 1) sum += to_float(gradient[(i64)row * columns + i]);
  out[i] += sum * inverse[i] / root;
}

#define EACH(NAME, T) \
  extern "C" __global__ void dora_gate_##NAME( \
      const float* magnitude, const float* inverse, T* gate, int rows, int columns, float root) { \
    dora_gate<T>(magnitude, inverse, gate, rows, columns, root); \
  } \
  extern "C" __global__ void dora_gate_backward_##NAME( \
      const T* gradient, const float* inverse, float* out, int rows, int columns, float root) { \
    dora_gate_backward<T>(gradient, inverse, out, rows, columns, root); \
  }
EACH(float32, float)
EACH(bfloat16, bf16)

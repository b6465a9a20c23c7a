// One pass over memory, W elements a thread.
#include "prelude.cuh"

// out[i, :] += bias; W divides columns.
template <typename T, int W> __device__ void add_bias(const T* bias, T* out, i64 count, int columns) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<T, W> b = load_vector<T, W>(bias + i % columns);
  Vector<T, W> y = load_vector<T, W>(out + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&y.at[j], to_arithmetic(y.at[j]) + to_arithmetic(b.at[j]));
  store_vector<T, W>(out + i, y);
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void add_bias_##NAME(const T* bias, T* out, i64 count, int columns) { \
    add_bias<T, W>(bias, out, count, columns); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)
EACH(float64_wide, double, 2)
EACH(float64, double, 1)

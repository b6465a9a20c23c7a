// One pass over memory, W elements a thread.
#include "prelude.cuh"

// out[i, j] = x[i, j] scale[i or j]; W divides columns.
template <typename T, int W> __device__ void scale(const T* x, const T* factors, T* out, i64 count, int columns, int along_rows) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  Vector<T, W> v = load_vector<T, W>(x + i);
  const i64 row = i / columns, column = i % columns;
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&v.at[j], to_arithmetic(v.at[j]) * to_arithmetic(factors[along_rows ? row : column + j]));
  store_vector<T, W>(out + i, v);
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void scale_##NAME(const T* x, const T* f, T* out, i64 count, int columns, int along_rows) { \
    scale<T, W>(x, f, out, count, columns, along_rows); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)
EACH(float64_wide, double, 2)
EACH(float64, double, 1)

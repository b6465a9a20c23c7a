// out = value, W elements a thread.
#include "prelude.cuh"

template <typename T, int W> __device__ void fill(T* out, double value, i64 count) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  Vector<T, W> v;
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&v.at[j], (typename Arithmetic<T>::type)value);
  store_vector<T, W>(out + i, v);
}

extern "C" __global__ void fill_int32(int* out, int value, i64 count) {
  if (global_index() < count) out[global_index()] = value;
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void fill_##NAME(T* out, double value, i64 count) { fill<T, W>(out, value, count); }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)
EACH(float64_wide, double, 2)
EACH(float64, double, 1)

// out = factor x, W elements a thread.
#include "prelude.cuh"

template <typename T, int W> __device__ void scale_by(const T* x, T* out, double factor, i64 count) {
  typedef typename Arithmetic<T>::type A;
  const i64 i = global_index() * W;
  if (i >= count) return;
  Vector<T, W> v = load_vector<T, W>(x + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&v.at[j], (A)factor * to_arithmetic(v.at[j]));
  store_vector<T, W>(out + i, v);
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void scale_by_##NAME(const T* x, T* out, double factor, i64 count) { scale_by<T, W>(x, out, factor, count); }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)
EACH(float64_wide, double, 2)
EACH(float64, double, 1)

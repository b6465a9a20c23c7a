// One pass over memory, W elements a thread.
#include "prelude.cuh"

// out += alpha x
template <typename T, int W> __device__ void add(const T* x, T* out, double alpha, i64 count) {
  typedef typename Arithmetic<T>::type A;
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<T, W> v = load_vector<T, W>(x + i);
  Vector<T, W> y = load_vector<T, W>(out + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&y.at[j], to_arithmetic(y.at[j]) + (A)alpha * to_arithmetic(v.at[j]));
  store_vector<T, W>(out + i, y);
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void add_##NAME(const T* x, T* out, double alpha, i64 count) { add<T, W>(x, out, alpha, count); }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)
EACH(float64_wide, double, 2)
EACH(float64, double, 1)

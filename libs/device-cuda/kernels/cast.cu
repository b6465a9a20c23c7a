// out = x in another type, W elements a thread, or in the same one.
#include "prelude.cuh"

template <typename S, typename T, int W> __device__ void cast(const S* x, T* out, i64 count) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<S, W> v = load_vector<S, W>(x + i);
  Vector<T, W> y;
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&y.at[j], to_arithmetic(v.at[j]));
  store_vector<T, W>(out + i, y);
}

#define CAST(NAME, S, T, W) \
  extern "C" __global__ void cast_##NAME##_wide(const S* x, T* out, i64 count) { cast<S, T, W>(x, out, count); } \
  extern "C" __global__ void cast_##NAME(const S* x, T* out, i64 count) { cast<S, T, 1>(x, out, count); }
CAST(float32_bfloat16, float, bf16, 4)
CAST(float32_float64, float, double, 2)
CAST(bfloat16_float32, bf16, float, 4)
CAST(bfloat16_float64, bf16, double, 2)
CAST(float64_float32, double, float, 2)
CAST(float64_bfloat16, double, bf16, 2)
CAST(float16_float32, f16, float, 4)
CAST(float16_bfloat16, f16, bf16, 8)
CAST(float16_float64, f16, double, 2)

template <typename Unit> __device__ void copy(const Unit* x, Unit* out, i64 count) {
  if (global_index() < count) out[global_index()] = x[global_index()];
}
extern "C" __global__ void copy_4(const u32* x, u32* out, i64 count) { copy(x, out, count); }
extern "C" __global__ void copy_2(const unsigned short* x, unsigned short* out, i64 count) { copy(x, out, count); }

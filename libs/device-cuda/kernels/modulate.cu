// out = x (1 + scale) + shift for the rows of each sequence. The backward is in what sequences share.
#include "prelude.cuh"
#include "sequence-of.cuh"
#include "sequences.cuh"

template <typename T, int W>
__device__ void modulate(const T* x, const T* scale, const T* shift, const int* offsets, T* out, int sequences, int d) {
  const i64 base = (i64)blockIdx.x * d;
  const i64 start = (i64)sequence_of(offsets, sequences, blockIdx.x) * d;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    Vector<T, W> v = load_vector<T, W>(x + base + i);
    const Vector<T, W> a = load_vector<T, W>(scale + start + i), b = load_vector<T, W>(shift + start + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) store(&v.at[j], to_float(v.at[j]) * (1.0f + to_float(a.at[j])) + to_float(b.at[j]));
    store_vector<T, W>(out + base + i, v);
  }
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void modulate_##NAME( \
      const T* x, const T* scale, const T* shift, const int* offsets, T* out, int sequences, int d) { \
    modulate<T, W>(x, scale, shift, offsets, out, sequences, d); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

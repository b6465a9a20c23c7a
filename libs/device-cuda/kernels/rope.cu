// Rotation of the halves of each head: (a, b) -> (a cos - b sin, b cos + a sin); sign -1 rotates back.
// One thread a W-wide pair of stretches; W divides headDim / 2. `cos` and `sin` are (positions, headDim / 2).
#include "prelude.cuh"

template <typename T, int W>
__device__ void rope(const T* x, T* out, const float* cosines, const float* sines, const int* positions, i64 pairs, int heads, int half, float sign) {
  const i64 index = global_index() * W;
  if (index >= pairs) return;
  const i64 head = index / half;
  const int column = (int)(index % half);
  const i64 at = head * 2 * half + column;
  const i64 angle = (i64)positions[head / heads] * half + column;
  Vector<T, W> a = load_vector<T, W>(x + at), b = load_vector<T, W>(x + at + half);
#pragma unroll
  for (int j = 0; j < W; j += 1) {
    const float c = cosines[angle + j], s = sign * sines[angle + j], p = to_float(a.at[j]), q = to_float(b.at[j]);
    store(&a.at[j], p * c - q * s);
    store(&b.at[j], q * c + p * s);
  }
  store_vector<T, W>(out + at, a);
  store_vector<T, W>(out + at + half, b);
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void rope_##NAME( \
      const T* x, T* out, const float* cosines, const float* sines, const int* positions, i64 pairs, int heads, int half, float sign) { \
    rope<T, W>(x, out, cosines, sines, positions, pairs, heads, half, sign); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

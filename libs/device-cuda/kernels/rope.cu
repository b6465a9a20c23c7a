// Rotation of pairs of each head: (a, b) -> (a cos - b sin, b cos + a sin); sign -1 rotates back. The first 2 half elements of a head
// turn, in pairs i, i + half or 2 i, 2 i + 1; the others, `units` - half pairs of them, are copied (units = half: they stay).
// `cos` and `sin` are (positions, half).
#include "prelude.cuh"

// One thread a W-wide pair of stretches; W divides half and headDim / 2.
template <typename T, int W>
__device__ void rope(
    const T* x, T* out, const float* cosines, const float* sines, const int* positions, i64 pairs, int heads, int head_dim, int half,
    int units, float sign) {
  const i64 index = global_index() * W;
  if (index >= pairs) return;
  const i64 head = index / units;
  const int unit = (int)(index % units);
  const i64 start = head * head_dim;
  if (unit >= half) {
    const i64 first = start + half + unit, second = first + (head_dim / 2 - half);
    store_vector<T, W>(out + first, load_vector<T, W>(x + first));
    store_vector<T, W>(out + second, load_vector<T, W>(x + second));
    return;
  }
  const i64 at = start + unit;
  const i64 angle = (i64)positions[head / heads] * half + unit;
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

// One thread P pairs of neighbours, in accesses of W elements (W divides 2 P); P divides half and headDim / 2.
template <typename T, int P, int W>
__device__ void rope_adjacent(
    const T* x, T* out, const float* cosines, const float* sines, const int* positions, i64 pairs, int heads, int head_dim, int half,
    int units, float sign) {
  const i64 index = global_index() * P;
  if (index >= pairs) return;
  const i64 head = index / units;
  const int unit = (int)(index % units);
  const i64 at = head * head_dim + 2 * unit;
  Vector<T, W> v[2 * P / W];
#pragma unroll
  for (int k = 0; k < 2 * P / W; k += 1) v[k] = load_vector<T, W>(x + at + k * W);
  if (unit < half) {
    const i64 angle = (i64)positions[head / heads] * half + unit;
#pragma unroll
    for (int j = 0; j < P; j += 1) {
      T* a = &v[2 * j / W].at[2 * j % W];
      T* b = &v[(2 * j + 1) / W].at[(2 * j + 1) % W];
      const float c = cosines[angle + j], s = sign * sines[angle + j], p = to_float(*a), q = to_float(*b);
      store(a, p * c - q * s);
      store(b, q * c + p * s);
    }
  }
#pragma unroll
  for (int k = 0; k < 2 * P / W; k += 1) store_vector<T, W>(out + at + k * W, v[k]);
}

#define PARAMETERS(T) \
  const T *x, T *out, const float *cosines, const float *sines, const int *positions, i64 pairs, int heads, int head_dim, int half, \
      int units, float sign
#define ARGUMENTS x, out, cosines, sines, positions, pairs, heads, head_dim, half, units, sign
#define EACH(NAME, T, W) \
  extern "C" __global__ void rope_halves_##NAME(PARAMETERS(T)) { rope<T, W>(ARGUMENTS); }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

#define ADJACENT(NAME, T, P, W) \
  extern "C" __global__ void rope_adjacent_##NAME(PARAMETERS(T)) { rope_adjacent<T, P, W>(ARGUMENTS); }
ADJACENT(float32_wide, float, 2, 4)
ADJACENT(float32, float, 1, 1)
ADJACENT(bfloat16_wide, bf16, 4, 8)
ADJACENT(bfloat16, bf16, 1, 1)

// out (+)= x times 0 or 1 / (1 - probability), by Threefry-2x32 with 13 rounds; the two elements of a draw a thread.
#include "prelude.cuh"

__device__ __forceinline__ u32 rotated(u32 x, int bits) { return __funnelshift_l(x, x, bits); }

__device__ __forceinline__ void round_of(u32& a, u32& b, int bits) {
  a += b;
  b = rotated(b, bits) ^ a;
}

__device__ __forceinline__ void threefry(u32 k0, u32 k1, u32& a, u32& b) {
  const u32 keys[3] = {k0, k1, 0x1bd11bdau ^ k0 ^ k1};
  const int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  a += k0;
  b += k1;
#pragma unroll
  for (int i = 0; i < 13; i += 1) {
    round_of(a, b, rotations[i % 8]);
    if (i % 4 != 3) continue;
    const int injection = (i + 1) / 4;
    a += keys[injection % 3];
    b += keys[(injection + 1) % 3] + injection;
  }
}

template <typename T>
__device__ void dropout(const T* x, T* out, const u32* key, u32 stream, u32 threshold, float factor, int accumulate, i64 count) {
  const i64 pair = global_index();
  u32 words[2] = {(u32)pair, stream};
  threefry(key[0], key[1], words[0], words[1]);
#pragma unroll
  for (int j = 0; j < 2; j += 1) {
    const i64 i = 2 * pair + j;
    if (i >= count) return;
    const float value = words[j] >= threshold ? factor * to_float(x[i]) : 0.0f;
    store(&out[i], accumulate ? to_float(out[i]) + value : value);
  }
}

#define EACH(NAME, T) \
  extern "C" __global__ void dropout_##NAME(const T* x, T* out, const u32* key, u32 stream, u32 threshold, float factor, int accumulate, i64 count) { \
    dropout<T>(x, out, key, stream, threshold, factor, accumulate, count); \
  }
EACH(float32, float)
EACH(bfloat16, bf16)

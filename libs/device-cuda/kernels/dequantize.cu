// out = scale · value of a code: codes of 8 or 4 bits in 32-bit words, behind them one float32 scale for each 64
// numbers. W numbers a thread, all of one block: the wide forms take 8, which is one word of nf4 and two of int8.
#include "prelude.cuh"

constexpr int BLOCK = 64;
constexpr int WIDE = 8;

// The quantiles of QLoRA (arXiv 2305.14314, appendix E).
__device__ const float quantiles[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
    0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
    0.7229568362236023f, 1.0f};

struct Int8 {
  static constexpr int per_word = 4;
  __device__ float operator()(u32 word, int place) const { return (float)((int)(word << (24 - 8 * place)) >> 24); }
};

// Lanes ask for different quantiles: shared memory answers them at once, constant memory one after another.
struct Nf4 {
  static constexpr int per_word = 8;
  const float* table;
  __device__ float operator()(u32 word, int place) const { return table[(word >> (4 * place)) & 15]; }
};

template <int W, typename Format, typename T>
__device__ __forceinline__ void dequantize(const u32* x, T* out, i64 count, i64 code_words, Format value) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  const float scale = __uint_as_float(x[code_words + i / BLOCK]);
  constexpr int words = W > Format::per_word ? W / Format::per_word : 1;
  u32 word[words];
#pragma unroll
  for (int j = 0; j < words; j += 1) word[j] = x[i / Format::per_word + j];
  const int first = (int)(i % Format::per_word);
  Vector<T, W> y;
#pragma unroll
  for (int j = 0; j < W; j += 1) {
    const int place = W == 1 ? first : j % Format::per_word;
    store(&y.at[j], scale * value(word[j / Format::per_word], place));
  }
  store_vector<T, W>(out + i, y);
}

template <int W, typename T> __device__ void dequantize_int8(const u32* x, T* out, i64 count, i64 code_words) {
  dequantize<W>(x, out, count, code_words, Int8());
}

template <int W, typename T> __device__ void dequantize_nf4(const u32* x, T* out, i64 count, i64 code_words) {
  __shared__ float table[16];
  if (threadIdx.x < 16) table[threadIdx.x] = quantiles[threadIdx.x];
  __syncthreads();
  dequantize<W>(x, out, count, code_words, Nf4{table});
}

#define DEQUANTIZE(FORMAT, NAME, T) \
  extern "C" __global__ void dequantize_##FORMAT##_##NAME##_wide(const u32* x, T* out, i64 count, i64 code_words) { \
    dequantize_##FORMAT<WIDE>(x, out, count, code_words); \
  } \
  extern "C" __global__ void dequantize_##FORMAT##_##NAME(const u32* x, T* out, i64 count, i64 code_words) { \
    dequantize_##FORMAT<1>(x, out, count, code_words); \
  }
DEQUANTIZE(int8, float32, float)
DEQUANTIZE(int8, bfloat16, bf16)
DEQUANTIZE(nf4, float32, float)
DEQUANTIZE(nf4, bfloat16, bf16)

// Rows that share a row of a table (sequences, d) with the rest of their sequence: see sequence-of.cuh, which comes first.

// out = (one + table) x for every row, or out += …; one block a row of d elements, W of them an access (W divides d).
template <typename T, int W>
__device__ void scale_sequences(const T* x, const T* table, const int* offsets, T* out, int sequences, int d, float one, int accumulate) {
  const i64 base = (i64)blockIdx.x * d;
  const i64 start = (i64)sequence_of(offsets, sequences, blockIdx.x) * d;
  for (int i = threadIdx.x * W; i < d; i += blockDim.x * W) {
    const Vector<T, W> v = load_vector<T, W>(x + base + i), t = load_vector<T, W>(table + start + i);
    Vector<T, W> y;
    if (accumulate) y = load_vector<T, W>(out + base + i);
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      const float value = (one + to_float(t.at[j])) * to_float(v.at[j]);
      store(&y.at[j], accumulate ? to_float(y.at[j]) + value : value);
    }
    store_vector<T, W>(out + base + i, y);
  }
}

#define SUM_COLUMNS 32
#define SUM_LANES 16

// out[s, :] = Σ a b over the rows of sequence s, Σ a where b is null. A block sums SUM_COLUMNS columns of one sequence: every lane of
// it each SUM_LANES-th row, then the lanes in their order. grid (columns / SUM_COLUMNS, sequences).
template <typename T> __device__ void sum_sequences(const T* a, const T* b, const int* offsets, T* out, int d) {
  __shared__ float shared[SUM_LANES][SUM_COLUMNS];
  const int within = threadIdx.x % SUM_COLUMNS, lane = threadIdx.x / SUM_COLUMNS;
  const int column = blockIdx.x * SUM_COLUMNS + within;
  const int end = offsets[blockIdx.y + 1];
  float sum = 0;
  if (column < d) {
    for (int row = offsets[blockIdx.y] + lane; row < end; row += SUM_LANES) {
      const i64 i = (i64)row * d + column;
      sum += b ? to_float(a[i]) * to_float(b[i]) : to_float(a[i]);
    }
  }
  shared[lane][within] = sum;
  __syncthreads();
  if (lane > 0 || column >= d) return;
  float total = 0;
  for (int i = 0; i < SUM_LANES; i += 1) total += shared[i][within];
  store(out + (i64)blockIdx.y * d + column, total);
}

#define EACH_SEQUENCE_KERNEL(NAME, T, W) \
  extern "C" __global__ void scale_sequences_##NAME( \
      const T* x, const T* table, const int* offsets, T* out, int sequences, int d, float one, int accumulate) { \
    scale_sequences<T, W>(x, table, offsets, out, sequences, d, one, accumulate); \
  }
EACH_SEQUENCE_KERNEL(float32_wide, float, 4)
EACH_SEQUENCE_KERNEL(float32, float, 1)
EACH_SEQUENCE_KERNEL(bfloat16_wide, bf16, 8)
EACH_SEQUENCE_KERNEL(bfloat16, bf16, 1)

extern "C" __global__ void sum_sequences_float32(const float* a, const float* b, const int* offsets, float* out, int d) {
  sum_sequences<float>(a, b, offsets, out, d);
}
extern "C" __global__ void sum_sequences_bfloat16(const bf16* a, const bf16* b, const int* offsets, bf16* out, int d) {
  sum_sequences<bf16>(a, b, offsets, out, d);
}

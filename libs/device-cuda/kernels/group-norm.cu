// groupNorm in three kernels: moments of each column over CHUNK_ROWS rows of a sequence, about the first of them; those of a group of
// columns of a sequence, of all its chunks in a fixed order; and the result. `offsets` (sequences + 1) as in sequences.cuh.
#include "prelude.cuh"
#include "sequence-of.cuh"
#include "sequences.cuh"
#include "activation.cuh"

#define CHUNK_ROWS 512

// moments (sequences, chunks, d): mean and sum of squares about it. Every lane of a block adds each SUM_LANES-th row, then the lanes
// in their order. grid (d / SUM_COLUMNS, chunks, sequences)
template <typename T> __device__ void column_moments(const T* x, const int* offsets, float2* moments, int chunks, int d) {
  __shared__ float2 shared[SUM_LANES][SUM_COLUMNS];
  const int within = threadIdx.x % SUM_COLUMNS, lane = threadIdx.x / SUM_COLUMNS;
  const int column = blockIdx.x * SUM_COLUMNS + within;
  const int first = offsets[blockIdx.z] + blockIdx.y * CHUNK_ROWS, end = min(first + CHUNK_ROWS, offsets[blockIdx.z + 1]);
  if (first >= end) return;
  float pivot = 0, sum = 0, squares = 0;
  if (column < d) {
    pivot = to_float(x[(i64)first * d + column]);
    for (int row = first + lane; row < end; row += SUM_LANES) {
      const float y = to_float(x[(i64)row * d + column]) - pivot;
      sum += y;
      squares += y * y;
    }
  }
  shared[lane][within] = make_float2(sum, squares);
  __syncthreads();
  if (lane > 0 || column >= d) return;
  sum = 0;
  squares = 0;
  for (int i = 0; i < SUM_LANES; i += 1) {
    sum += shared[i][within].x;
    squares += shared[i][within].y;
  }
  const float offset = sum / (end - first);
  moments[((i64)blockIdx.z * chunks + blockIdx.y) * d + column] = make_float2(pivot + offset, squares - sum * offset);
}

// factors (sequences, d): the mean of a column's group, and the column's weight over the group's deviation. grid (groups, sequences)
template <typename T>
__device__ void group_factors(
    const float2* moments, const T* weight, const int* offsets, float2* factors, int chunks, int d, int groups, float epsilon) {
  __shared__ float shared[32];
  const int length = offsets[blockIdx.y + 1] - offsets[blockIdx.y];
  if (length == 0) return;
  const int columns = d / groups, start = blockIdx.x * columns;
  const int count = (length + CHUNK_ROWS - 1) / CHUNK_ROWS * columns;
  const float2* from = moments + (i64)blockIdx.y * chunks * d + start;
  const float pivot = from[0].x, total = (float)length * columns;
  float sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const int chunk = i / columns, n = min(CHUNK_ROWS, length - chunk * CHUNK_ROWS);
    sum += n * (from[(i64)chunk * d + i % columns].x - pivot);
  }
  const float offset = block_sum(sum, shared) / total;
  float squares = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const int chunk = i / columns, n = min(CHUNK_ROWS, length - chunk * CHUNK_ROWS);
    const float2 moment = from[(i64)chunk * d + i % columns];
    const float y = moment.x - pivot - offset;
    squares += moment.y + n * y * y;
  }
  const float r = 1.0f / sqrtf(fmaxf(block_sum(squares, shared) / total, 0.0f) + epsilon);
  for (int i = threadIdx.x; i < columns; i += blockDim.x)
    factors[(i64)blockIdx.y * d + start + i] = make_float2(pivot + offset, r * to_float(weight[start + i]));
}

// W elements a thread (W divides d), `units` of them in all.
template <typename T, int W>
__device__ void group_norm(
    const T* x, const float2* factors, const T* bias, const int* offsets, T* out, u32 units, int sequences, int d, int silu) {
  const u32 unit = blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  const u32 row = unit / (d / W);
  const int column = (unit - row * (d / W)) * W;
  const float2* factor = factors + (i64)sequence_of(offsets, sequences, row) * d + column;
  Vector<T, W> v = load_vector<T, W>(x + (i64)unit * W);
  const Vector<T, W> b = load_vector<T, W>(bias + column);
#pragma unroll
  for (int j = 0; j < W; j += 1) {
    const float2 f = factor[j];
    const float y = (to_float(v.at[j]) - f.x) * f.y + to_float(b.at[j]);
    store(&v.at[j], silu ? activate<SILU>(y) : y);
  }
  store_vector<T, W>(out + (i64)unit * W, v);
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void group_norm_##NAME( \
      const T* x, const float2* factors, const T* bias, const int* offsets, T* out, u32 units, int sequences, int d, int silu) { \
    group_norm<T, W>(x, factors, bias, offsets, out, units, sequences, d, silu); \
  }
#define EACH_TYPE(NAME, T) \
  extern "C" __global__ void column_moments_##NAME(const T* x, const int* offsets, float2* moments, int chunks, int d) { \
    column_moments<T>(x, offsets, moments, chunks, d); \
  } \
  extern "C" __global__ void group_factors_##NAME( \
      const float2* moments, const T* weight, const int* offsets, float2* factors, int chunks, int d, int groups, float epsilon) { \
    group_factors<T>(moments, weight, offsets, factors, chunks, d, groups, epsilon); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)
EACH_TYPE(float32, float)
EACH_TYPE(bfloat16, bf16)

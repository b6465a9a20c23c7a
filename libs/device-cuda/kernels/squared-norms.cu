// Sums of squares of each tensor of a list.
#include "prelude.cuh"
#include "chunks.cuh"

template <typename T>
__device__ void squared_norm_chunks(const i64* addresses, const i64* sizes, const Chunk* chunks, double* partial) {
  __shared__ double shared[32];
  const Chunk chunk = chunks[blockIdx.x];
  const T* x = reinterpret_cast<const T*>(addresses[chunk.tensor]);
  const i64 start = (i64)chunk.index * CHUNK;
  const i64 end = min(start + CHUNK, sizes[chunk.tensor]);
  double sum = 0;
  for (i64 i = start + threadIdx.x; i < end; i += THREADS) {
    const double y = (double)to_arithmetic(x[i]);
    sum += y * y;
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

#define EACH(NAME, T) \
  extern "C" __global__ void squared_norm_chunks_##NAME(const i64* addresses, const i64* sizes, const Chunk* chunks, double* partial) { \
    squared_norm_chunks<T>(addresses, sizes, chunks, partial); \
  }
EACH(float32, float)
EACH(bfloat16, bf16)
EACH(float64, double)

// One block a tensor: the sum of its chunks in their order. `first` (tensors + 1) counts chunks before each tensor.
extern "C" __global__ void squared_norm_totals(const int* first, const double* partial, float* out) {
  __shared__ double shared[32];
  double sum = 0;
  for (int i = first[blockIdx.x] + threadIdx.x; i < first[blockIdx.x + 1]; i += blockDim.x) sum += partial[i];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) out[blockIdx.x] = (float)sum;
}

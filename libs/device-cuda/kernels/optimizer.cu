// squaredNorms and adamw over lists of tensors. A list is a table in device memory: addresses (tensor by tensor, in groups of one
// address list an operand), then one entry a chunk of CHUNK elements: {tensor, chunk of that tensor}; sizes are in elements.
#include "prelude.cuh"

struct Chunk { int tensor; int index; };

#define CHUNK 16384
#define THREADS 256

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

// Decoupled weight decay (arXiv 1711.05101); `rest` are 1 - beta and `correction` 1 - beta^step, rounded once.
extern "C" __global__ void adamw(
    const i64* addresses, const i64* sizes, const Chunk* chunks, int tensors, const float* squared_norms, int norms, float max_norm,
    float learning_rate, float beta1, float beta2, float rest1, float rest2, float epsilon, float weight_decay, float correction1,
    float correction2) {
  __shared__ double shared[32];
  double total = 0;
  for (int i = threadIdx.x; i < norms; i += THREADS) total += (double)squared_norms[i];
  const float norm = (float)sqrt(block_sum(total, shared));
  // Comparisons, not min: a NaN norm must reach the parameters, where the caller sees it.
  const float clip = norm + 1e-6f <= max_norm ? 1.0f : max_norm / (norm + 1e-6f);
  const Chunk chunk = chunks[blockIdx.x];
  float* p = reinterpret_cast<float*>(addresses[chunk.tensor]);
  const float* g = reinterpret_cast<const float*>(addresses[tensors + chunk.tensor]);
  float* m = reinterpret_cast<float*>(addresses[2 * tensors + chunk.tensor]);
  float* v = reinterpret_cast<float*>(addresses[3 * tensors + chunk.tensor]);
  const i64 start = (i64)chunk.index * CHUNK;
  const i64 end = min(start + CHUNK, sizes[chunk.tensor]);
  for (i64 i = start + threadIdx.x; i < end; i += THREADS) {
    const float gradient = g[i] * clip;
    const float first = beta1 * m[i] + rest1 * gradient;
    const float second = beta2 * v[i] + rest2 * gradient * gradient;
    m[i] = first;
    v[i] = second;
    const float update = first / correction1 / (sqrtf(second / correction2) + epsilon);
    p[i] -= learning_rate * (update + weight_decay * p[i]);
  }
}

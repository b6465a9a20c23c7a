#include "prelude.cuh"
#include "chunks.cuh"
#include "clip.cuh"

// Decoupled weight decay (arXiv 1711.05101); `rest` are 1 - beta and `correction` 1 - beta^step, rounded once.
extern "C" __global__ void adamw(
    const i64* addresses, const i64* sizes, const Chunk* chunks, int tensors, const float* squared_norms, int norms, float max_norm,
    float learning_rate, float beta1, float beta2, float rest1, float rest2, float epsilon, float weight_decay, float correction1,
    float correction2) {
  __shared__ double shared[32];
  const float clip = clip_factor(squared_norms, norms, max_norm, shared);
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

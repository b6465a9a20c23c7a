// The second half of Prodigy, one block a chunk; `keep` is 1 - step_size weight_decay, rounded once.
#include "prelude.cuh"
#include "chunks.cuh"

extern "C" __global__ void prodigy_update(
    const i64* addresses, const i64* sizes, const Chunk* chunks, int tensors, float step_size, float epsilon, float keep) {
  const Chunk chunk = chunks[blockIdx.x];
  float* p = reinterpret_cast<float*>(addresses[chunk.tensor]);
  const float* m = reinterpret_cast<const float*>(addresses[tensors + chunk.tensor]);
  const float* v = reinterpret_cast<const float*>(addresses[2 * tensors + chunk.tensor]);
  const i64 start = (i64)chunk.index * CHUNK;
  const i64 end = min(start + CHUNK, sizes[chunk.tensor]);
  for (i64 i = start + threadIdx.x; i < end; i += THREADS) p[i] = keep * p[i] - step_size * (m[i] / (sqrtf(v[i]) + epsilon));
}

// The first half of Prodigy (arXiv 2306.06101), one block a chunk; the sums of chunks are added up by squared_norm_totals. `rest` are
// 1 - beta, `sum_scale` is distance^2 / its first value, all rounded once.
#include "prelude.cuh"
#include "chunks.cuh"
#include "clip.cuh"

extern "C" __global__ void prodigy_moments(
    const i64* addresses, const i64* sizes, const Chunk* chunks, int tensors, const float* squared_norms, int norms, float max_norm,
    float beta1, float beta2, float beta3, float rest1, float rest2, float distance, float sum_scale, double* alignments,
    double* magnitudes) {
  __shared__ double shared[32];
  const float clip = clip_factor(squared_norms, norms, max_norm, shared);
  const Chunk chunk = chunks[blockIdx.x];
  const float* p = reinterpret_cast<const float*>(addresses[chunk.tensor]);
  const float* g = reinterpret_cast<const float*>(addresses[tensors + chunk.tensor]);
  const float* start = reinterpret_cast<const float*>(addresses[2 * tensors + chunk.tensor]);
  float* m = reinterpret_cast<float*>(addresses[3 * tensors + chunk.tensor]);
  float* v = reinterpret_cast<float*>(addresses[4 * tensors + chunk.tensor]);
  float* s = reinterpret_cast<float*>(addresses[5 * tensors + chunk.tensor]);
  const i64 first = (i64)chunk.index * CHUNK;
  const i64 end = min(first + CHUNK, sizes[chunk.tensor]);
  double alignment = 0;
  double magnitude = 0;
  for (i64 i = first + threadIdx.x; i < end; i += THREADS) {
    const float gradient = g[i] * clip;
    const float scaled = distance * gradient;
    const float sum = beta3 * s[i] + sum_scale * gradient;
    alignment += (double)gradient * ((double)start[i] - (double)p[i]);
    magnitude += (double)fabsf(sum);
    m[i] = beta1 * m[i] + rest1 * scaled;
    v[i] = beta2 * v[i] + rest2 * scaled * scaled;
    s[i] = sum;
  }
  alignment = block_sum(alignment, shared);
  magnitude = block_sum(magnitude, shared);
  if (threadIdx.x == 0) {
    alignments[blockIdx.x] = alignment;
    magnitudes[blockIdx.x] = magnitude;
  }
}

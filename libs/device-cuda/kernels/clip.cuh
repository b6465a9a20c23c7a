// The factor that brings a list of gradients down to a global norm, the same in every thread; `shared` holds 32 elements.
__device__ __forceinline__ float clip_factor(const float* squared_norms, int norms, float max_norm, double* shared) {
  double total = 0;
  for (int i = threadIdx.x; i < norms; i += THREADS) total += (double)squared_norms[i];
  const float norm = (float)sqrt(block_sum(total, shared));
  // Comparisons, not min: a NaN norm must reach the parameters, where the caller sees it.
  return norm + 1e-6f <= max_norm ? 1.0f : max_norm / (norm + 1e-6f);
}

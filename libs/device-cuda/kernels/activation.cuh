// Activations x s(x): s is the logistic function of x (silu), of 1.702 x (quick_gelu, and gpt-oss's clamped SwiGLU) or of
// 2 sqrt(2 / pi) (x + 0.044715 x³) (gelu_tanh), or the normal distribution function (gelu). sigmoid is the logistic function alone.
enum Kind { SILU, QUICK_GELU, GELU_TANH, GELU, CLAMPED_SWIGLU, SIGMOID };

#define TANH_FACTOR 1.5957691216057308f
#define TANH_CUBIC 0.044715f

__device__ __forceinline__ float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }
// Where gelu_tanh's s is 0 or 1 anyway, the cube does not overflow.
__device__ __forceinline__ float bounded(float x) { return fminf(fmaxf(x, -16.0f), 16.0f); }

template <Kind K> __device__ __forceinline__ float share(float x) {
  if constexpr (K == SILU || K == SIGMOID) return logistic(x);
  if constexpr (K == GELU) return normcdff(x);
  if constexpr (K == GELU_TANH) {
    const float y = bounded(x);
    return logistic(TANH_FACTOR * (y + TANH_CUBIC * y * y * y));
  }
  return logistic(1.702f * x);
}

template <Kind K> __device__ __forceinline__ float activate(float x) {
  if constexpr (K == SILU) return x / (1.0f + expf(-x));
  if constexpr (K == SIGMOID) return logistic(x);
  return x * share<K>(x);
}

// z times the derivative, for s = share(x).
template <Kind K> __device__ __forceinline__ float pull_back(float z, float x, float s) {
  if constexpr (K == SILU) return z * s * (1.0f + x * (1.0f - s));
  if constexpr (K == SIGMOID) return z * s * (1.0f - s);
  if constexpr (K == GELU) return z * (s + x * (expf(-0.5f * x * x) * 0.3989422804014327f));
  if constexpr (K == GELU_TANH) {
    const float y = bounded(x);
    return z * s * (1.0f + x * (1.0f - s) * (TANH_FACTOR * (1.0f + 3.0f * TANH_CUBIC * y * y)));
  }
  return z * s * (1.0f + x * (1.0f - s) * 1.702f);
}

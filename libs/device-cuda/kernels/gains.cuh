// What normalised values are multiplied with: offset + weight, or offset + 1 where there is no weight.
template <int W> struct Gains { float at[W]; };

template <typename T, int W> __device__ __forceinline__ Gains<W> load_gains(const T* weight, int i, float offset) {
  Gains<W> gains;
  if (!weight) {
#pragma unroll
    for (int j = 0; j < W; j += 1) gains.at[j] = offset + 1.0f;
    return gains;
  }
  const Vector<T, W> w = load_vector<T, W>(weight + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) gains.at[j] = offset == 0 ? to_float(w.at[j]) : offset + to_float(w.at[j]);
  return gains;
}

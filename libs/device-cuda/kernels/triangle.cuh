// out[i, j] = 0 above the diagonal, or the mirror image of what is below it.
template <typename T> __device__ void upper_triangle(T* out, i64 n, int mirror) {
  const i64 i = global_index();
  const i64 row = i / n, column = i % n;
  if (row < n && column > row) out[i] = mirror ? out[column * n + row] : (T)0;
}
extern "C" __global__ void upper_triangle_float32(float* out, i64 n, int mirror) { upper_triangle(out, n, mirror); }
extern "C" __global__ void upper_triangle_float64(double* out, i64 n, int mirror) { upper_triangle(out, n, mirror); }

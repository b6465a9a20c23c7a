// fill, cast, add, add_bias and scale: one pass over memory, W elements a thread.
#include "prelude.cuh"

template <typename T, int W> __device__ void fill(T* out, double value, i64 count) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  Vector<T, W> v;
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&v.at[j], (typename Arithmetic<T>::type)value);
  store_vector<T, W>(out + i, v);
}

template <typename S, typename T, int W> __device__ void cast(const S* x, T* out, i64 count) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<S, W> v = load_vector<S, W>(x + i);
  Vector<T, W> y;
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&y.at[j], to_arithmetic(v.at[j]));
  store_vector<T, W>(out + i, y);
}

// out += alpha x
template <typename T, int W> __device__ void add(const T* x, T* out, double alpha, i64 count) {
  typedef typename Arithmetic<T>::type A;
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<T, W> v = load_vector<T, W>(x + i);
  Vector<T, W> y = load_vector<T, W>(out + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&y.at[j], to_arithmetic(y.at[j]) + (A)alpha * to_arithmetic(v.at[j]));
  store_vector<T, W>(out + i, y);
}

// out[i, :] += bias; W divides columns.
template <typename T, int W> __device__ void add_bias(const T* bias, T* out, i64 count, int columns) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  const Vector<T, W> b = load_vector<T, W>(bias + i % columns);
  Vector<T, W> y = load_vector<T, W>(out + i);
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&y.at[j], to_arithmetic(y.at[j]) + to_arithmetic(b.at[j]));
  store_vector<T, W>(out + i, y);
}

// out[i, j] = x[i, j] scale[i or j]; W divides columns.
template <typename T, int W> __device__ void scale(const T* x, const T* factors, T* out, i64 count, int columns, int along_rows) {
  const i64 i = global_index() * W;
  if (i >= count) return;
  Vector<T, W> v = load_vector<T, W>(x + i);
  const i64 row = i / columns, column = i % columns;
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&v.at[j], to_arithmetic(v.at[j]) * to_arithmetic(factors[along_rows ? row : column + j]));
  store_vector<T, W>(out + i, v);
}

extern "C" __global__ void fill_int32(int* out, int value, i64 count) {
  if (global_index() < count) out[global_index()] = value;
}

template <typename Unit> __device__ void copy(const Unit* x, Unit* out, i64 count) {
  if (global_index() < count) out[global_index()] = x[global_index()];
}
extern "C" __global__ void copy_4(const u32* x, u32* out, i64 count) { copy(x, out, count); }
extern "C" __global__ void copy_2(const unsigned short* x, unsigned short* out, i64 count) { copy(x, out, count); }

// double out[i] += float x[i]: the sums of gram.
extern "C" __global__ void accumulate_float64(const float* x, double* out, i64 rows, i64 columns, i64 stride) {
  const i64 i = global_index();
  if (i < rows * columns) out[(i / columns) * stride + i % columns] += (double)x[i];
}

// out[i, j] = 0 above the diagonal, or the mirror image of what is below it.
template <typename T> __device__ void upper_triangle(T* out, i64 n, int mirror) {
  const i64 i = global_index();
  const i64 row = i / n, column = i % n;
  if (row < n && column > row) out[i] = mirror ? out[column * n + row] : (T)0;
}
extern "C" __global__ void upper_triangle_float32(float* out, i64 n, int mirror) { upper_triangle(out, n, mirror); }
extern "C" __global__ void upper_triangle_float64(double* out, i64 n, int mirror) { upper_triangle(out, n, mirror); }

#define EACH(NAME, T, W) \
  extern "C" __global__ void fill_##NAME(T* out, double value, i64 count) { fill<T, W>(out, value, count); } \
  extern "C" __global__ void add_##NAME(const T* x, T* out, double alpha, i64 count) { add<T, W>(x, out, alpha, count); } \
  extern "C" __global__ void add_bias_##NAME(const T* bias, T* out, i64 count, int columns) { add_bias<T, W>(bias, out, count, columns); } \
  extern "C" __global__ void scale_##NAME(const T* x, const T* f, T* out, i64 count, int columns, int along_rows) { \
    scale<T, W>(x, f, out, count, columns, along_rows); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)
EACH(float64_wide, double, 2)
EACH(float64, double, 1)

#define CAST(NAME, S, T, W) \
  extern "C" __global__ void cast_##NAME##_wide(const S* x, T* out, i64 count) { cast<S, T, W>(x, out, count); } \
  extern "C" __global__ void cast_##NAME(const S* x, T* out, i64 count) { cast<S, T, 1>(x, out, count); }
CAST(float32_bfloat16, float, bf16, 4)
CAST(float32_float64, float, double, 2)
CAST(bfloat16_float32, bf16, float, 4)
CAST(bfloat16_float64, bf16, double, 2)
CAST(float64_float32, double, float, 2)
CAST(float64_bfloat16, double, bf16, 2)
CAST(float16_float32, f16, float, 4)
CAST(float16_bfloat16, f16, bf16, 8)
CAST(float16_float64, f16, double, 2)

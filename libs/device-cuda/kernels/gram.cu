// What gram does beside the matrix products of cuBLAS.
#include "prelude.cuh"
#include "triangle.cuh"

// double out[i] += float x[i]: the sums of gram.
extern "C" __global__ void accumulate_float64(const float* x, double* out, i64 rows, i64 columns, i64 stride) {
  const i64 i = global_index();
  if (i < rows * columns) out[(i / columns) * stride + i % columns] += (double)x[i];
}

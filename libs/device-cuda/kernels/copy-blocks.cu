// Copies of blocks of matrices, one row of the grid each, with conversion and scale; scale 0 writes zeros.
#include "prelude.cuh"

#define COPIES 16
#define THREADS 256

// `from_float` and `to_float` are bits 0 and 1 of `kinds`; strides are in elements.
struct Copy { const void* x; void* out; int count, columns, x_stride, out_stride, kinds; float scale; };
struct Copies { Copy at[COPIES]; };

extern "C" __global__ void __launch_bounds__(THREADS) copy_blocks(Copies copies) {
  const Copy c = copies.at[blockIdx.y];
  for (int i = blockIdx.x * THREADS + threadIdx.x; i < c.count; i += gridDim.x * THREADS) {
    const int row = i / c.columns, column = i % c.columns;
    const i64 from = (i64)row * c.x_stride + column, to = (i64)row * c.out_stride + column;
    const float x = c.kinds & 1 ? static_cast<const float*>(c.x)[from] : to_float(static_cast<const bf16*>(c.x)[from]);
    const float y = c.scale == 0 ? 0.0f : c.scale * x;
    if (c.kinds & 2) static_cast<float*>(c.out)[to] = y;
    else store(static_cast<bf16*>(c.out) + to, y);
  }
}

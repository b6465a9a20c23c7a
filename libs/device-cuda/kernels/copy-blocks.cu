// Copies of blocks of matrices, one row of the grid each, with conversion and scale; scale 0 writes zeros.
#include "prelude.cuh"

#define COPIES 16
#define THREADS 256

// Bits 0 and 1 of `kinds`: x and out are float; bit 2: 8 neighbouring elements a thread, everything then being in multiples of 8.
// `count` and `columns` are in units of what a thread copies, strides in elements.
struct Copy { const void* x; void* out; int count, columns, x_stride, out_stride, kinds; float scale; };
struct Copies { Copy at[COPIES]; };

template <typename S, typename T, int W> __device__ __forceinline__ void copy_unit(const Copy& c, int i) {
  const int row = i / c.columns, column = i % c.columns * W;
  Vector<S, W> x = {};
  if (c.scale != 0) x = load_vector<S, W>(static_cast<const S*>(c.x) + (i64)row * c.x_stride + column);
  Vector<T, W> y;
#pragma unroll
  for (int j = 0; j < W; j += 1) store(&y.at[j], c.scale == 0 ? 0.0f : c.scale * to_float(x.at[j]));
  store_vector<T, W>(static_cast<T*>(c.out) + (i64)row * c.out_stride + column, y);
}

template <typename S, typename T> __device__ __forceinline__ void copy_all(const Copy& c) {
  for (int i = blockIdx.x * THREADS + threadIdx.x; i < c.count; i += gridDim.x * THREADS) {
    if (c.kinds & 4) copy_unit<S, T, 8>(c, i);
    else copy_unit<S, T, 1>(c, i);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS) copy_blocks(const __grid_constant__ Copies copies) {
  const Copy c = copies.at[blockIdx.y];
  switch (c.kinds & 3) {
    case 0: copy_all<bf16, bf16>(c); break;
    case 1: copy_all<float, bf16>(c); break;
    case 2: copy_all<bf16, float>(c); break;
    default: copy_all<float, float>(c);
  }
}

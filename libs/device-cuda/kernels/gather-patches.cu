// gather_patches: size x size pixels of an image (height, width, channels), each repeated `upsample` times in both directions, around
// the output pixel first + blockIdx.x, as one row (channels, size, size); zeros outside of the image. The taps of a pixel lie in shared
// memory as they are in the image, from where the row is written in order: `tap_stride` elements apart, 4 bytes more than the channels are.
#include "prelude.cuh"

template <typename T, int W>
__device__ void gather_patches(
    const T* x, T* out, int height, int width, int channels, int size, int stride, int before, int upsample, int out_width, i64 first,
    int tap_stride) {
  extern __shared__ __align__(16) unsigned char memory[];
  T* taps = reinterpret_cast<T*>(memory);
  const i64 pixel = first + blockIdx.x;
  const int top = (int)(pixel / out_width) * stride - before, left = (int)(pixel % out_width) * stride - before;
  const int count = size * size, units = channels / W;
  for (int i = threadIdx.x; i < count * units; i += blockDim.x) {
    const int tap = i / units, channel = (i - tap * units) * W;
    const int row = top + tap / size, column = left + tap % size;
    Vector<T, W> v = {};
    if (row >= 0 && column >= 0 && row < height * upsample && column < width * upsample)
      v = load_vector<T, W>(x + ((i64)(row / upsample) * width + column / upsample) * channels + channel);
#pragma unroll
    for (int j = 0; j < W; j += 1) taps[tap * tap_stride + channel + j] = v.at[j];
  }
  __syncthreads();
  T* target = out + (i64)blockIdx.x * channels * count;
  for (int i = threadIdx.x * W; i < channels * count; i += blockDim.x * W) {
    int channel = i / count, tap = i - channel * count;
    Vector<T, W> v;
#pragma unroll
    for (int j = 0; j < W; j += 1) {
      v.at[j] = taps[tap * tap_stride + channel];
      tap += 1;
      if (tap == count) {
        tap = 0;
        channel += 1;
      }
    }
    store_vector<T, W>(target + i, v);
  }
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void gather_patches_##NAME( \
      const T* x, T* out, int height, int width, int channels, int size, int stride, int before, int upsample, int out_width, \
      i64 first, int tap_stride) { \
    gather_patches<T, W>(x, out, height, width, channels, size, stride, before, upsample, out_width, first, tap_stride); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)

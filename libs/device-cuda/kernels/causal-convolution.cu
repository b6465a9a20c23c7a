// out[t] = silu(Σ_j w[:, j] x[t - (TAPS - 1) + j]) of every channel within each sequence, and its backward: x, out (N, channels), weight
// (channels, TAPS); rows before a sequence's first are those of initial_rows (sequences, TAPS - 1, channels), zeros where it is null.
// A thread does STRIP rows of W channels and keeps the rows that a tap still needs. grid (strips, channels / W / block).
#include "prelude.cuh"
#include "sequence-of.cuh"
#include "activation.cuh"

#ifndef TAPS
#define TAPS 4
#endif
#define STRIP 16

// A row's sequence, while rows are taken in their order; beyond the last row there is none.
struct Position {
  const int* offsets;
  int sequence, start, end;
  __device__ __forceinline__ Position(const int* offsets, int sequences, int row) : offsets(offsets) {
    sequence = sequence_of(offsets, sequences, row);
    start = offsets[sequence];
    end = offsets[sequence + 1];
  }
  // Whether `row`, one more than the row before, is the first of its sequence.
  __device__ __forceinline__ bool enters(int row) {
    if (row < end) return false;
    start = end;
    while (end == start) {
      sequence += 1;
      end = offsets[sequence + 1];
    }
    return true;
  }
};

template <int W> struct Channels { float at[W]; };

template <typename T, int W> __device__ __forceinline__ Channels<W> load_channels(const T* p) {
  const Vector<T, W> v = load_vector<T, W>(p);
  Channels<W> x;
#pragma unroll
  for (int i = 0; i < W; i += 1) x.at[i] = to_float(v.at[i]);
  return x;
}

// Taps of W channels: tap j of each in at[j].
template <typename T, int W> struct Weights {
  Channels<W> at[TAPS];
  __device__ __forceinline__ explicit Weights(const T* weight) {
    Vector<T, W> list[TAPS];  // channel by channel
#pragma unroll
    for (int i = 0; i < TAPS; i += 1) list[i] = load_vector<T, W>(weight + i * W);
#pragma unroll
    for (int i = 0; i < W * TAPS; i += 1) at[i % TAPS].at[i / TAPS] = to_float(list[i / W].at[i % W]);
  }
};

// The rows that meet the taps of the present one, which is the last.
template <typename T, int W> struct Window {
  Channels<W> at[TAPS];
  __device__ __forceinline__ void push(const Channels<W>& x) {
#pragma unroll
    for (int j = 0; j + 1 < TAPS; j += 1) at[j] = at[j + 1];
    at[TAPS - 1] = x;
  }
  // The TAPS - 1 rows before `row` of a sequence that starts at `start`, pushed: x and initial are those of the channels.
  __device__ __forceinline__ void fill(const T* x, const T* initial, int row, int start, int channels) {
#pragma unroll
    for (int j = 1; j < TAPS; j += 1) {
      const int from = row - TAPS + j;
      Channels<W> value = {};
      if (from >= start) value = load_channels<T, W>(x + (i64)from * channels);
      else if (initial) value = load_channels<T, W>(initial + (i64)(from - start + TAPS - 1) * channels);
      push(value);
    }
  }
  __device__ __forceinline__ float sum(const Weights<T, W>& weights, int channel) const {
    float sum = 0;
#pragma unroll
    for (int j = 0; j < TAPS; j += 1) sum += weights.at[j].at[channel] * at[j].at[channel];
    return sum;
  }
};

template <typename T, int W>
__device__ void causal_convolution(
    const T* x, const T* weight, const int* offsets, const T* initial_rows, T* out, int n, int sequences, int channels) {
  const int column = (blockIdx.y * blockDim.x + threadIdx.x) * W, first = blockIdx.x * STRIP;
  if (column >= channels) return;
  const Weights<T, W> weights(weight + (i64)column * TAPS);
  Position place(offsets, sequences, first);
  const auto initial = [&] { return initial_rows ? initial_rows + (i64)place.sequence * (TAPS - 1) * channels + column : nullptr; };
  Window<T, W> window;
  window.fill(x + column, initial(), first, place.start, channels);
  for (int row = first; row < min(first + STRIP, n); row += 1) {
    if (place.enters(row)) window.fill(x + column, initial(), row, row, channels);
    window.push(load_channels<T, W>(x + (i64)row * channels + column));
    Vector<T, W> y;
#pragma unroll
    for (int i = 0; i < W; i += 1) store(&y.at[i], activate<SILU>(window.sum(weights, i)));
    store_vector<T, W>(out + (i64)row * channels + column, y);
  }
}

// dx[t] = Σ_j w[:, TAPS - 1 - j] dz[t + j] within t's sequence, dz = dOut silu'(what silu was taken of).
template <typename T, int W>
__device__ void causal_convolution_backward(
    const T* d_out, const T* x, const T* weight, const int* offsets, T* d_x, int n, int sequences, int channels, int accumulate) {
  const int column = (blockIdx.y * blockDim.x + threadIdx.x) * W, first = blockIdx.x * STRIP;
  if (column >= channels) return;
  const Weights<T, W> weights(weight + (i64)column * TAPS);
  Position place(offsets, sequences, first), target = place;
  Window<T, W> window, slopes = {};
  window.fill(x + column, nullptr, first, place.start, channels);
  for (int row = first; row < min(first + STRIP, n) + TAPS - 1; row += 1) {
    Channels<W> slope = {};
    if (row < n) {
      if (place.enters(row)) window.fill(x + column, nullptr, row, row, channels);
      window.push(load_channels<T, W>(x + (i64)row * channels + column));
      const Channels<W> gradient = load_channels<T, W>(d_out + (i64)row * channels + column);
#pragma unroll
      for (int i = 0; i < W; i += 1) {
        const float sum = window.sum(weights, i);
        slope.at[i] = pull_back<SILU>(gradient.at[i], sum, share<SILU>(sum));
      }
    }
    slopes.push(slope);
    const int to = row - TAPS + 1;
    if (to < first) continue;
    target.enters(to);
    T* place_of = d_x + (i64)to * channels + column;
    Vector<T, W> y;
    if (accumulate) y = load_vector<T, W>(place_of);
#pragma unroll
    for (int i = 0; i < W; i += 1) {
      float sum = 0;
#pragma unroll
      for (int j = 0; j < TAPS; j += 1) sum += to + j < target.end ? weights.at[TAPS - 1 - j].at[i] * slopes.at[j].at[i] : 0.0f;
      store(&y.at[i], accumulate ? to_float(y.at[i]) + sum : sum);
    }
    store_vector<T, W>(place_of, y);
  }
}

// The last TAPS - 1 rows of each sequence, of initial_rows where it is shorter; final_rows may be initial_rows. grid (channels, sequences).
template <typename T>
__device__ void causal_convolution_rows(const T* x, const int* offsets, const T* initial_rows, T* final_rows, int channels) {
  const i64 column = global_index();
  if (column >= channels) return;
  const int end = offsets[blockIdx.y + 1], length = end - offsets[blockIdx.y];
  const i64 base = (i64)blockIdx.y * (TAPS - 1) * channels + column;
  for (int i = 0; i < TAPS - 1; i += 1) {
    T value = {};
    if (length + i >= TAPS - 1) value = x[(i64)(end - (TAPS - 1) + i) * channels + column];
    else if (initial_rows) value = initial_rows[base + (i64)(length + i) * channels];
    final_rows[base + (i64)i * channels] = value;
  }
}

#define EACH(NAME, T, W) \
  extern "C" __global__ void causal_convolution_##NAME( \
      const T* x, const T* weight, const int* offsets, const T* initial_rows, T* out, int n, int sequences, int channels) { \
    causal_convolution<T, W>(x, weight, offsets, initial_rows, out, n, sequences, channels); \
  } \
  extern "C" __global__ void causal_convolution_backward_##NAME( \
      const T* d_out, const T* x, const T* weight, const int* offsets, T* d_x, int n, int sequences, int channels, int accumulate) { \
    causal_convolution_backward<T, W>(d_out, x, weight, offsets, d_x, n, sequences, channels, accumulate); \
  }
#define EACH_ROWS(NAME, T) \
  extern "C" __global__ void causal_convolution_rows_##NAME( \
      const T* x, const int* offsets, const T* initial_rows, T* final_rows, int channels) { \
    causal_convolution_rows<T>(x, offsets, initial_rows, final_rows, channels); \
  }
EACH(float32_wide, float, 4)
EACH(float32, float, 1)
EACH(bfloat16_wide, bf16, 8)
EACH(bfloat16, bf16, 1)
EACH_ROWS(float32, float)
EACH_ROWS(bfloat16, bf16)

// One query a sequence against the rows that a cache has of it. A block does the heads of one key head, up to GROUP of them, and
// CHUNK keys, counted from the first that is attended to: so the parts of a sequence, and the order of its sums, are the same
// whatever else is in the batch. LANES threads do a key or a value, EIGHTS times eight elements each. Where sequences have more than one part,
// a second kernel puts them together.
#include "prelude.cuh"

#ifndef LANES
#define LANES 16  // a power of two, up to 32: at least the head's elements over those of a thread
#endif
#ifndef EIGHTS
#define EIGHTS 1
#endif
#ifndef GROUP
#define GROUP 8
#endif
#ifndef ALIGNED
#define ALIGNED 1  // whether heads are of a multiple of eight elements
#endif
#ifndef SOFT_CAP
#define SOFT_CAP 0
#endif

#define CHUNK 256
#define THREADS 128
#define WARPS (THREADS / 32)
#define ELEMENTS (8 * EIGHTS)
#define SLOTS (THREADS / LANES)
#define MINUS_INFINITY __int_as_float(0xff800000)

template <typename T> __device__ __forceinline__ void load_eight(float* to, const T* from, int valid) {
#if ALIGNED
  constexpr int width = Wide<T>::width;
#pragma unroll
  for (int i = 0; i < 8; i += width) {
    Vector<T, width> vector = {};
    if (valid > 0) vector = load_vector<T, width>(from + i);
#pragma unroll
    for (int k = 0; k < width; k += 1) to[i + k] = to_float(vector.at[k]);
  }
#else
#pragma unroll
  for (int i = 0; i < 8; i += 1) to[i] = i < valid ? to_float(from[i]) : 0.0f;
#endif
}

// This thread's elements, of which `valid` are the head's own.
template <typename T> __device__ __forceinline__ void load_elements(float* to, const T* from, int valid) {
#pragma unroll
  for (int i = 0; i < ELEMENTS; i += 8) load_eight(to + i, from + i, valid - i);
}

__device__ __forceinline__ float score_of(float product, float scale, float soft_cap) {
  return SOFT_CAP ? soft_cap * tanhf(product * scale / soft_cap) : product * scale;
}

__device__ __forceinline__ float warp_max(float x) {
  for (int offset = 16; offset > 0; offset >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
  return x;
}

struct Range { int first, count; };

__device__ __forceinline__ Range attended(int length, int window) {
  const int first = window > 0 ? max(length - window, 0) : 0;
  return {first, length - first};
}

// Softmax over the parts of a head: parts hold their maximum, Σ e^(score - maximum), and sums of values. The same roundings whether
// there is one part or many.
struct Total {
  float highest, sum = 0;
  __device__ __forceinline__ Total(float highest) : highest(highest) {}
  __device__ __forceinline__ float share(float maximum) const { return expf(maximum - highest); }
  __device__ __forceinline__ void add(float maximum, float part) { sum = __fadd_rn(sum, __fmul_rn(part, share(maximum))); }
};

// parts: (sequences, heads, chunks, 2 + head_dim), or null where sequences have one part.
template <typename T>
__device__ void decode(
    const T* q, const T* keys, const T* values, const int* starts, const int* lengths, T* out, float* parts, int heads, int kv_heads,
    int head_dim, float scale, int window, float soft_cap, const T* sinks) {
  __shared__ float scores[GROUP][CHUNK];
  __shared__ float sums[WARPS][GROUP][LANES * ELEMENTS];
  __shared__ float maxima[GROUP], totals[GROUP];
  const int sequence = blockIdx.z, chunk = blockIdx.x;
  const Range range = attended(lengths[sequence], window);
  const int count = min(range.count - chunk * CHUNK, CHUNK);
  if (count <= 0) return;
  const int group = heads / kv_heads, blocks = (group + GROUP - 1) / GROUP;
  const int kv_head = blockIdx.y / blocks, within = blockIdx.y % blocks * GROUP;
  const int head = kv_head * group + within, used = min(group - within, GROUP);
  const int lane = threadIdx.x % LANES, slot = threadIdx.x / LANES, warp = threadIdx.x >> 5;
  const int column = lane * ELEMENTS, valid = head_dim - column;
  const i64 row = (i64)starts[sequence] + range.first + chunk * CHUNK, stride = (i64)kv_heads * head_dim;
  const i64 origin = row * stride + (i64)kv_head * head_dim + column;

  float query[GROUP][ELEMENTS];
#pragma unroll
  for (int g = 0; g < GROUP; g += 1)
    load_elements(query[g], q + ((i64)sequence * heads + head + g) * head_dim + column, g < used ? valid : 0);
#pragma unroll 4
  for (int base = 0; base < count; base += SLOTS) {
    const int j = base + slot;
    float key[ELEMENTS];
    load_elements(key, keys + origin + j * stride, j < count ? valid : 0);
#pragma unroll
    for (int g = 0; g < GROUP; g += 1) {
      float product = 0;
#pragma unroll
      for (int i = 0; i < ELEMENTS; i += 1) product += query[g][i] * key[i];
#pragma unroll
      for (int offset = LANES / 2; offset > 0; offset >>= 1) product += __shfl_xor_sync(0xffffffffu, product, offset);
      if (lane == 0 && j < count) scores[g][j] = score_of(product, scale, soft_cap);
    }
  }
  __syncthreads();

  for (int g = warp; g < used; g += WARPS) {
    float maximum = MINUS_INFINITY, total = 0;
    for (int j = threadIdx.x & 31; j < count; j += 32) maximum = fmaxf(maximum, scores[g][j]);
    maximum = warp_max(maximum);
    for (int j = threadIdx.x & 31; j < count; j += 32) total += scores[g][j] = expf(scores[g][j] - maximum);
    total = warp_sum(total);
    maxima[g] = maximum;
    totals[g] = total;
  }
  __syncthreads();

  float sum[GROUP][ELEMENTS] = {};
#pragma unroll 4
  for (int base = 0; base < count; base += SLOTS) {
    const int j = base + slot;
    if (j >= count) break;
    float value[ELEMENTS];
    load_elements(value, values + origin + j * stride, valid);
#pragma unroll
    for (int g = 0; g < GROUP; g += 1) {
      const float p = scores[g][j];
#pragma unroll
      for (int i = 0; i < ELEMENTS; i += 1) sum[g][i] += p * value[i];
    }
  }
  __syncwarp();
#pragma unroll
  for (int g = 0; g < GROUP; g += 1) {
#pragma unroll
    for (int i = 0; i < ELEMENTS; i += 1) {
      float x = sum[g][i];
#pragma unroll
      for (int offset = LANES; offset < 32; offset <<= 1) x += __shfl_xor_sync(0xffffffffu, x, offset);
      if ((threadIdx.x & 31) < LANES) sums[warp][g][column + i] = x;
    }
  }
  __syncthreads();

  for (int i = threadIdx.x; i < used * head_dim; i += THREADS) {
    const int g = i / head_dim, at = i % head_dim;
    float x = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w += 1) x += sums[w][g][at];
    const i64 statistic = (i64)sequence * heads + head + g;
    if (parts) {
      float* part = parts + (statistic * gridDim.x + chunk) * (head_dim + 2);
      part[2 + at] = x;
      if (at == 0) {
        part[0] = maxima[g];
        part[1] = totals[g];
      }
    } else {
      const float sink = sinks ? to_float(sinks[head + g]) : MINUS_INFINITY;
      Total total(fmaxf(maxima[g], sink));
      total.add(maxima[g], totals[g]);
      if (sinks) total.add(sink, 1);
      store(out + statistic * head_dim + at, __fmul_rn(x, total.share(maxima[g])) / total.sum);
    }
  }
}

// A block a head of a sequence.
template <typename T>
__device__ void decode_parts(const float* parts, const int* lengths, T* out, int heads, int head_dim, int window, int chunks, const T* sinks) {
  const int head = blockIdx.x, sequence = blockIdx.y;
  const int used = (attended(lengths[sequence], window).count + CHUNK - 1) / CHUNK;
  const i64 statistic = (i64)sequence * heads + head;
  const int stride = head_dim + 2;
  const float* part = parts + statistic * chunks * stride;
  const float sink = sinks ? to_float(sinks[head]) : MINUS_INFINITY;
  float highest = sink;
  for (int c = 0; c < used; c += 1) highest = fmaxf(highest, part[c * stride]);
  Total total(highest);
  for (int c = 0; c < used; c += 1) total.add(part[c * stride], part[c * stride + 1]);
  if (sinks) total.add(sink, 1);
  for (int at = threadIdx.x; at < head_dim; at += blockDim.x) {
    float x = 0;
    for (int c = 0; c < used; c += 1) x = __fadd_rn(x, __fmul_rn(part[c * stride + 2 + at], total.share(part[c * stride])));
    store(out + statistic * head_dim + at, x / total.sum);
  }
}

#define EACH(NAME, T) \
  extern "C" __global__ void decode_attention_##NAME( \
      const T* q, const T* keys, const T* values, const int* starts, const int* lengths, T* out, float* parts, int heads, int kv_heads, \
      int head_dim, float scale, int window, float soft_cap, const T* sinks) { \
    decode<T>(q, keys, values, starts, lengths, out, parts, heads, kv_heads, head_dim, scale, window, soft_cap, sinks); \
  } \
  extern "C" __global__ void decode_parts_##NAME( \
      const float* parts, const int* lengths, T* out, int heads, int head_dim, int window, int chunks, const T* sinks) { \
    decode_parts<T>(parts, lengths, out, heads, head_dim, window, chunks, sinks); \
  }
EACH(float32, float)
EACH(bfloat16, bf16)

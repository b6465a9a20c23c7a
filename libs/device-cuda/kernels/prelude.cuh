// Shared by every kernel file, which is compiled with this text in front of it and no headers: NVRTC finds none
// on a machine without a toolkit. Storage types are float, double, int, bf16 and f16; arithmetic is in float (double for double).

typedef long long i64;
typedef unsigned int u32;

struct alignas(2) bf16 { unsigned short bits; };
struct alignas(2) f16 { unsigned short bits; };

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(double x) { return (float)x; }
__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float((u32)x.bits << 16); }
__device__ __forceinline__ float to_float(f16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

// The type that arithmetic on a storage type is done in.
template <typename T> struct Arithmetic { typedef float type; };
template <> struct Arithmetic<double> { typedef double type; };

__device__ __forceinline__ double to_arithmetic(double x) { return x; }
template <typename T> __device__ __forceinline__ float to_arithmetic(T x) { return to_float(x); }

// Conversion to a storage type, to nearest even.
__device__ __forceinline__ void store(float* p, float x) { *p = x; }
__device__ __forceinline__ void store(float* p, double x) { *p = (float)x; }
__device__ __forceinline__ void store(double* p, float x) { *p = (double)x; }
__device__ __forceinline__ void store(double* p, double x) { *p = x; }
__device__ __forceinline__ void store(bf16* p, float x) {
  unsigned short y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y) : "f"(x));
  p->bits = y;
}
// Through float with rounding to odd, so that two roundings give what one would.
__device__ __forceinline__ void store(bf16* p, double x) {
  float y = __double2float_rz(x);
  if ((double)y != x && y == y && fabs(x) < 3.0e38) y = __uint_as_float(__float_as_uint(y) | 1u);
  store(p, y);
}

// Two floats as packed bf16: `low` in the lower half.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
  u32 y;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
  return y;
}

// W consecutive elements, moved as one access when they take 16 bytes; W is 1 where nothing is aligned.
template <typename T, int W> struct alignas(sizeof(T) * W) Vector { T at[W]; };

template <typename T> struct Wide { static constexpr int width = 16 / sizeof(T); };

template <typename T, int W> __device__ __forceinline__ Vector<T, W> load_vector(const T* p) {
  return *reinterpret_cast<const Vector<T, W>*>(p);
}
template <typename T, int W> __device__ __forceinline__ void store_vector(T* p, const Vector<T, W>& v) {
  *reinterpret_cast<Vector<T, W>*>(p) = v;
}

__device__ __forceinline__ float warp_sum(float x) {
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}
__device__ __forceinline__ double warp_sum(double x) {
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

// Sum over the block in a fixed order, the same value in every thread. `shared` holds 32 elements.
template <typename A> __device__ __forceinline__ A block_sum(A x, A* shared) {
  x = warp_sum(x);
  __syncthreads();
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = x;
  __syncthreads();
  const int warps = (blockDim.x + 31) >> 5;
  A total = 0;
  for (int i = 0; i < warps; i += 1) total += shared[i];
  return total;
}

// Position of this thread in a one-dimensional grid.
__device__ __forceinline__ i64 global_index() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }

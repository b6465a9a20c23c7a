// What the kernels of the gated delta rule on tensor cores share. With S (dk, dv) the state at the start of a chunk of up to 64 rows
// of one sequence, G the running sum of the decays in it, E = diag(e^G), B = diag(strength), D_ij = e^(G_i - G_j) for j <= i:
//   L = B stril(D * K Kt)    U = (I + L)^-1 B (V - E K S)    P = D * Q Kt    O = E Q S + P U    S' = e^(G_C) S + (T K)t U,
// T = diag(e^(G_C - G)). q, k (N, key_heads key_dim), v, out (N, value_heads value_dim); value head h reads key head h / group.
// Both extents are multiples of 8 up to D, and what is missing counts as zeros, as do rows that a chunk lacks.
#define CHUNK_ROWS 64

// The value heads of a pass: `held` of them from `first`; scratch memory has a place for each of them and of all chunks.
struct Rule { int key_heads, value_heads, key_dim, value_dim, first, held; };

// What delta_rule_prepare leaves behind: for every chunk and held head the inverse of I + L and P, rows of 64 of which the blocks of
// 16x16 above the diagonal are left out, and G.
struct Prepared { bf16 *inverses, *scores; float* sums; };

// A sequence: its rows, and its chunks among those of all sequences.
struct Span { int start, length, chunk, chunks; };

__device__ __forceinline__ int chunks_of(int length) { return (length + CHUNK_ROWS - 1) / CHUNK_ROWS; }

__device__ __forceinline__ Span span_of(const int* offsets, int sequence) {
  int chunk = 0;
  for (int i = 0; i < sequence; i += 1) chunk += chunks_of(offsets[i + 1] - offsets[i]);
  const int start = offsets[sequence], length = offsets[sequence + 1] - start;
  return {start, length, chunk, chunks_of(length)};
}

__device__ __forceinline__ float exp_fast(float x) { return exp2_fast(x * LOG2E); }

__device__ __forceinline__ float low_half(u32 pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_half(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }

// The factors of a chunk's rows, in shared memory, CHUNK_ROWS of each.
struct Factors {
  float *growth, *rest, *strength, *erased;  // e^(G_i), e^(G_C - G_i), strength of row i, and -strength e^(G_i)
  __device__ __forceinline__ explicit Factors(float* memory)
      : growth(memory), rest(memory + CHUNK_ROWS), strength(memory + 2 * CHUNK_ROWS), erased(memory + 3 * CHUNK_ROWS) {}
  static constexpr int elements = 4 * CHUNK_ROWS;

  // By the block's first 64 threads; `strengths` are those of the chunk's first row.
  __device__ __forceinline__ void load(const float* sums, const float* strengths, int stride, int rows) const {
    const int i = threadIdx.x;
    if (i >= CHUNK_ROWS) return;
    growth[i] = exp_fast(sums[i]);
    rest[i] = exp_fast(sums[CHUNK_ROWS - 1] - sums[i]);
    strength[i] = i < rows ? strengths[(i64)i * stride] : 0.0f;
    erased[i] = -strength[i] * growth[i];
  }
};

// A warp's 16 columns of a state (key_dim, value_dim), transposed: sums[j] are rows 8 j to 8 j + 7 of it, see tile.cuh.
template <int D> __device__ __forceinline__ void read_state(float (*state)[4], const float* from, const Rule& rule, int column) {
  const int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
#pragma unroll
  for (int j = 0; j < D / 8; j += 1) {
#pragma unroll
    for (int i = 0; i < 4; i += 1) {
      const int d = j * 8 + t * 2 + (i & 1), e = column + g + (i >> 1) * 8;
      state[j][i] = from && d < rule.key_dim && e < rule.value_dim ? from[d * rule.value_dim + e] : 0.0f;
    }
  }
}
template <int D> __device__ __forceinline__ void write_state(float* to, const float (*state)[4], const Rule& rule, int column) {
  const int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
#pragma unroll
  for (int j = 0; j < D / 8; j += 1) {
#pragma unroll
    for (int i = 0; i < 4; i += 1) {
      const int d = j * 8 + t * 2 + (i & 1), e = column + g + (i >> 1) * 8;
      if (d < rule.key_dim && e < rule.value_dim) to[d * rule.value_dim + e] = state[j][i];
    }
  }
}

// Writes 8 TILES rows of 16 columns from their transpose; of the columns, a multiple of 8, those below `columns`.
template <int TILES>
__device__ __forceinline__ void write_transposed(bf16* target, i64 row_stride, const float (*sums)[4], int rows, int columns) {
  const int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
#pragma unroll
  for (int n = 0; n < TILES; n += 1) {
    const u32 low = transpose(pack_bf16(sums[n][0], sums[n][1])), high = transpose(pack_bf16(sums[n][2], sums[n][3]));
    bf16* at = target + (n * 8 + g) * row_stride + t * 2;
    if (n * 8 + g >= rows) continue;
    if (columns > 0) *reinterpret_cast<u32*>(at) = low;
    if (columns > 8) *reinterpret_cast<u32*>(at + 8) = high;
  }
}

// A left operand of a transposed matrix, each column times its row's factor; `row` is the first column's.
__device__ __forceinline__ Fragment scaled_left(const Fragment& left, const float* factors, int row) {
  Fragment scaled;
#pragma unroll
  for (int i = 0; i < 4; i += 1) {
    const float2 f = *reinterpret_cast<const float2*>(factors + row + (i >> 1) * 8 + (threadIdx.x & 3) * 2);
    scaled.at[i] = pack_bf16(low_half(left.at[i]) * f.x, high_half(left.at[i]) * f.y);
  }
  return scaled;
}
// Transposed results, each column times its row's factor.
__device__ __forceinline__ void scale_columns(float (*sums)[4], const float* factors) {
  const int t = threadIdx.x & 3;
#pragma unroll
  for (int n = 0; n < CHUNK_ROWS / 8; n += 1) {
    const float2 f = *reinterpret_cast<const float2*>(factors + n * 8 + t * 2);
    sums[n][0] *= f.x;
    sums[n][1] *= f.y;
    sums[n][2] *= f.x;
    sums[n][3] *= f.y;
  }
}

// Both 8-column results from `sums` on.
__device__ __forceinline__ void multiply_pair(float (*sums)[4], const Fragment& left, const Fragment& right) {
  multiply(sums[0], left, right.at[0], right.at[1]);
  multiply(sums[1], left, right.at[2], right.at[3]);
}

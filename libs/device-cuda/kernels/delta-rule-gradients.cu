// The parallel part of the gated delta rule's backward on tensor cores: from the state S before a chunk, the gradient dS' of the state
// behind it and Y of delta-rule-backward.cu,
//   U = (I + L)^-1 B R, R = V - E K S    X = stril(-Y Ut) * D    Z = tril(dO Ut) * D    dV = B Y
//   dQ = E dO St + Z K    erase = B X K - E dV St    write = Zt Q + (B X)t K + T U dS't    dK = erase + write
//   d_strength_i = Y_i·R_i + Σ_j X_ij (K Kt)_ij    d_decay_t = Σ_{i >= t} q_i·dQ_i + k_i·erase_i - k_i·write_i, and <S', dS'> at the end.
// A block does one chunk of one key head and sums over its value heads, in order; grid (chunks of the longest sequence, key heads,
// sequences). Of its eight warps, each does 16 rows and one side of the columns. Names as in delta-rule.cuh.
#include "prelude.cuh"
#include "tile.cuh"
#include "delta-rule.cuh"

#define GRADIENT_THREADS 256

struct RuleOperands {
  const bf16 *q, *k, *v;
  const float* strength;
  const int* offsets;
  const float* states;
  const bf16 *d_out, *d_states;
};
struct RuleResults {
  bf16 *d_q, *d_k, *y;  // y becomes dV
  float *d_decay, *d_strength;
};

// Sums of a chunk over the block's warps, in shared memory.
struct Parts {
  float *rows, *strengths, *columns, *ends;
  __device__ __forceinline__ explicit Parts(float* memory)
      : rows(memory), strengths(memory + 2 * CHUNK_ROWS), columns(memory + 4 * CHUNK_ROWS), ends(memory + 8 * CHUNK_ROWS) {}
};

// Where this thread's elements lie: rows row and row + 8, and columns from `column` of each 8-column result.
struct Seat {
  int block, side, row, column;
  __device__ __forceinline__ Seat() {
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    block = warp & 3;
    side = warp >> 2;
    row = block * 16 + (lane >> 2);
    column = (lane & 3) * 2;
  }
};

// 64 rows of a float state, rounded; what is missing becomes zero.
template <int D> __device__ __forceinline__ void load_state(bf16* tile, const float* from, int row, const Rule& rule) {
#pragma unroll 4
  for (int i = threadIdx.x; i < CHUNK_ROWS * (D / 4); i += GRADIENT_THREADS) {
    const int d = i / (D / 4), column = i % (D / 4) * 4;
    float4 x = make_float4(0, 0, 0, 0);
    if (row + d < rule.key_dim && column < rule.value_dim) x = *reinterpret_cast<const float4*>(from + (row + d) * rule.value_dim + column);
    store_pair(tile + d * Tile<D>::stride + column, x.x, x.y);
    store_pair(tile + d * Tile<D>::stride + column + 2, x.z, x.w);
  }
}

// 64 rows of dS', and this thread's part of their product with those of S.
template <int D> __device__ __forceinline__ float load_gradient(bf16* tile, const bf16* from, const float* state, int row, const Rule& rule) {
  float sum = 0;
#pragma unroll 4
  for (int i = threadIdx.x; i < CHUNK_ROWS * (D / 4); i += GRADIENT_THREADS) {
    const int d = i / (D / 4), column = i % (D / 4) * 4, at = (row + d) * rule.value_dim + column;
    uint2 pairs = make_uint2(0, 0);
    if (row + d < rule.key_dim && column < rule.value_dim) {
      pairs = *reinterpret_cast<const uint2*>(from + at);
      const float4 x = *reinterpret_cast<const float4*>(state + at);
      sum += x.x * low_half(pairs.x) + x.y * high_half(pairs.x) + x.z * low_half(pairs.y) + x.w * high_half(pairs.y);
    }
    *reinterpret_cast<uint2*>(tile + d * Tile<D>::stride + column) = pairs;
  }
  return sum;
}

__device__ __forceinline__ u32 load_pair(const bf16* p) { return *reinterpret_cast<const u32*>(p); }

// Where q or k of a chunk lie, for pairs of neighbours; what is missing counts as zeros.
struct Pairs {
  const bf16* at;
  int stride, rows, columns;
  __device__ __forceinline__ u32 load(int row, int column) const {
    return row < rows && column < columns ? load_pair(at + row * stride + column) : 0;
  }
};

// Adds factors_i (left half_state^t)_i, which are 64 columns from `first_column` on of a gradient, to `sums`, and their products with
// the row of `others` to `dots`.
template <int D>
__device__ __forceinline__ void add_by_state(
    float (*sums)[4], float* dots, const bf16* left, const bf16* half_state, const float* factors, const Pairs& others,
    int first_column, const Seat& seat) {
  float products[4][4] = {};
#pragma unroll 2  // all unrolled needs more registers than there are
  for (int i = 0; i < D / 16; i += 1) {
    const Fragment rows = load_left<D>(left, seat.block * 16, i * 16);
#pragma unroll
    for (int n = 0; n < 2; n += 1) multiply_pair(products + 2 * n, rows, load_right_rows<D>(half_state, seat.side * 32 + n * 16, i * 16));
  }
#pragma unroll
  for (int n = 0; n < 4; n += 1) {
#pragma unroll
    for (int i = 0; i < 2; i += 1) {
      const int row = seat.row + i * 8;
      const u32 other = others.load(row, first_column + seat.side * 32 + n * 8 + seat.column);
      const float low = factors[row] * products[n][2 * i], high = factors[row] * products[n][2 * i + 1];
      sums[n][2 * i] += low;
      sums[n][2 * i + 1] += high;
      dots[i] += low_half(other) * low + high_half(other) * high;
    }
  }
}

// The gradients of a chunk's decays and strengths from the sums of its parts, by the first warp and the next two.
__device__ __forceinline__ void write_gates(float* d_decay, float* d_strength, const Parts& parts, int stride, int rows) {
  if (threadIdx.x >= 32) {
    const int row = threadIdx.x - 32;
    if (row < rows) d_strength[(i64)row * stride] = parts.strengths[row] + parts.strengths[CHUNK_ROWS + row];
    return;
  }
  const int row = threadIdx.x * 2;
  float own[2];
#pragma unroll
  for (int i = 0; i < 2; i += 1) {
    own[i] = parts.rows[row + i] + parts.rows[CHUNK_ROWS + row + i];
    for (int block = 0; block < 4; block += 1) own[i] -= parts.columns[block * CHUNK_ROWS + row + i];
  }
  if (threadIdx.x == 31) {
    for (int warp = 0; warp < GRADIENT_THREADS / 32; warp += 1) own[1] += parts.ends[warp];
  }
  float total = own[0] + own[1];
  for (int offset = 1; offset < 32; offset <<= 1) {
    const float behind = __shfl_down_sync(0xffffffffu, total, offset);
    if (threadIdx.x + offset < 32) total += behind;
  }
  if (row < rows) d_decay[(i64)row * stride] = total;
  if (row + 1 < rows) d_decay[(i64)(row + 1) * stride] = total - own[0];
}

template <int D>
__device__ void delta_rule_gradients(const RuleOperands& in, const Prepared& prepared, const RuleResults& results, const Rule& rule) {
  constexpr int HALVES = D / CHUNK_ROWS, TILES = D / 16;  // of a state's rows; of 8 columns, a side of D
  extern __shared__ __align__(128) unsigned char memory[];
  bf16* keys = reinterpret_cast<bf16*>(memory);
  bf16* values = keys + Tile<D>::elements;  // then B R, then U
  bf16* gradients = values + Tile<D>::elements;
  bf16* solved = gradients + Tile<D>::elements;
  bf16* half_state = solved + Tile<D>::elements;
  const Factors factors(reinterpret_cast<float*>(half_state + Tile<D>::elements));
  float* sums = factors.growth + Factors::elements;
  const Parts parts(sums + CHUNK_ROWS);
  const Span span = span_of(in.offsets, blockIdx.z);
  if (blockIdx.x >= span.chunks) return;
  const int first = blockIdx.x * CHUNK_ROWS, rows = min(span.length - first, CHUNK_ROWS), group = rule.value_heads / rule.key_heads;
  const int key_head = rule.first / group + blockIdx.y;
  const int k_stride = rule.key_heads * rule.key_dim, v_stride = rule.value_heads * rule.value_dim;
  const i64 k_at = (i64)(span.start + first) * k_stride + key_head * rule.key_dim;
  const int state_elements = rule.key_dim * rule.value_dim;
  const Seat seat;
  const int warp_row = seat.block * 16, side_column = seat.side * (D / 2);
  load_tile<D, CHUNK_ROWS, GRADIENT_THREADS>(keys, in.k + k_at, k_stride, rows, rule.key_dim);
  const Pairs query_pairs = {in.q + k_at, k_stride, rows, rule.key_dim};
  const Pairs key_pairs = {keys, Tile<D>::stride, CHUNK_ROWS, D};
  float pairs_z[4][4] = {}, pairs_x[4][4] = {}, d_query[HALVES][4][4] = {}, d_key[HALVES][4][4] = {};
#pragma unroll 1
  for (int member = 0; member < group; member += 1) {
    const int place = blockIdx.y * group + member, head = rule.first + place;
    const i64 chunk = span.chunk + blockIdx.x, held = chunk * rule.held + place;
    const i64 v_at = (i64)(span.start + first) * v_stride + head * rule.value_dim, gate = (i64)(span.start + first) * rule.value_heads + head;
    const float* state = in.states + (chunk * rule.value_heads + head) * state_elements;
    const bf16* d_state = in.d_states + held * state_elements;
    const bf16* scores = prepared.scores + held * CHUNK_ROWS * CHUNK_ROWS;
    __syncthreads();
    load_tile<D, CHUNK_ROWS, GRADIENT_THREADS>(values, in.v + v_at, v_stride, rows, rule.value_dim);
    load_tile<D, CHUNK_ROWS, GRADIENT_THREADS>(gradients, in.d_out + v_at, v_stride, rows, rule.value_dim);
    load_tile<D, CHUNK_ROWS, GRADIENT_THREADS>(solved, results.y + v_at, v_stride, rows, rule.value_dim);
    commit_copies();
    factors.load(prepared.sums + held * CHUNK_ROWS, in.strength + gate, rule.value_heads, rows);
    if (threadIdx.x < CHUNK_ROWS) sums[threadIdx.x] = prepared.sums[held * CHUNK_ROWS + threadIdx.x];

    float updates[TILES][4] = {}, row_sum[2] = {}, strength_sum[2] = {}, end_sum = 0;
#pragma unroll
    for (int half = 0; half < HALVES; half += 1) {
      if (half > 0) __syncthreads();
      load_state<D>(half_state, state, half * CHUNK_ROWS, rule);
      if (half == 0) wait_for_copies();
      __syncthreads();
#pragma unroll
      for (int i = 0; i < 4; i += 1) {
        const Fragment key = load_left<D>(keys, warp_row, half * CHUNK_ROWS + i * 16);
#pragma unroll
        for (int n = 0; n < TILES / 2; n += 1)
          multiply_pair(updates + 2 * n, key, load_right_columns<D>(half_state, i * 16, side_column + n * 16));
      }
      add_by_state<D>(d_query[half], row_sum, gradients, half_state, factors.growth, query_pairs, half * CHUNK_ROWS, seat);
      add_by_state<D>(d_key[half], row_sum, solved, half_state, factors.erased, key_pairs, half * CHUNK_ROWS, seat);
    }
    // B R takes the place of V, each thread its own elements.
#pragma unroll
    for (int n = 0; n < TILES; n += 1) {
#pragma unroll
      for (int i = 0; i < 2; i += 1) {
        const int row = seat.row + i * 8, at = row * Tile<D>::stride + side_column + n * 8 + seat.column;
        const u32 value = load_pair(values + at), y = load_pair(solved + at);
        const float r0 = low_half(value) - factors.growth[row] * updates[n][2 * i];
        const float r1 = high_half(value) - factors.growth[row] * updates[n][2 * i + 1];
        strength_sum[i] += low_half(y) * r0 + high_half(y) * r1;
        store_pair(values + at, factors.strength[row] * r0, factors.strength[row] * r1);
        updates[n][2 * i] = updates[n][2 * i + 1] = 0;
      }
    }
    __syncthreads();
    load_tile<CHUNK_ROWS, CHUNK_ROWS, GRADIENT_THREADS>(
        half_state, prepared.inverses + held * CHUNK_ROWS * CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS);
    commit_copies();
    wait_for_copies();
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 4; j += 1) {
      if (j > seat.block) continue;
      const Fragment left = load_left<CHUNK_ROWS>(half_state, warp_row, j * 16);
#pragma unroll
      for (int n = 0; n < TILES / 2; n += 1)
        multiply_pair(updates + 2 * n, left, load_right_columns<D>(values, j * 16, side_column + n * 16));
    }
    __syncthreads();
#pragma unroll
    for (int n = 0; n < TILES; n += 1) {
      bf16* at = values + seat.row * Tile<D>::stride + side_column + n * 8 + seat.column;
      store_pair(at, updates[n][0], updates[n][1]);
      store_pair(at + 8 * Tile<D>::stride, updates[n][2], updates[n][3]);
    }
    end_sum = load_gradient<D>(half_state, d_state, state, 0, rule);
    __syncthreads();

    // Products of keys again for every value head: there are no registers to keep them.
    float z[4][4] = {}, x[4][4] = {}, key_key[4][4] = {}, column_sum[8];
#pragma unroll
    for (int i = 0; i < D / 16; i += 1) {
      const Fragment gradient = load_left<D>(gradients, warp_row, i * 16), y = load_left<D>(solved, warp_row, i * 16);
      const Fragment key = load_left<D>(keys, warp_row, i * 16);
#pragma unroll
      for (int n = 0; n < 2; n += 1) {
        if (seat.side * 2 + n > seat.block) continue;
        const Fragment right = load_right_rows<D>(values, seat.side * 32 + n * 16, i * 16);
        multiply_pair(z + 2 * n, gradient, right);
        multiply_pair(x + 2 * n, y, right);
        multiply_pair(key_key + 2 * n, key, load_right_rows<D>(keys, seat.side * 32 + n * 16, i * 16));
      }
    }
#pragma unroll
    for (int n = 0; n < 4; n += 1) {
      column_sum[2 * n] = column_sum[2 * n + 1] = 0;
#pragma unroll
      for (int i = 0; i < 4; i += 1) {
        const int row = seat.row + (i >> 1) * 8, column = seat.side * 32 + n * 8 + seat.column + (i & 1);
        if (column > row) continue;
        const float decay = exp_fast(sums[row] - sums[column]);
        pairs_z[n][i] += decay * z[n][i];
        if (column == row) continue;
        const float slope = -decay * x[n][i], erased = factors.strength[row] * slope;
        pairs_x[n][i] += erased;
        strength_sum[i >> 1] += slope * key_key[n][i];
        const float both = z[n][i] * to_float(scores[row * CHUNK_ROWS + column]) + erased * key_key[n][i];
        row_sum[i >> 1] += both;
        column_sum[2 * n + (i & 1)] += both;
      }
    }
    float write_sum[2] = {};
#pragma unroll
    for (int half = 0; half < HALVES; half += 1) {
      if (half > 0) {
        __syncthreads();
        end_sum += load_gradient<D>(half_state, d_state, state, half * CHUNK_ROWS, rule);
        __syncthreads();
      }
      add_by_state<D>(d_key[half], write_sum, values, half_state, factors.rest, key_pairs, half * CHUNK_ROWS, seat);
    }
    end_sum = warp_sum(end_sum * factors.growth[CHUNK_ROWS - 1] + write_sum[0] + write_sum[1]);
    if ((threadIdx.x & 31) == 0) parts.ends[threadIdx.x >> 5] = end_sum;
    // Sums over lanes, then over the block's warps; the state behind the chunk is e^(G_C) S + (T K)t U.
#pragma unroll
    for (int i = 0; i < 2; i += 1) {
      row_sum[i] -= write_sum[i];
      for (int offset = 1; offset < 4; offset <<= 1) {
        row_sum[i] += __shfl_xor_sync(0xffffffffu, row_sum[i], offset);
        strength_sum[i] += __shfl_xor_sync(0xffffffffu, strength_sum[i], offset);
      }
      parts.rows[seat.side * CHUNK_ROWS + seat.row + i * 8] = row_sum[i];
      parts.strengths[seat.side * CHUNK_ROWS + seat.row + i * 8] = strength_sum[i];
    }
#pragma unroll
    for (int n = 0; n < 8; n += 1) {
      for (int offset = 4; offset < 32; offset <<= 1) column_sum[n] += __shfl_xor_sync(0xffffffffu, column_sum[n], offset);
      parts.columns[seat.block * CHUNK_ROWS + seat.side * 32 + (n >> 1) * 8 + seat.column + (n & 1)] = column_sum[n];
    }
    __syncthreads();
    if (threadIdx.x < 32 + CHUNK_ROWS) write_gates(results.d_decay + gate, results.d_strength + gate, parts, rule.value_heads, rows);
#pragma unroll 1  // no registers are left for the addresses of several
    for (int i = threadIdx.x; i < CHUNK_ROWS * (D / 2); i += GRADIENT_THREADS) {
      const int row = i / (D / 2), column = i % (D / 2) * 2;
      if (row >= rows || column >= rule.value_dim) continue;
      const u32 y = load_pair(solved + row * Tile<D>::stride + column);
      store_pair(results.y + v_at + row * v_stride + column, factors.strength[row] * low_half(y), factors.strength[row] * high_half(y));
    }
  }

  // Z, and B X + (B X)t, of all value heads together.
  bf16 *tile_z = gradients, *tile_x = solved;
  constexpr int stride = Tile<CHUNK_ROWS>::stride;
  __syncthreads();
  load_tile<D, CHUNK_ROWS, GRADIENT_THREADS>(values, in.q + k_at, k_stride, rows, rule.key_dim);
  commit_copies();
#pragma unroll
  for (int n = 0; n < 4; n += 1) {
#pragma unroll
    for (int i = 0; i < 4; i += 1) {
      const int row = seat.row + (i >> 1) * 8, column = seat.side * 32 + n * 8 + seat.column + (i & 1);
      store(tile_z + row * stride + column, pairs_z[n][i]);
      if (column > row) continue;
      store(tile_x + row * stride + column, pairs_x[n][i]);
      store(tile_x + column * stride + row, pairs_x[n][i]);
    }
  }
  wait_for_copies();
  __syncthreads();
#pragma unroll
  for (int j = 0; j < 4; j += 1) {
    const Fragment x = load_left<CHUNK_ROWS>(tile_x, warp_row, j * 16), z = load_left<CHUNK_ROWS>(tile_z, warp_row, j * 16);
    const Fragment z_transposed = load_left_transposed<CHUNK_ROWS>(tile_z, j * 16, warp_row);
#pragma unroll
    for (int half = 0; half < HALVES; half += 1) {
#pragma unroll
      for (int n = 0; n < 2; n += 1) {
        const int column = half * CHUNK_ROWS + seat.side * 32 + n * 16;
        const Fragment key = load_right_columns<D>(keys, j * 16, column), query = load_right_columns<D>(values, j * 16, column);
        multiply_pair(d_query[half] + 2 * n, z, key);
        multiply_pair(d_key[half] + 2 * n, x, key);
        multiply_pair(d_key[half] + 2 * n, z_transposed, query);
      }
    }
  }
#pragma unroll
  for (int half = 0; half < HALVES; half += 1) {
    const int column = half * CHUNK_ROWS + seat.side * 32;
    write_rows<32>(results.d_q + k_at + column, k_stride, d_query[half], warp_row, rows, rule.key_dim - column, 1.0f, 1.0f);
    write_rows<32>(results.d_k + k_at + column, k_stride, d_key[half], warp_row, rows, rule.key_dim - column, 1.0f, 1.0f);
  }
}

#ifndef HEAD_WIDTH
#define HEAD_WIDTH 128
#endif
extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS) delta_rule_gradients_bfloat16(
    const bf16* q, const bf16* k, const bf16* v, const float* strength, const int* offsets, bf16* inverses, bf16* scores, float* sums,
    const float* states, const bf16* d_out, const bf16* d_states, bf16* d_q, bf16* d_k, bf16* y, float* d_decay, float* d_strength,
    int key_heads, int value_heads, int key_dim, int value_dim, int first, int held) {
  delta_rule_gradients<HEAD_WIDTH>(
      {q, k, v, strength, offsets, states, d_out, d_states}, {inverses, scores, sums}, {d_q, d_k, y, d_decay, d_strength},
      {key_heads, value_heads, key_dim, value_dim, first, held});
}

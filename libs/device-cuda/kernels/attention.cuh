// Which keys a query attends to, and how its scores are capped: for attention.cu and its backward. A model needs one kind, so that
// each is compiled when it is named: MASK is CAUSAL, NONE or WINDOW, SOFT_CAP is 0 or 1, and so is RELATIVE_BIAS, of attention.cu only.
// Positions count from the sequence's start.
#define CAUSAL 0
#define NONE 1
#define WINDOW 2
#ifndef MASK
#define MASK CAUSAL
#endif
#ifndef SOFT_CAP
#define SOFT_CAP 0
#endif
#ifndef RELATIVE_BIAS
#define RELATIVE_BIAS 0
#endif

// Rows of the tiles that a block walks over; its own tile has TILE_ROWS. A wide head takes short ones: 99 KiB hold all of a block.
template <int D> struct Steps { static constexpr int rows = D > 128 ? 32 : TILE_ROWS; };

struct Range { int first, end; };

// Keys that some of the queries [query, query + queries) attend to.
__device__ __forceinline__ Range keys_of(int query, int queries, int length, int window) {
  return {MASK == WINDOW ? max(query - window + 1, 0) : 0, MASK == NONE ? length : min(query + queries, length)};
}

// Queries of which some attend to some of the keys [key, key + keys).
__device__ __forceinline__ Range queries_of(int key, int keys, int length, int window) {
  return {MASK == NONE ? 0 : key, MASK == WINDOW ? min(key + keys - 1 + window, length) : length};
}

// Tiles of `rows` positions that hold those of a range.
__device__ __forceinline__ Range tiles_of(Range positions, int rows) {
  return {positions.first / rows, (positions.end + rows - 1) / rows};
}

// How a tile of keys lies to a tile of queries.
struct Overlap {
  bool is_cut;  // some of the queries do not attend to some of the keys: ask `attends`
  int ahead;    // the first query's position less the first key's
  int keys;     // from the first one to the sequence's end
  int window;

  // Whether query `row` of its tile attends to key `column` of its.
  __device__ __forceinline__ bool attends(int row, int column) const {
    if (MASK == NONE) return column < keys;
    return MASK == WINDOW ? (u32)(row + ahead - column) < (u32)window : column <= row + ahead;
  }
};

// Of QUERIES queries from position `query` and KEYS keys from position `key`.
template <int QUERIES, int KEYS> __device__ __forceinline__ Overlap overlap(int query, int key, int length, int window) {
  const int ahead = query - key;
  if (MASK == NONE) return {length - key < KEYS, ahead, length - key, window};
  if (MASK == WINDOW) return {ahead < KEYS - 1 || ahead + QUERIES > window, ahead, 0, window};
  return {ahead < KEYS - 1, QUERIES == KEYS ? 0 : ahead, 0, 0};  // equal tiles that are cut lie on the diagonal
}

__device__ __forceinline__ float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// A score is `inner` times a product of a query and a key, or its tanh where there is a soft cap, and enters an exponent of two
// times `outer`.
struct ScoreScale {
  float inner, outer;
  __device__ __forceinline__ ScoreScale(float scale, float soft_cap)
      : inner(SOFT_CAP ? scale / soft_cap : 1.0f), outer((SOFT_CAP ? soft_cap : scale) * LOG2E) {}
};

struct Score { float value, slope; };

// tanh(x) and its slope, by exponentials of negative numbers only, so that neither overflows nor loses its last bits near ±1.
__device__ __forceinline__ Score to_score(float product, float inner) {
  if (!SOFT_CAP) return {product, 1.0f};
  const float x = product * inner;
  const float e = exp2_fast(fabsf(x) * (-2 * LOG2E)), r = reciprocal_fast(1 + e);
  return {copysignf((1 - e) * r, x), 4 * e * r * r};
}

// The score of a product of a query and a key, as it enters the exponent, and its slope.
__device__ __forceinline__ Score exact_score(float product, float scale, float soft_cap) {
  if (!SOFT_CAP) return {product * scale, 1.0f};
  const float x = product * scale / soft_cap, e = expf(-2 * fabsf(x));
  return {soft_cap * tanhf(x), 4 * e / ((1 + e) * (1 + e))};
}

// The row of a table (2 reach + 1, heads) that a key's distance from a query has: the last one in its direction for those beyond.
__device__ __forceinline__ int bias_entry(int distance, int reach) { return reach + min(max(distance, -reach), reach); }

// What the kernels of the backward read, of operands of type T in their parameters.
struct Operands {
  const bf16 *q, *k, *v, *d_out;
  const float *log_sum_exp, *delta;
  const int* offsets;
  int n, heads, kv_heads, head_dim;
  float scale;
  int window;
  float soft_cap;
};
#define PARAMETERS(T) \
  const T *q, const T *k, const T *v, const T *d_out, const float *log_sum_exp, const float *delta, const int *offsets, int n, \
      int heads, int kv_heads, int head_dim, float scale, int window, float soft_cap
#define ARGUMENTS q, k, v, d_out, log_sum_exp, delta, offsets, n, heads, kv_heads, head_dim, scale, window, soft_cap

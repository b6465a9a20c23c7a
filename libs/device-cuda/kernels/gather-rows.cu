// gather_rows: copies of whole rows as units of 16 or 2 bytes, one block a row. `rows` int32 (N).
#include "prelude.cuh"

template <typename Unit> __device__ void gather_rows(const Unit* table, const int* rows, Unit* out, int units) {
  const Unit* source = table + (i64)rows[blockIdx.x] * units;
  Unit* target = out + (i64)blockIdx.x * units;
  for (int i = threadIdx.x; i < units; i += blockDim.x) target[i] = source[i];
}

#define EACH(NAME, UNIT) \
  extern "C" __global__ void gather_rows_##NAME(const UNIT* table, const int* rows, UNIT* out, int units) { \
    gather_rows(table, rows, out, units); \
  }
EACH(16, uint4)
EACH(2, unsigned short)

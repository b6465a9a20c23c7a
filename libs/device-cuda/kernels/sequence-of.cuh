// The sequence of a row; empty ones have none. `offsets` (sequences + 1) grow from 0 to the rows.
__device__ __forceinline__ int sequence_of(const int* offsets, int sequences, int row) {
  int low = 0, high = sequences;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (offsets[middle] <= row) low = middle;
    else high = middle;
  }
  return low;
}

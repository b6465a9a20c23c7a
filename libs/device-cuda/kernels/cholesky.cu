// What cholesky does beside cuSOLVER: zeros above the diagonal.
#include "prelude.cuh"
#include "triangle.cuh"

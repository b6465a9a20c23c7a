// out += gate x for the rows of each sequence, and its backward: both are in what sequences share.
#include "prelude.cuh"
#include "sequence-of.cuh"
#include "sequences.cuh"

// Lists of tensors as a table in device memory: addresses (tensor by tensor, in groups of one address list an operand), then one
// entry a chunk of CHUNK elements: {tensor, chunk of that tensor}; sizes are in elements.

struct Chunk { int tensor; int index; };

#define CHUNK 16384
#define THREADS 256

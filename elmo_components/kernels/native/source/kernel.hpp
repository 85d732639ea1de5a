// The interface between layer.cpp and the files that compute with one instruction set each.
#pragma once

#include <cstdint>

#include "layer.h"
#include "team.hpp"

// GCC 9 does not know these instructions.
#if defined(__x86_64__) && __has_include(<avx512bf16intrin.h>)
#define ELMO_BFLOAT16
#endif

namespace elmo {

// The order of computation: the sentences, longest first, so that the sentences of a step are the
// first rows of the step before.
struct Order {
    int64_t steps;
    // (batch,)
    const int64_t* sentences;
    // (steps,): the number of sentences that have each step, and the rows of all steps before it
    const int64_t* counts;
    const int64_t* starts;
};

// Parts of the memory that a team uses for one direction of one layer at a time.
enum ScratchPart {
    HIDDEN,
    CELL,
    ACTIVATED,
    GATES,
    BIAS,
    // rows of products in int8 or bfloat16
    QUANTIZED_INPUTS,
    QUANTIZED_HIDDEN,
    QUANTIZED_ACTIVATED,
    SCRATCH_PARTS
};

struct ScratchSizes {
    // floats
    int64_t parts[SCRATCH_PARTS];
    // rows of a block of input products
    int64_t block_rows;
};

struct Scratch {
    float* parts[SCRATCH_PARTS];
    int64_t block_rows;
};

struct Kernel {
    int64_t (*packed_size)(const ElmoSizes&);
    void (*pack)(const ElmoSizes&, const float* input, const float* recurrent,
                 const float* projection, float* packed);
    ScratchSizes (*scratch_sizes)(const ElmoBatch&, const ElmoSizes&, int64_t rows);
    // Computes one direction of a layer. Every member of a team calls it with the same scratch
    // memory, and with (2 * block_rows + 4 * batch) pointers of its own.
    void (*run)(const ElmoBatch&, const ElmoLayer&, const ElmoDirection&, const Order&,
                const Scratch&, const float** pointers, Team&, int64_t member);
    // The same for the backward pass; null in int8.
    int64_t (*packed_backward_size)(const ElmoSizes&);
    void (*pack_backward)(const ElmoSizes&, const float* input, const float* recurrent,
                          const float* projection, float* packed);
    ScratchSizes (*backward_scratch_sizes)(const ElmoBatch&, const ElmoSizes&, int64_t rows);
    void (*run_backward)(const ElmoBatch&, const ElmoSizes&, const ElmoGradients&, const Order&,
                         const Scratch&, const float** pointers, Team&, int64_t member);
    void (*activations)(int64_t size, const float* x, float* sigmoid, float* tanh);
};

extern const Kernel portable;
#if defined(__x86_64__)
extern const Kernel avx2;
extern const Kernel avx512;
extern const Kernel avx512_int8;
#endif
#if defined(ELMO_BFLOAT16)
extern const Kernel avx512_bfloat16;
#endif

}  // namespace elmo

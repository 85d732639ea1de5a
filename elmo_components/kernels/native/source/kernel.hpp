// The interface between layer.cpp and the files that compute with one instruction set each.
#pragma once

#include <cstdint>

#include "layer.h"
#include "team.hpp"

namespace elmo {

// The order of computation: the sentences, longest first, so that the sentences of a step are the
// first rows of the step before.
struct Order {
    int64_t steps;
    // (batch,)
    const int64_t* sentences;
    // (steps,): the number of sentences that have each step
    const int64_t* counts;
};

// The memory that a team uses for one direction at a time, in floats.
struct ScratchSizes {
    int64_t hidden, cell, activated, gates, bias;
    // rows of products in int8
    int64_t quantized_inputs, quantized_hidden, quantized_activated;
    // rows of a block of input products
    int64_t block_rows;
};

struct Scratch {
    float *hidden, *cell, *activated, *gates, *bias;
    float *quantized_inputs, *quantized_hidden, *quantized_activated;
    int64_t block_rows;
};

struct Kernel {
    int64_t (*packed_size)(const ElmoSizes&);
    void (*pack)(const ElmoSizes&, const float* input, const float* recurrent,
                 const float* projection, float* packed);
    ScratchSizes (*scratch_sizes)(const ElmoLayer&);
    // Computes one direction. Every member of a team calls it with the same scratch memory, and
    // with (block_rows + 2 * batch) pointers of its own.
    void (*run)(const ElmoLayer&, const Order&, int64_t direction, const Scratch&,
                const float** pointers, Team&, int64_t member);
    void (*activations)(int64_t size, const float* x, float* sigmoid, float* tanh);
};

extern const Kernel portable;
#if defined(__x86_64__)
extern const Kernel avx2;
extern const Kernel avx512;
extern const Kernel avx512_int8;
#endif

}  // namespace elmo

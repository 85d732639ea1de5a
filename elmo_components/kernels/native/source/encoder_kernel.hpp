// The interface between encoder.cpp and encoder.hpp, which computes with one instruction set.
#pragma once

#include <cstdint>

#include "encoder.h"
#include "team.hpp"

namespace elmo {

// Memory for a block of words.
struct EncoderScratch {
    // (count, stride), each
    float* features[2];
    // (count,): their rows
    const float* const* rows[2];
    // (count, columns) for each member
    float* partials;
};

struct EncoderKernel {
    int64_t columns;
    int64_t (*pack_highway)(int64_t size, const float* carry, const float* transform,
                            float* packed);
    int64_t (*pack_outputs)(int64_t hidden_size, int64_t num_filters, const float* weight,
                            float* packed);
    // Returns the stride of features.
    int64_t (*stride)(int64_t num_filters);
    // Computes `count` words from `first` on. Every member of a team calls it.
    void (*encode)(const ElmoEncoder&, const ElmoWords&, int64_t first, int64_t count,
                   const EncoderScratch&, Team&, int64_t member);
};

extern const EncoderKernel portable_encoder;
#if defined(__x86_64__)
extern const EncoderKernel avx2_encoder;
extern const EncoderKernel avx512_encoder;
#endif

}  // namespace elmo

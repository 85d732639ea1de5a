// The C interface of the character encoder: words' characters to their vectors, without gradients.
// For what holds of all arrays, see layer.h.
#pragma once

#include <cstdint>

#include "layer.h"

// Filters of one width.
struct ElmoConvolution {
    int64_t width;
    // of filters
    int64_t number;
    // The products of the filters with the characters' vectors: (panels, width, num_characters,
    // columns), where `columns` is of elmo_encoder_columns, and the last panel is filled up with
    // zeros; 64-byte aligned.
    const float* table;
};

struct ElmoHighway {
    // from elmo_pack_highway for the same instruction set; 64-byte aligned
    const float* weights;
    // (num_filters,)
    const float* carry_bias;
    const float* transform_bias;
};

struct ElmoEncoder {
    // one of float32
    int64_t instructions;
    int64_t threads;
    ElmoOpenMp openmp;
    int64_t num_characters;
    int64_t num_filters;
    int64_t hidden_size;
    // 0: the activation function is relu
    int64_t tanh;
    int64_t num_convolutions;
    int64_t num_highways;
    // (num_convolutions,): their numbers add up to num_filters
    const ElmoConvolution* convolutions;
    // (num_filters,)
    const float* filter_bias;
    // (num_highways,)
    const ElmoHighway* highways;
    // from elmo_pack_projection, 64-byte aligned, and (hidden_size,); or both null: hidden_size
    // equals num_filters
    const float* projection;
    const float* projection_bias;
};

struct ElmoWords {
    int64_t words;
    // of each word, no fewer than the widest filter has
    int64_t characters;
    // (words, characters), from 0 to num_characters - 1; or null
    const int16_t* ids;
    // (words, num_filters) without ids: the filters' maxima over positions, without bias
    const float* maxima;
    // Output: (words, hidden_size)
    float* outputs;
};

// Returns the number of columns of a panel.
ELMO_EXPORT int64_t elmo_encoder_columns(int64_t instructions);

// Packs a highway's weights, (size, size) each, and returns the number of floats; for a null
// `packed` it only returns that.
ELMO_EXPORT int64_t elmo_pack_highway(int64_t instructions, int64_t size, const float* carry,
                                      const float* transform, float* packed);

// The same for the projection, (hidden_size, num_filters).
ELMO_EXPORT int64_t elmo_pack_projection(int64_t instructions, int64_t hidden_size,
                                         int64_t num_filters, const float* weight, float* packed);

// Computes words' vectors. A word's vector does not depend on the other words. Returns ELMO_OK or
// ELMO_NO_MEMORY.
ELMO_EXPORT int64_t elmo_encode(const ElmoEncoder* encoder, const ElmoWords* words);

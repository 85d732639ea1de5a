// The C interface: one layer of projected LSTMs, all directions, for one batch. Arrays are float32,
// products float32 or int8.
//
// All arrays are contiguous and row-major. Sizes count elements. The equations are those of
// kernels/reference.py. Any number of threads may make calls at the same time; no thread, lock or
// memory outlives a call, so a process may fork between calls.
#pragma once

#include <cstdint>

#if defined(_WIN32)
#define ELMO_EXPORT extern "C" __declspec(dllexport)
#else
#define ELMO_EXPORT extern "C" __attribute__((visibility("default")))
#endif

// Changes with every change of this interface.
constexpr int64_t ELMO_INTERFACE = 2;

// Instruction sets: in float32, slowest first; and in int8.
enum { ELMO_PORTABLE = 0, ELMO_AVX2 = 1, ELMO_AVX512 = 2, ELMO_AVX512_INT8 = 3 };

enum { ELMO_OK = 0, ELMO_NO_MEMORY = 1 };

struct ElmoSizes {
    int64_t input_size;
    int64_t hidden_size;
    int64_t cell_size;
    // 0: hidden_size equals cell_size, and there is no projection
    int64_t projected;
};

struct ElmoLayer {
    ElmoSizes sizes;
    int64_t instructions;
    int64_t threads;
    int64_t directions;
    int64_t batch;
    int64_t time;
    // (batch,): from 0 to time
    const int64_t* lengths;
    // (directions, elmo_packed_size), from elmo_pack for the same instruction set; 64-byte aligned
    const float* weights;
    // (directions, 4 * cell_size)
    const float* biases;
    // (directions, batch, time, input_size)
    const float* inputs;
    // (directions, batch, hidden_size), (directions, batch, cell_size)
    const float* hidden;
    const float* cell;
    // (directions, batch, hidden_size), or null
    const float* dropout;
    // infinity for no clipping
    float cell_clip;
    float projection_clip;
    // Output: (directions, batch, time, hidden_size), 0 in the padding
    float* outputs;
    // Output: the state after each sentence's last step, with the shapes of hidden and cell
    float* last_hidden;
    float* last_cell;
};

ELMO_EXPORT int64_t elmo_interface();

// Returns the fastest instruction set of this processor for products in float32.
ELMO_EXPORT int64_t elmo_instructions();

// Returns the instruction set for products in int8, or -1 if this processor has none.
ELMO_EXPORT int64_t elmo_int8_instructions();

// Returns the number of floats of one direction's packed weights.
ELMO_EXPORT int64_t elmo_packed_size(int64_t instructions, const ElmoSizes* sizes);

// Packs the weights of one direction: input (4 * cell_size, input_size), recurrent (4 * cell_size,
// hidden_size), projection (hidden_size, cell_size) or null, gates in the order i, f, g, o.
ELMO_EXPORT void elmo_pack(int64_t instructions, const ElmoSizes* sizes, const float* input,
                           const float* recurrent, const float* projection, float* packed);

// Computes a layer. Returns ELMO_OK or ELMO_NO_MEMORY.
ELMO_EXPORT int64_t elmo_layer(const ElmoLayer* layer);

// Computes the activation functions as a layer does, to test their error: (size,), each.
ELMO_EXPORT void elmo_activations(int64_t instructions, int64_t size, const float* x,
                                  float* sigmoid, float* tanh);

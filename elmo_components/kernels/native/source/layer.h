// The C interface: projected LSTMs, all layers and directions, for one batch. Arrays are float32,
// products float32, bfloat16 or int8.
//
// Arrays are row-major, and contiguous unless strides are given. Sizes and strides count elements.
// The equations are those of kernels/reference.py. Any number of threads may make calls at the same
// time; no thread, lock or memory of this library outlives a call.
#pragma once

#include <cstdint>

#if defined(_WIN32)
#define ELMO_EXPORT extern "C" __declspec(dllexport)
#else
#define ELMO_EXPORT extern "C" __attribute__((visibility("default")))
#endif

// Changes with every change of this interface.
constexpr int64_t ELMO_INTERFACE = 5;

// Instruction sets: in float32, slowest first; in int8; and in bfloat16.
enum {
    ELMO_PORTABLE = 0,
    ELMO_AVX2 = 1,
    ELMO_AVX512 = 2,
    ELMO_AVX512_INT8 = 3,
    ELMO_AVX512_BFLOAT16 = 4
};

enum { ELMO_OK = 0, ELMO_NO_MEMORY = 1 };

struct ElmoSizes {
    int64_t input_size;
    int64_t hidden_size;
    int64_t cell_size;
    // 0: hidden_size equals cell_size, and there is no projection
    int64_t projected;
};

// The functions of a GNU OpenMP library, with which its threads compute; all null for new threads.
struct ElmoOpenMp {
    void (*parallel)(void (*work)(void*), void* data, unsigned threads, unsigned flags);
    int (*num_threads)();
    int (*thread_number)();
};

struct ElmoBatch {
    int64_t instructions;
    int64_t threads;
    ElmoOpenMp openmp;
    int64_t directions;
    int64_t batch;
    int64_t time;
    // (batch,): from 0 to time. Below, `rows` is their sum: a row for each step of each sentence,
    // in the order of computation: the first steps of all sentences, longest sentence first, then
    // all second steps, and so on.
    const int64_t* lengths;
    // infinity for no clipping
    float cell_clip;
    float projection_clip;
};

// One direction of one layer.
struct ElmoDirection {
    // from elmo_pack for the same instruction set; 64-byte aligned
    const float* weights;
    // (4 * cell_size,)
    const float* biases;
    // (batch, time, input_size), with the layer's strides
    const float* inputs;
    // (batch, hidden_size), (batch, cell_size); null for zeros
    const float* hidden;
    const float* cell;
    // (batch, hidden_size), or null
    const float* dropout;
    // whether a sentence's last step is the first one in `inputs` and `outputs`
    int64_t reversed;
    // Output: (batch, time, hidden_size), with the layer's strides; 0 in the padding
    float* outputs;
    // Output: the state after each sentence's last step, with the shapes of hidden and cell
    float* last_hidden;
    float* last_cell;
    // Output for elmo_backward, or null: the gates after their activation functions, (rows, 4 *
    // cell_size); new cells, (rows, cell_size); inputs and previous outputs, (rows, input_size +
    // hidden_size); outputs before dropout, (rows, hidden_size)
    float* saved_gates;
    float* saved_cells;
    float* saved_inputs;
    float* saved_projected;
};

struct ElmoLayer {
    ElmoSizes sizes;
    // whether outputs are the sums of outputs and inputs; input_size equals hidden_size
    int64_t skip;
    // from one sentence to the next, and from one step to the next
    int64_t input_sentence, input_step;
    int64_t output_sentence, output_step;
    // (directions,)
    const ElmoDirection* directions;
};

// The layers' gradients of one direction; see ElmoDirection.
struct ElmoGradients {
    // from elmo_pack_backward for the same instruction set; 64-byte aligned
    const float* weights;
    // the initial cell; null for zeros
    const float* cell;
    const float* dropout;
    // (batch, time, hidden_size)
    const float* grad_outputs;
    const float* saved_cells;
    const float* saved_projected;
    // (rows, 4 * cell_size): the saved gates. Output: the gradients before activation functions
    float* gates;
    // Output, for products in bfloat16: the same gradients in bfloat16
    uint16_t* rounded_gates;
    // Output: before clipping, (rows, hidden_size); the inputs of the projection, (rows, cell_size)
    float* grad_projected;
    float* activated;
    // (batch, hidden_size), (batch, cell_size): of the last state. Output: of the initial state
    float* grad_hidden;
    float* grad_cell;
    // Output: (batch, time, input_size), 0 in the padding; or null
    float* grad_inputs;
};

ELMO_EXPORT int64_t elmo_interface();

// Returns the fastest instruction set of this processor for products in float32.
ELMO_EXPORT int64_t elmo_instructions();

// Returns the instruction set for products in int8 or bfloat16, or -1 if this processor has none.
ELMO_EXPORT int64_t elmo_int8_instructions();
ELMO_EXPORT int64_t elmo_bfloat16_instructions();

// Returns the number of floats of one direction's packed weights.
ELMO_EXPORT int64_t elmo_packed_size(int64_t instructions, const ElmoSizes* sizes);

// Packs the weights of one direction: input (4 * cell_size, input_size), recurrent (4 * cell_size,
// hidden_size), projection (hidden_size, cell_size) or null, gates in the order i, f, g, o.
ELMO_EXPORT void elmo_pack(int64_t instructions, const ElmoSizes* sizes, const float* input,
                           const float* recurrent, const float* projection, float* packed);

// Computes layers, each reading the outputs that its `inputs` name. Returns ELMO_OK or
// ELMO_NO_MEMORY.
ELMO_EXPORT int64_t elmo_layers(const ElmoBatch* batch, int64_t layers, const ElmoLayer* layer);

// As elmo_packed_size and elmo_pack, for elmo_backward, which has no int8.
ELMO_EXPORT int64_t elmo_packed_backward_size(int64_t instructions, const ElmoSizes* sizes);
ELMO_EXPORT void elmo_pack_backward(int64_t instructions, const ElmoSizes* sizes,
                                    const float* input, const float* recurrent,
                                    const float* projection, float* packed);

// Computes the gradients of one layer, but not of its weights: those are products of arrays that it
// writes. `gradients` is (directions,). Returns ELMO_OK or ELMO_NO_MEMORY.
ELMO_EXPORT int64_t elmo_backward(const ElmoBatch* batch, const ElmoSizes* sizes,
                                  const ElmoGradients* gradients);

// Computes the activation functions as a layer does, to test their error: (size,), each.
ELMO_EXPORT void elmo_activations(int64_t instructions, int64_t size, const float* x,
                                  float* sigmoid, float* tanh);

// The packed weights of the backward pass. Included once by a kernel's file, after panels.hpp.

namespace elmo {
namespace {

// Packed weights: the transposes of those of the forward pass, whose rows are then contiguous.
struct BackwardLayout {
    int64_t cell_panels, hidden_panels, input_panels;
    // floats before the second and third weight, and of all
    int64_t recurrent, input, size;

    explicit BackwardLayout(const ElmoSizes& sizes)
        : cell_panels(ceil_div(sizes.cell_size, PANEL)),
          hidden_panels(ceil_div(sizes.hidden_size, PANEL)),
          input_panels(ceil_div(sizes.input_size, PANEL)),
          recurrent(sizes.projected ? cell_panels * panel_size(sizes.hidden_size) : 0),
          input(recurrent + hidden_panels * panel_size(4 * sizes.cell_size)),
          size(input + input_panels * panel_size(4 * sizes.cell_size)) {}
};

int64_t packed_backward_size(const ElmoSizes& sizes) { return BackwardLayout(sizes).size; }

void pack_backward(const ElmoSizes& sizes, const float* input, const float* recurrent,
                   const float* projection, float* packed) {
    const BackwardLayout layout(sizes);
    const int64_t gates = 4 * sizes.cell_size;
    if (sizes.projected) pack_transposed(projection, sizes.hidden_size, sizes.cell_size, packed);
    pack_transposed(recurrent, gates, sizes.hidden_size, packed + layout.recurrent);
    pack_transposed(input, gates, sizes.input_size, packed + layout.input);
}

}  // namespace
}  // namespace elmo

// The functions of an instruction set. Included once by each kernel's file, as its last.

namespace elmo {
namespace {

void activations(int64_t size, const float* x, float* sigmoid_x, float* tanh_x) {
    for (int64_t first = 0; first < size; first += LANES) {
        const Vec values = load_some(x + first, size - first);
        store_some(sigmoid_x + first, sigmoid(values), size - first);
        // sigmoid is 1 at its limit
        store_some(tanh_x + first, sigmoid_tanh(all(SATURATED), values), size - first);
    }
}

}  // namespace

extern const Kernel ELMO_KERNEL = {packed_size,          pack,          scratch_sizes,
                                   run,                  packed_backward_size,
                                   pack_backward,        backward_scratch_sizes,
                                   run_backward,         activations};

}  // namespace elmo

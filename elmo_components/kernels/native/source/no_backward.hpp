// In int8 there is no backward pass. Included once by such a kernel's file.

namespace elmo {
namespace {

constexpr decltype(Kernel::packed_backward_size) packed_backward_size = nullptr;
constexpr decltype(Kernel::pack_backward) pack_backward = nullptr;
constexpr decltype(Kernel::backward_scratch_sizes) backward_scratch_sizes = nullptr;
constexpr decltype(Kernel::run_backward) run_backward = nullptr;

}  // namespace
}  // namespace elmo

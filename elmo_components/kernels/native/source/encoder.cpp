// The C interface of the character encoder: the choice of the instruction set, blocks and threads.
#include "encoder.h"

#include <algorithm>
#include <memory>
#include <new>

#include "encoder_kernel.hpp"
#include "threads.hpp"

namespace elmo {
namespace {

// Words of a block: their features are in a cache, and reading the weights takes little time.
constexpr int64_t BLOCK_WORDS = 512;
constexpr int64_t ALIGNMENT = 16;

const EncoderKernel& encoder_kernel(int64_t instructions) {
#if defined(__x86_64__)
    if (instructions == ELMO_AVX512) return avx512_encoder;
    if (instructions == ELMO_AVX2) return avx2_encoder;
#endif
    return portable_encoder;
}

// Returns false if the system does not start that many threads; then nothing was computed.
bool encode(const ElmoEncoder& encoder, const ElmoWords& words, int64_t members) {
    const EncoderKernel& kernel = encoder_kernel(encoder.instructions);
    const int64_t stride = kernel.stride(encoder.num_filters);
    const int64_t blocks = (words.words + BLOCK_WORDS - 1) / BLOCK_WORDS;
    const int64_t most = (words.words + blocks - 1) / blocks;
    // not set to zero
    const std::unique_ptr<float[]> memory(
        new float[2 * most * stride + members * most * kernel.columns + ALIGNMENT]);
    const std::unique_ptr<const float*[]> rows(new const float*[2 * most]);
    float* floats = memory.get();
    while (reinterpret_cast<uintptr_t>(floats) % (ALIGNMENT * sizeof(float))) ++floats;
    for (int64_t row = 0; row < 2 * most; ++row) rows[row] = floats + row * stride;
    const EncoderScratch scratch{{floats, floats + most * stride},
                                 {rows.get(), rows.get() + most},
                                 floats + 2 * most * stride};
    Team team(members);
    return run_in_threads(encoder.openmp, members, [&](int64_t member) {
        for (int64_t block = 0; block < blocks; ++block) {
            const int64_t first = words.words * block / blocks;
            const int64_t last = words.words * (block + 1) / blocks;
            kernel.encode(encoder, words, first, last - first, scratch, team, member);
        }
    });
}

}  // namespace
}  // namespace elmo

int64_t elmo_encoder_columns(int64_t instructions) {
    return elmo::encoder_kernel(instructions).columns;
}

int64_t elmo_pack_highway(int64_t instructions, int64_t size, const float* carry,
                          const float* transform, float* packed) {
    return elmo::encoder_kernel(instructions).pack_highway(size, carry, transform, packed);
}

int64_t elmo_pack_projection(int64_t instructions, int64_t hidden_size, int64_t num_filters,
                             const float* weight, float* packed) {
    return elmo::encoder_kernel(instructions)
        .pack_outputs(hidden_size, num_filters, weight, packed);
}

int64_t elmo_encode(const ElmoEncoder* encoder, const ElmoWords* words) {
    if (words->words == 0) return ELMO_OK;
    // a thread with fewer columns costs more than it saves
    const int64_t most = std::max<int64_t>(encoder->num_filters / 64, 1);
    const int64_t members = std::min(std::max<int64_t>(encoder->threads, 1), most);
    try {
        if (!elmo::encode(*encoder, *words, members)) elmo::encode(*encoder, *words, 1);
    } catch (const std::bad_alloc&) {
        return ELMO_NO_MEMORY;
    }
    return ELMO_OK;
}

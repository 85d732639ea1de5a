// The C interface: the choice of the instruction set, the order of the sentences, and the threads.
#include "layer.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernel.hpp"

namespace elmo {
namespace {

const Kernel& kernel(int64_t instructions) {
#if defined(__x86_64__)
    if (instructions == ELMO_AVX512_INT8) return avx512_int8;
    if (instructions == ELMO_AVX512) return avx512;
    if (instructions == ELMO_AVX2) return avx2;
#endif
    return portable;
}

// A team's threads and memory.
class TeamMemory {
public:
    TeamMemory(const ElmoLayer& layer, const Kernel& kernel, int64_t members) : team(members) {
        const ScratchSizes sizes = kernel.scratch_sizes(layer);
        pointers_each_ = sizes.block_rows + 2 * layer.batch;
        pointers_.resize(members * pointers_each_);
        int64_t total = 0;
        const int64_t parts[] = {sizes.hidden, sizes.cell, sizes.activated, sizes.gates,
                                 sizes.bias,   sizes.quantized_inputs, sizes.quantized_hidden,
                                 sizes.quantized_activated};
        for (int64_t part : parts) total += aligned(part);
        // not set to zero
        floats_.reset(new float[total + ALIGNMENT]);
        float* next = floats_.get();
        while (reinterpret_cast<uintptr_t>(next) % (ALIGNMENT * sizeof(float))) ++next;
        float** targets[] = {&scratch.hidden,
                             &scratch.cell,
                             &scratch.activated,
                             &scratch.gates,
                             &scratch.bias,
                             &scratch.quantized_inputs,
                             &scratch.quantized_hidden,
                             &scratch.quantized_activated};
        for (int part = 0; part < 8; ++part) {
            *targets[part] = next;
            next += aligned(parts[part]);
        }
        scratch.block_rows = sizes.block_rows;
    }

    const float** pointers(int64_t member) { return pointers_.data() + member * pointers_each_; }

    Team team;
    Scratch scratch;

private:
    static constexpr int64_t ALIGNMENT = 16;
    static int64_t aligned(int64_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

    std::unique_ptr<float[]> floats_;
    std::vector<const float*> pointers_;
    int64_t pointers_each_;
};

// Computes a layer with `teams` teams of `members` threads. Returns false if the system does not
// start that many threads; then nothing was computed.
bool compute(const ElmoLayer& layer, const Kernel& kernel, const Order& order, int64_t teams,
             int64_t members) {
    std::deque<TeamMemory> memory;
    for (int64_t team = 0; team < teams; ++team) memory.emplace_back(layer, kernel, members);
    const auto work = [&](int64_t team, int64_t member) {
        for (int64_t direction = team; direction < layer.directions; direction += teams) {
            kernel.run(layer, order, direction, memory[team].scratch,
                       memory[team].pointers(member), memory[team].team, member);
            // the next direction uses the same memory
            memory[team].team.wait();
        }
    };
    // Members of a team wait for each other, so no one begins before all are there.
    enum { WAIT, BEGIN, GIVE_UP };
    std::atomic<int> signal{WAIT};
    std::vector<std::thread> threads;
    threads.reserve(teams * members - 1);
    try {
        for (int64_t worker = 1; worker < teams * members; ++worker)
            threads.emplace_back([&, worker] {
                while (signal.load(std::memory_order_acquire) == WAIT) std::this_thread::yield();
                if (signal.load(std::memory_order_acquire) == BEGIN)
                    work(worker / members, worker % members);
            });
        signal.store(BEGIN, std::memory_order_release);
    } catch (const std::system_error&) {
        signal.store(GIVE_UP, std::memory_order_release);
    } catch (...) {
        signal.store(GIVE_UP, std::memory_order_release);
        for (std::thread& thread : threads) thread.join();
        throw;
    }
    const bool begun = signal.load(std::memory_order_acquire) == BEGIN;
    if (begun) work(0, 0);
    for (std::thread& thread : threads) thread.join();
    return begun;
}

void compute(const ElmoLayer& layer) {
    const int64_t batch = layer.batch;
    std::vector<int64_t> sentences(batch);
    for (int64_t row = 0; row < batch; ++row) sentences[row] = row;
    std::stable_sort(sentences.begin(), sentences.end(), [&](int64_t one, int64_t other) {
        return layer.lengths[one] > layer.lengths[other];
    });
    std::vector<int64_t> counts(batch ? layer.lengths[sentences[0]] : 0);
    for (int64_t step = 0, count = batch; step < static_cast<int64_t>(counts.size()); ++step) {
        while (layer.lengths[sentences[count - 1]] <= step) --count;
        counts[step] = count;
    }
    const Order order{static_cast<int64_t>(counts.size()), sentences.data(), counts.data()};
    const Kernel& chosen = kernel(layer.instructions);
    const int64_t threads = std::max<int64_t>(layer.threads, 1);
    const int64_t teams = std::min(threads, layer.directions);
    // a thread with less than this to do costs more than it saves
    const int64_t most = std::max<int64_t>(layer.sizes.cell_size / 64, 1);
    const int64_t members = std::min(threads / std::max<int64_t>(teams, 1), most);
    if (teams == 0 || compute(layer, chosen, order, teams, members)) return;
    compute(layer, chosen, order, 1, 1);
}

}  // namespace
}  // namespace elmo

int64_t elmo_interface() { return ELMO_INTERFACE; }

int64_t elmo_instructions() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return ELMO_AVX512;
    if (avx2) return ELMO_AVX2;
#endif
    return ELMO_PORTABLE;
}

int64_t elmo_int8_instructions() {
#if defined(__x86_64__)
    if (elmo_instructions() == ELMO_AVX512 && __builtin_cpu_supports("avx512vnni"))
        return ELMO_AVX512_INT8;
#endif
    return -1;
}

int64_t elmo_packed_size(int64_t instructions, const ElmoSizes* sizes) {
    return elmo::kernel(instructions).packed_size(*sizes);
}

void elmo_pack(int64_t instructions, const ElmoSizes* sizes, const float* input,
               const float* recurrent, const float* projection, float* packed) {
#if defined(__linux__)
    // Large pages, where they fit: a sentence alone reads all weights at each step.
    constexpr uintptr_t PAGE = 1 << 21;
    const uintptr_t first = reinterpret_cast<uintptr_t>(packed);
    const uintptr_t last =
        first + elmo::kernel(instructions).packed_size(*sizes) * sizeof(float);
    const uintptr_t begin = (first + PAGE - 1) / PAGE * PAGE, end = last / PAGE * PAGE;
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
    elmo::kernel(instructions).pack(*sizes, input, recurrent, projection, packed);
}

int64_t elmo_layer(const ElmoLayer* layer) {
    try {
        elmo::compute(*layer);
    } catch (const std::bad_alloc&) {
        return ELMO_NO_MEMORY;
    }
    return ELMO_OK;
}

void elmo_activations(int64_t instructions, int64_t size, const float* x, float* sigmoid,
                      float* tanh) {
    elmo::kernel(instructions).activations(size, x, sigmoid, tanh);
}

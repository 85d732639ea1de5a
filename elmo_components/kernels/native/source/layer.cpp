// The C interface: the choice of the instruction set, the order of the sentences, and the threads.
#include "layer.h"

#include <algorithm>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernel.hpp"
#include "threads.hpp"

namespace elmo {
namespace {

const Kernel& kernel(int64_t instructions) {
#if defined(ELMO_BFLOAT16)
    if (instructions == ELMO_AVX512_BFLOAT16) return avx512_bfloat16;
#endif
#if defined(__x86_64__)
    if (instructions == ELMO_AVX512_INT8) return avx512_int8;
    if (instructions == ELMO_AVX512) return avx512;
    if (instructions == ELMO_AVX2) return avx2;
#endif
    return portable;
}

// Not std::vector: GCC 12 links it to a function that older systems lack.
template <class Element>
using Array = std::unique_ptr<Element[]>;

// A team's threads and memory.
class TeamMemory {
public:
    TeamMemory(const ScratchSizes& sizes, int64_t batch, int64_t members)
        : team(members),
          pointers_each_(2 * sizes.block_rows + 4 * batch),
          pointers_(new const float*[members * pointers_each_]) {
        int64_t total = 0;
        for (int64_t part : sizes.parts) total += aligned(part);
        // not set to zero
        floats_.reset(new float[total + ALIGNMENT]);
        float* next = floats_.get();
        while (reinterpret_cast<uintptr_t>(next) % (ALIGNMENT * sizeof(float))) ++next;
        for (int part = 0; part < SCRATCH_PARTS; ++part) {
            scratch.parts[part] = next;
            next += aligned(sizes.parts[part]);
        }
        scratch.block_rows = sizes.block_rows;
    }

    const float** pointers(int64_t member) { return pointers_.get() + member * pointers_each_; }

    Team team;
    Scratch scratch;

private:
    static constexpr int64_t ALIGNMENT = 16;
    static int64_t aligned(int64_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

    const int64_t pointers_each_;
    Array<const float*> pointers_;
    Array<float> floats_;
};

// Computes run(direction, scratch, pointers, team, member) for each direction, with `teams` teams
// of `members` threads. Returns false if the system does not start that many threads; then nothing
// was computed.
template <class Run>
bool compute(const ElmoBatch& batch, const ScratchSizes& sizes, int64_t teams, int64_t members,
             const Run& run) {
    const Array<std::unique_ptr<TeamMemory>> memory(new std::unique_ptr<TeamMemory>[teams]);
    for (int64_t team = 0; team < teams; ++team)
        memory[team].reset(new TeamMemory(sizes, batch.batch, members));
    return run_in_threads(batch.openmp, teams * members, [&](int64_t worker) {
        TeamMemory& own = *memory[worker / members];
        const int64_t member = worker % members;
        for (int64_t direction = worker / members; direction < batch.directions;
             direction += teams) {
            run(direction, own.scratch, own.pointers(member), own.team, member);
            // the next direction uses the same memory
            own.team.wait();
        }
    });
}

// Computes with as many threads as there is work for.
template <class Run>
void compute(const ElmoBatch& batch, const ScratchSizes& sizes, int64_t cell_size, const Run& run) {
    const int64_t threads = std::max<int64_t>(batch.threads, 1);
    const int64_t teams = std::min(threads, batch.directions);
    // a thread with less than this to do costs more than it saves
    const int64_t most = std::max<int64_t>(cell_size / 64, 1);
    const int64_t members = std::min(threads / std::max<int64_t>(teams, 1), most);
    if (teams == 0 || compute(batch, sizes, teams, members, run)) return;
    compute(batch, sizes, 1, 1, run);
}

// An Order, and its memory.
class SortedBatch {
public:
    explicit SortedBatch(const ElmoBatch& batch) : sentences_(new int64_t[batch.batch]) {
        const int64_t* lengths = batch.lengths;
        int64_t* sentences = sentences_.get();
        for (int64_t row = 0; row < batch.batch; ++row) sentences[row] = row;
        std::stable_sort(
            sentences, sentences + batch.batch,
            [&](int64_t one, int64_t other) { return lengths[one] > lengths[other]; });
        const int64_t steps = batch.batch ? lengths[sentences[0]] : 0;
        counts_.reset(new int64_t[steps]);
        starts_.reset(new int64_t[steps]);
        for (int64_t step = 0, count = batch.batch; step < steps; ++step) {
            while (lengths[sentences[count - 1]] <= step) --count;
            counts_[step] = count;
            starts_[step] = rows;
            rows += count;
        }
        order = {steps, sentences, counts_.get(), starts_.get()};
    }

    Order order;
    int64_t rows = 0;

private:
    Array<int64_t> sentences_, counts_, starts_;
};

ScratchSizes largest(const ScratchSizes& one, const ScratchSizes& other) {
    ScratchSizes sizes = one;
    for (int part = 0; part < SCRATCH_PARTS; ++part)
        sizes.parts[part] = std::max(one.parts[part], other.parts[part]);
    sizes.block_rows = std::max(one.block_rows, other.block_rows);
    return sizes;
}

void compute_layers(const ElmoBatch& batch, int64_t layers, const ElmoLayer* layer) {
    const Kernel& chosen = kernel(batch.instructions);
    const SortedBatch sorted(batch);
    ScratchSizes sizes{};
    int64_t cell_size = 0;
    for (int64_t place = 0; place < layers; ++place) {
        sizes = largest(sizes, chosen.scratch_sizes(batch, layer[place].sizes, sorted.rows));
        cell_size = std::max(cell_size, layer[place].sizes.cell_size);
    }
    compute(batch, sizes, cell_size,
            [&](int64_t direction, const Scratch& scratch, const float** pointers, Team& team,
                int64_t member) {
                for (int64_t place = 0; place < layers; ++place) {
                    chosen.run(batch, layer[place], layer[place].directions[direction],
                               sorted.order, scratch, pointers, team, member);
                    // the next layer uses the same memory, and reads what all members wrote
                    team.wait();
                }
            });
}

void compute_backward(const ElmoBatch& batch, const ElmoSizes& sizes,
                      const ElmoGradients* gradients) {
    const Kernel& chosen = kernel(batch.instructions);
    const SortedBatch sorted(batch);
    compute(batch, chosen.backward_scratch_sizes(batch, sizes, sorted.rows), sizes.cell_size,
            [&](int64_t direction, const Scratch& scratch, const float** pointers, Team& team,
                int64_t member) {
                chosen.run_backward(batch, sizes, gradients[direction], sorted.order, scratch,
                                    pointers, team, member);
            });
}

// Runs a computation, and returns whether there was enough memory.
template <class Computation>
int64_t status(const Computation& computation) {
    try {
        computation();
    } catch (const std::bad_alloc&) {
        return ELMO_NO_MEMORY;
    }
    return ELMO_OK;
}

// Asks for large pages where they fit: a sentence alone reads all weights at each step.
void advise(float* packed, int64_t size) {
#if defined(__linux__)
    constexpr uintptr_t PAGE = 1 << 21;
    const uintptr_t first = reinterpret_cast<uintptr_t>(packed);
    const uintptr_t last = first + size * sizeof(float);
    const uintptr_t begin = (first + PAGE - 1) / PAGE * PAGE, end = last / PAGE * PAGE;
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
    (void)packed, (void)size;
#endif
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

int64_t elmo_bfloat16_instructions() {
#if defined(ELMO_BFLOAT16)
    if (elmo_instructions() == ELMO_AVX512 && __builtin_cpu_supports("avx512bf16"))
        return ELMO_AVX512_BFLOAT16;
#endif
    return -1;
}

int64_t elmo_packed_size(int64_t instructions, const ElmoSizes* sizes) {
    return elmo::kernel(instructions).packed_size(*sizes);
}

void elmo_pack(int64_t instructions, const ElmoSizes* sizes, const float* input,
               const float* recurrent, const float* projection, float* packed) {
    elmo::advise(packed, elmo_packed_size(instructions, sizes));
    elmo::kernel(instructions).pack(*sizes, input, recurrent, projection, packed);
}

int64_t elmo_layers(const ElmoBatch* batch, int64_t layers, const ElmoLayer* layer) {
    return elmo::status([&] { elmo::compute_layers(*batch, layers, layer); });
}

int64_t elmo_packed_backward_size(int64_t instructions, const ElmoSizes* sizes) {
    return elmo::kernel(instructions).packed_backward_size(*sizes);
}

void elmo_pack_backward(int64_t instructions, const ElmoSizes* sizes, const float* input,
                        const float* recurrent, const float* projection, float* packed) {
    elmo::kernel(instructions).pack_backward(*sizes, input, recurrent, projection, packed);
}

int64_t elmo_backward(const ElmoBatch* batch, const ElmoSizes* sizes,
                      const ElmoGradients* gradients) {
    return elmo::status([&] { elmo::compute_backward(*batch, *sizes, gradients); });
}

void elmo_activations(int64_t instructions, int64_t size, const float* x, float* sigmoid,
                      float* tanh) {
    elmo::kernel(instructions).activations(size, x, sigmoid, tanh);
}

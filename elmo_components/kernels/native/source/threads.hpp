// The threads that compute a call.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>

#include "layer.h"

namespace elmo {

// Runs work(worker) for each worker at the same time on threads of OpenMP, whose own products have
// used them before: a new thread would have to share a core with one that still waits for work.
// Returns false if there are fewer threads; then no work was done.
template <class Work>
bool run_in_openmp(const ElmoOpenMp& openmp, int64_t workers, const Work& work) {
    struct Data {
        const ElmoOpenMp& openmp;
        const int64_t workers;
        const Work& work;
        std::atomic<bool> complete;
    } data{openmp, workers, work, {true}};
    const auto member = [](void* pointer) {
        Data& data = *static_cast<Data*>(pointer);
        if (data.openmp.num_threads() < data.workers)
            data.complete.store(false);
        else
            data.work(data.openmp.thread_number());
    };
    openmp.parallel(member, &data, static_cast<unsigned>(workers), 0);
    return data.complete.load();
}

// The same on new threads.
template <class Work>
bool run_in_new_threads(int64_t workers, const Work& work) {
    // Workers wait for each other, so no one begins before all are there.
    enum { WAIT, BEGIN, GIVE_UP };
    std::atomic<int> signal{WAIT};
    // the first place stays empty
    const std::unique_ptr<std::thread[]> threads(new std::thread[workers]);
    int64_t started = 1;
    const auto join = [&] {
        while (started > 1) threads[--started].join();
    };
    try {
        for (; started < workers; ++started)
            threads[started] = std::thread([&, worker = started] {
                while (signal.load(std::memory_order_acquire) == WAIT) std::this_thread::yield();
                if (signal.load(std::memory_order_acquire) == BEGIN) work(worker);
            });
        signal.store(BEGIN, std::memory_order_release);
    } catch (const std::system_error&) {
        signal.store(GIVE_UP, std::memory_order_release);
    } catch (...) {
        signal.store(GIVE_UP, std::memory_order_release);
        join();
        throw;
    }
    const bool begun = signal.load(std::memory_order_acquire) == BEGIN;
    if (begun) work(0);
    join();
    return begun;
}

template <class Work>
bool run_in_threads(const ElmoOpenMp& openmp, int64_t workers, const Work& work) {
    if (workers == 1) return work(0), true;
    return openmp.parallel ? run_in_openmp(openmp, workers, work)
                           : run_in_new_threads(workers, work);
}

}  // namespace elmo

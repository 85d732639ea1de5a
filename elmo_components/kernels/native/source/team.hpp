// The threads that share the work of one direction.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace elmo {

class Team {
public:
    explicit Team(int64_t size) : size_(size) {}

    int64_t size() const { return size_; }

    // Waits until every member has called it. With one member it costs nothing.
    void wait() {
        if (size_ == 1) return;
        const int64_t round = round_.load(std::memory_order_acquire);
        if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
            waiting_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        // A step takes microseconds, but another process may have the other member's core.
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins)
            if (spins > 1000) std::this_thread::yield();
    }

private:
    const int64_t size_;
    std::atomic<int64_t> waiting_{0};
    std::atomic<int64_t> round_{0};
};

}  // namespace elmo

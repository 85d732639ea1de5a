// The kernel for processors with AVX2 and FMA: 3 rows and 4 vectors fill 16 registers.
#if defined(__x86_64__)
// before the pragma: what these define must run on every processor
#include <cstring>

#include "encoder_kernel.hpp"
#include "kernel.hpp"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define ELMO_KERNEL avx2
#define ELMO_LANES 8
#define ELMO_ROWS 3
#include "vectors.hpp"
#include "float32.hpp"
#include "panels.hpp"
#include "operations.hpp"
#include "direction.hpp"
#include "backward_weights.hpp"
#include "backward.hpp"
#include "encoder.hpp"
#include "table.hpp"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

// The kernel for processors with AVX-512 and BF16, in bfloat16: 6 rows and 4 vectors fill 32
// registers.
#include "kernel.hpp"

#if defined(ELMO_BFLOAT16)
// before the pragma: what these define must run on every processor
#include <immintrin.h>

#include <cstring>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx512bf16,fma,avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx512bf16,fma,avx2")
#endif

#define ELMO_KERNEL avx512_bfloat16
#define ELMO_LANES 16
#define ELMO_ROWS 6
#include "vectors.hpp"
#include "bfloat16.hpp"
#include "panels.hpp"
#include "operations.hpp"
#include "direction.hpp"
#include "backward_weights.hpp"
#include "backward.hpp"
#include "table.hpp"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

// The kernel for any processor: vectors of 128 bits, which the compiler maps to what there is.
#include <cstring>

#include "encoder_kernel.hpp"
#include "kernel.hpp"

#define ELMO_KERNEL portable
#define ELMO_LANES 4
#if defined(__aarch64__)
#define ELMO_ROWS 6
#else
#define ELMO_ROWS 3
#endif
#include "vectors.hpp"
#include "float32.hpp"
#include "panels.hpp"
#include "operations.hpp"
#include "direction.hpp"
#include "backward_weights.hpp"
#include "backward.hpp"
#include "encoder.hpp"
#include "table.hpp"

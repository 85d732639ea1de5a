// Products in float32. Included once by a kernel's file, before panels.hpp.

namespace elmo {
namespace {

// Rows of a product are multiplied as they are.
constexpr bool QUANTIZED = false;
constexpr int64_t PANEL = 4 * LANES;
// The most rows of a panel that all row groups read in turn, so that they find them in a cache.
constexpr int64_t DEPTH = 256;
// Multiplications between two prefetches.
constexpr int64_t STRIDE = 8;
// Floats of a cache line.
constexpr int64_t LINE = 16;

// Returns the floats of a packed panel, (depth, 4, LANES).
ELMO_INLINE int64_t panel_size(int64_t depth) { return depth * PANEL; }

// Packs one column of a panel: a row of a weight, (depth,), or zeros for null.
ELMO_INLINE void pack_column(const float* row, int64_t depth, float* panel, int64_t column) {
    for (int64_t k = 0; k < depth; ++k) panel[k * PANEL + column] = row ? row[k] : 0.0f;
}

// Packs a transposed weight, (depth, columns).
void pack_transposed(const float* weight, int64_t depth, int64_t columns, float* packed) {
    for (int64_t first = 0; first < columns; first += PANEL)
        for (int64_t k = 0; k < depth; ++k, packed += PANEL) {
            const int64_t left = columns - first, width = left < PANEL ? left : PANEL;
            std::memcpy(packed, weight + k * columns + first, width * sizeof(float));
            std::memset(packed + width, 0, (PANEL - width) * sizeof(float));
        }
}

ELMO_INLINE int64_t quantized_stride(int64_t) { return 0; }
ELMO_INLINE void quantize(const float*, int64_t, float*) {}
ELMO_INLINE void store_rounded(uint16_t*, Vec, int64_t) {}

// Adds rows times a part of a panel, (depth, 4, LANES), to sums. Meanwhile it prefetches `lines`
// cache lines from `ahead` on for every STRIDE multiplications, and returns where it stopped.
template <int R>
ELMO_INLINE const float* multiply(const float* const* rows, int64_t offset, const float* panel,
                                  int64_t depth, const float* ahead, int64_t lines,
                                  Vec (&sums)[R][4]) {
    const float* row[R];
    for (int r = 0; r < R; ++r) row[r] = rows[r] + offset;
    for (int64_t k = 0; k < depth; ++k, panel += PANEL) {
        if (k % STRIDE == 0)
            for (int64_t line = 0; line < lines; ++line, ahead += LINE)
                __builtin_prefetch(ahead, 0, 2);
        const Vec weights[4] = {load(panel), load(panel + LANES), load(panel + 2 * LANES),
                                load(panel + 3 * LANES)};
        for (int r = 0; r < R; ++r)
            for (int part = 0; part < 4; ++part) sums[r][part] += row[r][k] * weights[part];
    }
    return ahead;
}

// An operation says where the sums of a panel start and go: `begin` and `end` for the first and the
// last part of the depth, `partial` for the memory of sums between parts.
template <int R, class Operation>
const float* multiply_group(const Operation& operation, const float* const* rows, int64_t row,
                            int64_t panel, const float* weights, int64_t offset, int64_t depth,
                            bool first, bool last, const float* ahead, int64_t lines) {
    Vec sums[R][4];
    for (int r = 0; r < R; ++r)
        for (int part = 0; part < 4; ++part)
            sums[r][part] = first ? operation.begin(row + r, panel, part)
                                  : load(operation.partial(row + r, panel) + part * LANES);
    ahead = multiply<R>(rows + row, offset, weights, depth, ahead, lines, sums);
    for (int r = 0; r < R; ++r) {
        if (last) {
            operation.end(row + r, panel, sums[r]);
            continue;
        }
        for (int part = 0; part < 4; ++part)
            store(operation.partial(row + r, panel) + part * LANES, sums[r][part]);
    }
    return ahead;
}

}  // namespace
}  // namespace elmo

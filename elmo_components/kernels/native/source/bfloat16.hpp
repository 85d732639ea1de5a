// Products in bfloat16, with sums in float32. Included once by a kernel's file, before panels.hpp.
//
// Rows and weights are rounded to bfloat16, and stored in pairs of consecutive numbers, whose two
// products one instruction adds to a sum.

namespace elmo {
namespace {

// Rows of a product are rounded first.
constexpr bool QUANTIZED = true;
constexpr int64_t PANEL = 4 * LANES;
// A panel's parts are not split: its numbers are small enough for the caches.
constexpr int64_t DEPTH = int64_t{1} << 62;
constexpr int64_t STRIDE = 8;
constexpr int64_t LINE = 16;

ELMO_INLINE int64_t pairs(int64_t depth) { return (depth + 1) / 2; }

// Returns the floats of a packed panel, (pairs, 4, LANES, 2) in bfloat16.
ELMO_INLINE int64_t panel_size(int64_t depth) { return pairs(depth) * PANEL; }

// Returns a vector's numbers in bfloat16, rounded to the nearest.
ELMO_INLINE __m256i rounded(Vec values) {
    return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(values)));
}

// Rounds and stores the first `count` of a vector's values.
ELMO_INLINE void store_rounded(uint16_t* to, Vec values, int64_t count) {
    const __m256i numbers = rounded(values);
    if (count >= LANES)
        std::memcpy(to, &numbers, sizeof(numbers));
    else
        std::memcpy(to, &numbers, count * sizeof(uint16_t));
}

// Rounds a row, (depth,), or zeros for null, and calls `write` with LANES numbers at a time.
template <class Write>
ELMO_INLINE void round_row(const float* row, int64_t depth, const Write& write) {
    for (int64_t k = 0; k < depth; k += LANES) {
        Vec values{};
        if (row) std::memcpy(&values, row + k, (depth - k < LANES ? depth - k : LANES) * 4);
        uint16_t numbers[LANES];
        const __m256i found = rounded(values);
        std::memcpy(numbers, &found, sizeof(found));
        write(k, numbers);
    }
}

// Packs one column of a panel: a row of a weight, (depth,), or zeros for null.
ELMO_INLINE void pack_column(const float* row, int64_t depth, float* panel, int64_t column) {
    uint16_t* to = reinterpret_cast<uint16_t*>(panel) + 2 * column;
    round_row(row, depth, [&](int64_t first, const uint16_t* numbers) {
        for (int64_t k = first; k < 2 * pairs(depth) && k < first + LANES; ++k)
            to[k / 2 * 2 * PANEL + k % 2] = numbers[k - first];
    });
}

// Packs a transposed weight, (depth, columns).
void pack_transposed(const float* weight, int64_t depth, int64_t columns, float* packed) {
    uint16_t* to = reinterpret_cast<uint16_t*>(packed);
    for (int64_t first = 0; first < columns; first += PANEL)
        for (int64_t k = 0; k < depth; k += 2, to += 2 * PANEL) {
            const int64_t left = columns - first, width = left < PANEL ? left : PANEL;
            uint16_t rows[2][PANEL] = {};
            for (int64_t row = 0; row < 2 && k + row < depth; ++row)
                round_row(weight + (k + row) * columns + first, width,
                          [&](int64_t column, const uint16_t* numbers) {
                              std::memcpy(rows[row] + column, numbers, LANES * sizeof(uint16_t));
                          });
            for (int64_t column = 0; column < PANEL; ++column) {
                to[2 * column] = rows[0][column];
                to[2 * column + 1] = rows[1][column];
            }
        }
}

// Returns the floats of a rounded row.
ELMO_INLINE int64_t quantized_stride(int64_t depth) {
    return ((pairs(depth) + LINE - 1) / LINE | 1) * LINE;
}

// Rounds a row, (depth,).
void quantize(const float* row, int64_t depth, float* to) {
    round_row(row, depth, [&](int64_t first, const uint16_t* numbers) {
        std::memcpy(reinterpret_cast<uint16_t*>(to) + first, numbers, LANES * sizeof(uint16_t));
    });
}

// Returns each sum plus the products of two numbers with two others.
ELMO_INLINE Vec add_products(Vec sum, Vec numbers, Vec weights) {
    return reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                  reinterpret_cast<__m512bh>(numbers),
                                                  reinterpret_cast<__m512bh>(weights)));
}

template <int R, class Operation>
const float* multiply_group(const Operation& operation, const float* const* rows, int64_t row,
                            int64_t panel, const float* weights, int64_t, int64_t depth, bool,
                            bool, const float* ahead, int64_t lines) {
    Vec sums[R][4];
    for (int r = 0; r < R; ++r)
        for (int part = 0; part < 4; ++part) sums[r][part] = operation.begin(row + r, panel, part);
    for (int64_t k = 0; k < pairs(depth); ++k, weights += PANEL) {
        if (k % STRIDE == 0)
            for (int64_t line = 0; line < lines; ++line, ahead += LINE)
                __builtin_prefetch(ahead, 0, 2);
        const Vec parts[4] = {load(weights), load(weights + LANES), load(weights + 2 * LANES),
                              load(weights + 3 * LANES)};
        // as in int8.hpp
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
            const Vec pair = all(rows[row + r][k]);
#pragma GCC unroll 4
            for (int part = 0; part < 4; ++part)
                sums[r][part] = add_products(sums[r][part], pair, parts[part]);
        }
    }
    for (int r = 0; r < R; ++r) operation.end(row + r, panel, sums[r]);
    return ahead;
}

}  // namespace
}  // namespace elmo

// Products in int8, with a scale for each row and each output. Included once by a kernel's file,
// before panels.hpp.
//
// A row is rounded to whole multiples of its largest absolute value / 127, and so is each output of
// a weight. The instruction multiplies unsigned with signed bytes, so 128 is added to a row's bytes;
// 128 times the sum of an output's weights is subtracted again. Sums are exact, so that a row's
// results do not depend on other rows.

namespace elmo {
namespace {

// Rows of a product are quantized first.
constexpr bool QUANTIZED = true;
constexpr int64_t PANEL = 4 * LANES;
// A panel's parts are not split: bytes are small enough for the caches.
constexpr int64_t DEPTH = int64_t{1} << 62;
constexpr int64_t STRIDE = 8;
constexpr int64_t LINE = 16;

typedef int32_t Ints __attribute__((vector_size(ELMO_LANES * 4)));

ELMO_INLINE int64_t quads(int64_t depth) { return (depth + 3) / 4; }

// Returns the floats of a packed panel: scales (4, LANES), int32 corrections (4, LANES), and bytes
// (quads, 4, LANES, 4).
ELMO_INLINE int64_t panel_size(int64_t depth) { return (2 + quads(depth)) * PANEL; }

// Returns the scale of values: their largest absolute value / 127; NaN if one is NaN or infinite.
ELMO_INLINE float scale_of(const float* values, int64_t size) {
    Vec largest{}, invalid{};
    const auto take = [&](Vec x) __attribute__((always_inline)) {
        const Vec absolute = x < 0.0f ? -x : x;
        largest = absolute > largest ? absolute : largest;
        invalid += x * 0.0f;
    };
    int64_t first = 0;
    for (; first + LANES <= size; first += LANES) take(load(values + first));
    float scale = 0.0f, poison = 0.0f;
    for (; first < size; ++first) {
        const float absolute = values[first] < 0.0f ? -values[first] : values[first];
        scale = absolute > scale ? absolute : scale;
        poison += values[first] * 0.0f;
    }
    for (int64_t lane = 0; lane < LANES; ++lane) {
        scale = largest[lane] > scale ? largest[lane] : scale;
        poison += invalid[lane];
    }
    // no division by zero
    return (scale > 1e-30f ? scale : 1e-30f) / 127.0f + poison;
}

ELMO_INLINE int32_t rounded(float value) { return _mm_cvtss_si32(_mm_set_ss(value)); }

// Packs one column of a panel: a row of a weight, (depth,), or zeros for null.
ELMO_INLINE void pack_column(const float* row, int64_t depth, float* panel, int64_t column) {
    const float scale = row ? scale_of(row, depth) : 0.0f;
    int8_t* bytes = reinterpret_cast<int8_t*>(panel + 2 * PANEL) + 4 * column;
    int32_t sum = 0;
    for (int64_t k = 0; k < 4 * quads(depth); ++k) {
        const int32_t value = row && k < depth ? rounded(row[k] / scale) : 0;
        bytes[k / 4 * 4 * PANEL + k % 4] = static_cast<int8_t>(value);
        sum += value;
    }
    panel[column] = scale;
    const int32_t correction = 128 * sum;
    std::memcpy(panel + PANEL + column, &correction, sizeof(correction));
}

// Returns the floats of a quantized row: a line with its scale, then its bytes.
ELMO_INLINE int64_t quantized_stride(int64_t depth) {
    return LINE + ((quads(depth) + LINE - 1) / LINE | 1) * LINE;
}

// Quantizes a row, (depth,).
void quantize(const float* row, int64_t depth, float* to) {
    const float scale = scale_of(row, depth);
    to[0] = scale;
    uint8_t* bytes = reinterpret_cast<uint8_t*>(to + LINE);
    int64_t k = 0;
    for (; k + LANES <= depth; k += LANES) {
        const __m512 values = reinterpret_cast<__m512>(load(row + k) / scale);
        const __m512i integers =
            _mm512_add_epi32(_mm512_cvtps_epi32(values), _mm512_set1_epi32(128));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + k), _mm512_cvtepi32_epi8(integers));
    }
    for (; k < 4 * quads(depth); ++k)
        bytes[k] = static_cast<uint8_t>(k < depth ? rounded(row[k] / scale) + 128 : 128);
}

ELMO_INLINE Ints load_ints(const float* from) { return reinterpret_cast<Ints>(load(from)); }

// Returns each sum plus the products of four unsigned bytes with four signed ones.
ELMO_INLINE Ints add_products(Ints sum, Ints bytes, Ints weights) {
    return reinterpret_cast<Ints>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum),
                                                      reinterpret_cast<__m512i>(bytes),
                                                      reinterpret_cast<__m512i>(weights)));
}

// The sums start at 0 and are scaled at the end, where the operation's own start is added.
template <int R, class Operation>
const float* multiply_group(const Operation& operation, const float* const* rows, int64_t row,
                            int64_t panel, const float* weights, int64_t, int64_t depth, bool,
                            bool, const float* ahead, int64_t lines) {
    Ints sums[R][4] = {};
    const float* bytes[R];
    for (int r = 0; r < R; ++r) bytes[r] = rows[row + r] + LINE;
    const float* quad = weights + 2 * PANEL;
    for (int64_t k = 0; k < quads(depth); ++k, quad += PANEL) {
        if (k % STRIDE == 0)
            for (int64_t line = 0; line < lines; ++line, ahead += LINE)
                __builtin_prefetch(ahead, 0, 2);
        const Ints parts[4] = {load_ints(quad), load_ints(quad + LANES),
                               load_ints(quad + 2 * LANES), load_ints(quad + 3 * LANES)};
        // without the pragmas GCC 12 copies all sums to memory at each addition
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
            int32_t four;
            std::memcpy(&four, bytes[r] + k, sizeof(four));
            const Ints values = Ints{} + four;
#pragma GCC unroll 4
            for (int part = 0; part < 4; ++part)
                sums[r][part] = add_products(sums[r][part], values, parts[part]);
        }
    }
    for (int r = 0; r < R; ++r) {
        const float scale = rows[row + r][0];
        Vec results[4];
        for (int part = 0; part < 4; ++part) {
            const Ints correction = load_ints(weights + PANEL + part * LANES);
            const Vec sum = __builtin_convertvector(sums[r][part] - correction, Vec);
            results[part] = operation.begin(row + r, panel, part) +
                            sum * (load(weights + part * LANES) * scale);
        }
        operation.end(row + r, panel, results);
    }
    return ahead;
}

}  // namespace
}  // namespace elmo

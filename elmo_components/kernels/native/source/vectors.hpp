// Vectors of ELMO_LANES floats, and the activation functions. Included once by each kernel's file.

#define ELMO_INLINE inline __attribute__((always_inline))

namespace elmo {
namespace {

constexpr int64_t LANES = ELMO_LANES;
// Row groups of a product: ROWS times 4 vectors of sums fit the registers.
constexpr int ROWS = ELMO_ROWS;

typedef float Vec __attribute__((vector_size(ELMO_LANES * 4)));
typedef uint32_t Bits __attribute__((vector_size(ELMO_LANES * 4)));
// the same at any address
typedef float Loose __attribute__((vector_size(ELMO_LANES * 4), aligned(4), may_alias));

ELMO_INLINE Vec load(const float* from) { return *reinterpret_cast<const Loose*>(from); }
ELMO_INLINE void store(float* to, Vec values) { *reinterpret_cast<Loose*>(to) = values; }

ELMO_INLINE Vec all(float value) { return Vec{} + value; }

// NaN stays NaN, as in torch.clamp.
ELMO_INLINE Vec clamp(Vec x, float limit) {
    x = x < -limit ? all(-limit) : x;
    return x > limit ? all(limit) : x;
}

// exp(x) for -87 < x < 87, to 2 units in the last place: 2^n * exp(r), |r| <= log(2) / 2.
ELMO_INLINE Vec exponential(Vec x) {
    // adding 1.5 * 2^23 rounds to an integer, which is then in the low bits
    const Vec shifted = x * 1.44269504f + 12582912.0f;
    const Vec n = shifted - 12582912.0f;
    // log(2) in two parts, of which the first has few bits
    const Vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    // Taylor's polynomial of degree 7, whose error is 5e-9 at most
    Vec p = r * (1.0f / 5040.0f) + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const Vec power = reinterpret_cast<Vec>((reinterpret_cast<Bits>(shifted) << 23) + 0x3f800000u);
    return p * power;
}

// Where sigmoid and tanh equal their limits in float32; products of two exponentials are finite.
constexpr float SATURATED = 40.0f;

// The largest error of both is 2e-7.
ELMO_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + exponential(clamp(-x, SATURATED))); }

// sigmoid(x) * tanh(y), with one division
ELMO_INLINE Vec sigmoid_tanh(Vec x, Vec y) {
    const Vec a = exponential(clamp(-x, SATURATED)), b = exponential(clamp(y + y, SATURATED));
    return (b - 1.0f) / ((1.0f + a) * (1.0f + b));
}

ELMO_INLINE Vec hyperbolic_tangent(Vec x) {
    const Vec b = exponential(clamp(x + x, SATURATED));
    return (b - 1.0f) / (1.0f + b);
}

}  // namespace
}  // namespace elmo

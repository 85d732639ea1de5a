// Computes layers of random sizes, in arrays without a byte to spare, and compares them with loops
// in double precision. native_library_test.py compiles it with sanitizers.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "layer.h"

namespace {

std::mt19937 generator(7);

int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator);
}

// A vector's memory has exactly its size, and is null without elements.
std::vector<float> normal(int64_t size, double scale = 1.0) {
    std::vector<float> values(size);
    for (float& value : values) value = std::normal_distribution<float>(0.0f, scale)(generator);
    values.shrink_to_fit();
    return values;
}

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double clamp(double x, double limit) { return std::fmin(std::fmax(x, -limit), limit); }

struct Weights {
    std::vector<float> input, recurrent, projection;
};

double largest = 0.0, tolerance = 0.0;

void compare(float found, double expected) {
    const double difference = std::fabs(found - expected);
    // not "greater": NaN is an error
    if (!(difference <= tolerance)) {
        std::printf("found %g instead of %g\n", found, expected);
        std::exit(1);
    }
    largest = std::fmax(largest, difference);
}

void check(int64_t instructions, double allowed) {
    tolerance = allowed;
    const bool projected = between(0, 2) > 0;
    ElmoSizes sizes{between(1, 70), 0, between(1, 150), projected};
    sizes.hidden_size = projected ? between(1, 80) : sizes.cell_size;
    const int64_t directions = between(1, 2), batch = between(0, 20), time = between(0, 9);
    const int64_t inputs_size = sizes.input_size, hidden_size = sizes.hidden_size;
    const int64_t cell_size = sizes.cell_size;
    std::vector<int64_t> lengths(batch);
    for (int64_t& length : lengths) length = between(0, time);
    const auto inputs = normal(directions * batch * time * inputs_size);
    const auto hidden = normal(directions * batch * hidden_size);
    const auto cell = normal(directions * batch * cell_size);
    const auto biases = normal(directions * 4 * cell_size);
    auto dropout = normal(directions * batch * hidden_size);
    const bool has_dropout = between(0, 1);
    const float clip = between(0, 1) ? 0.5f : std::numeric_limits<float>::infinity();
    const int64_t packed_size = elmo_packed_size(instructions, &sizes);
    std::vector<float> packed(directions * packed_size);
    std::vector<Weights> weights;
    for (int64_t direction = 0; direction < directions; ++direction) {
        weights.push_back({normal(4 * cell_size * inputs_size, 0.3),
                           normal(4 * cell_size * hidden_size, 0.3),
                           normal(projected ? hidden_size * cell_size : 0, 0.1)});
        elmo_pack(instructions, &sizes, weights.back().input.data(),
                  weights.back().recurrent.data(), weights.back().projection.data(),
                  packed.data() + direction * packed_size);
    }
    const float nan = std::nanf("");
    std::vector<float> outputs(directions * batch * time * hidden_size, nan);
    std::vector<float> last_hidden(hidden.size(), nan), last_cell(cell.size(), nan);
    const ElmoLayer layer{sizes,
                          instructions,
                          between(1, 5),
                          directions,
                          batch,
                          time,
                          lengths.data(),
                          packed.data(),
                          biases.data(),
                          inputs.data(),
                          hidden.data(),
                          cell.data(),
                          has_dropout ? dropout.data() : nullptr,
                          clip,
                          clip,
                          outputs.data(),
                          last_hidden.data(),
                          last_cell.data()};
    if (elmo_layer(&layer) != ELMO_OK) std::exit(2);
    for (int64_t row = 0; row < directions * batch; ++row) {
        const Weights& weight = weights[row / batch];
        const float* bias = biases.data() + row / batch * 4 * cell_size;
        std::vector<double> h(hidden.begin() + row * hidden_size,
                              hidden.begin() + (row + 1) * hidden_size);
        std::vector<double> c(cell.begin() + row * cell_size,
                              cell.begin() + (row + 1) * cell_size);
        for (int64_t step = 0; step < time; ++step) {
            const int64_t place = row * time + step;
            if (step >= lengths[row % batch]) {
                for (int64_t j = 0; j < hidden_size; ++j)
                    compare(outputs[place * hidden_size + j], 0.0);
                continue;
            }
            std::vector<double> gates(4 * cell_size), activated(cell_size);
            for (int64_t j = 0; j < 4 * cell_size; ++j) {
                gates[j] = bias[j];
                for (int64_t k = 0; k < inputs_size; ++k)
                    gates[j] += weight.input[j * inputs_size + k] * inputs[place * inputs_size + k];
                for (int64_t k = 0; k < hidden_size; ++k)
                    gates[j] += weight.recurrent[j * hidden_size + k] * h[k];
            }
            for (int64_t j = 0; j < cell_size; ++j) {
                c[j] = clamp(logistic(gates[j]) * std::tanh(gates[2 * cell_size + j]) +
                                 logistic(gates[cell_size + j]) * c[j],
                             clip);
                activated[j] = logistic(gates[3 * cell_size + j]) * std::tanh(c[j]);
            }
            for (int64_t j = 0; j < hidden_size; ++j) {
                double sum = projected ? 0.0 : activated[j];
                for (int64_t k = 0; projected && k < cell_size; ++k)
                    sum += weight.projection[j * cell_size + k] * activated[k];
                if (projected) sum = clamp(sum, clip);
                h[j] = has_dropout ? sum * dropout[row * hidden_size + j] : sum;
            }
            for (int64_t j = 0; j < hidden_size; ++j)
                compare(outputs[place * hidden_size + j], h[j]);
        }
        for (int64_t j = 0; j < hidden_size; ++j) compare(last_hidden[row * hidden_size + j], h[j]);
        for (int64_t j = 0; j < cell_size; ++j) compare(last_cell[row * cell_size + j], c[j]);
    }
}

}  // namespace

int main(int, char** arguments) {
    const int repeats = std::atoi(arguments[1]);
    for (int64_t instructions = 0; instructions <= elmo_instructions(); ++instructions)
        for (int repeat = 0; repeat < repeats; ++repeat) check(instructions, 1e-5);
    std::printf("largest difference %.1e in float32\n", largest);
    largest = 0.0;
    // numbers are up to 3, rounded to a 127th, and errors add up from step to step
    for (int repeat = 0; repeat < repeats && elmo_int8_instructions() >= 0; ++repeat)
        check(elmo_int8_instructions(), 0.5);
    std::printf("largest difference %.1e in int8\n", largest);
}

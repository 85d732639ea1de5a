// Computes layers of random sizes and their gradients, and character encoders, in arrays without a
// byte to spare, and compares layers and encoders with loops in double precision. native_library_test.py compiles it with sanitizers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "encoder.h"
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

void check_finite(const std::vector<float>& values) {
    for (float value : values)
        if (!std::isfinite(value)) std::exit(3);
}

// The gradients' values are compared in native_training_test.py.
void check_backward(const ElmoBatch& given, const ElmoSizes& sizes,
                    const std::vector<ElmoDirection>& arrays, const std::vector<Weights>& weights,
                    const std::vector<float>& cell, const std::vector<float>& dropout,
                    std::vector<float>& gates, int64_t rows) {
    const float nan = std::nanf("");
    const int64_t batch = given.batch, steps = batch * given.time, count = given.directions;
    const int64_t packed_size = elmo_packed_backward_size(given.instructions, &sizes);
    std::vector<float> packed(count * packed_size);
    const auto grad_outputs = normal(count * steps * sizes.hidden_size);
    auto grad_hidden = normal(count * batch * sizes.hidden_size);
    auto grad_cell = normal(count * batch * sizes.cell_size);
    const bool rounds = given.instructions == ELMO_AVX512_BFLOAT16;
    std::vector<uint16_t> rounded_gates(rounds ? gates.size() : 0);
    std::vector<float> grad_projected(count * rows * sizes.hidden_size, nan);
    std::vector<float> activated(count * rows * sizes.cell_size, nan);
    std::vector<float> grad_inputs(count * steps * sizes.input_size, nan);
    const bool zero = between(0, 1), wants_inputs = between(0, 3) > 0;
    std::vector<ElmoGradients> gradients;
    for (int64_t direction = 0; direction < count; ++direction) {
        const Weights& weight = weights[direction];
        elmo_pack_backward(given.instructions, &sizes, weight.input.data(),
                           weight.recurrent.data(), weight.projection.data(),
                           packed.data() + direction * packed_size);
        const int64_t first = direction * batch, first_row = direction * rows;
        gradients.push_back(
            {packed.data() + direction * packed_size,
             zero ? nullptr : cell.data() + first * sizes.cell_size,
             arrays[direction].dropout ? dropout.data() + first * sizes.hidden_size : nullptr,
             grad_outputs.data() + direction * steps * sizes.hidden_size,
             arrays[direction].saved_cells,
             sizes.projected ? arrays[direction].saved_projected : nullptr,
             gates.data() + first_row * 4 * sizes.cell_size,
             rounds ? rounded_gates.data() + first_row * 4 * sizes.cell_size : nullptr,
             grad_projected.data() + first_row * sizes.hidden_size,
             activated.data() + first_row * sizes.cell_size,
             grad_hidden.data() + first * sizes.hidden_size,
             grad_cell.data() + first * sizes.cell_size,
             wants_inputs ? grad_inputs.data() + direction * steps * sizes.input_size : nullptr});
    }
    if (elmo_backward(&given, &sizes, gradients.data()) != ELMO_OK) std::exit(2);
    for (const auto* found : {&gates, &grad_projected, &activated, &grad_hidden, &grad_cell})
        check_finite(*found);
    if (wants_inputs) check_finite(grad_inputs);
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
    int64_t rows = 0;
    for (int64_t length : lengths) rows += length;
    const auto blank = [&](int64_t size) { return std::vector<float>(size, nan); };
    auto outputs = blank(directions * batch * time * hidden_size);
    auto gates = blank(directions * rows * 4 * cell_size);
    auto cells = blank(directions * rows * cell_size);
    auto gate_inputs = blank(directions * rows * (inputs_size + hidden_size));
    auto projections = blank(directions * rows * hidden_size);
    const bool saves = between(0, 1) && instructions != ELMO_AVX512_INT8;
    std::vector<float> last_hidden(hidden.size(), nan), last_cell(cell.size(), nan);
    const ElmoBatch given{instructions, between(1, 5), {}, directions, batch, time,
                          lengths.data(), clip, clip};
    std::vector<ElmoDirection> arrays;
    for (int64_t direction = 0; direction < directions; ++direction) {
        const int64_t first = direction * batch, first_row = direction * rows;
        arrays.push_back({packed.data() + direction * packed_size,
                          biases.data() + direction * 4 * cell_size,
                          inputs.data() + first * time * inputs_size,
                          hidden.data() + first * hidden_size,
                          cell.data() + first * cell_size,
                          has_dropout ? dropout.data() + first * hidden_size : nullptr,
                          0,
                          outputs.data() + first * time * hidden_size,
                          last_hidden.data() + first * hidden_size,
                          last_cell.data() + first * cell_size,
                          nullptr, nullptr, nullptr, nullptr});
        if (!saves) continue;
        arrays.back().saved_gates = gates.data() + first_row * 4 * cell_size;
        arrays.back().saved_cells = cells.data() + first_row * cell_size;
        arrays.back().saved_inputs =
            gate_inputs.data() + first_row * (inputs_size + hidden_size);
        arrays.back().saved_projected = projections.data() + first_row * hidden_size;
    }
    const ElmoLayer layer{sizes, 0, time * inputs_size, inputs_size, time * hidden_size,
                          hidden_size, arrays.data()};
    if (elmo_layers(&given, 1, &layer) != ELMO_OK) std::exit(2);
    if (saves) {
        for (const auto* saved : {&gates, &cells, &gate_inputs, &projections}) check_finite(*saved);
        check_backward(given, sizes, arrays, weights, cell, dropout, gates, rows);
    }
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

// Two layers of both directions by one call, in the layout of the modules, against the same layers
// by one call each.
void check_stack(int64_t instructions) {
    const int64_t size = between(1, 70), cell_size = between(1, 150), batch = between(0, 9);
    const int64_t time = between(0, 9), width = 2 * size;
    const ElmoSizes sizes{size, size, cell_size, 1};
    std::vector<int64_t> lengths(batch);
    for (int64_t& length : lengths) length = between(0, time);
    const ElmoBatch given{instructions, between(1, 5), {}, 2, batch, time, lengths.data(), 3.0f,
                          1.0f};
    const auto inputs = normal(batch * time * size), biases = normal(4 * cell_size);
    const auto gates = normal(4 * cell_size * size, 0.3), projection = normal(size * cell_size, 0.1);
    std::vector<float> packed(elmo_packed_size(instructions, &sizes));
    elmo_pack(instructions, &sizes, gates.data(), gates.data(), projection.data(), packed.data());
    const auto compute = [&](int64_t calls) {
        std::vector<float> outputs(2 * batch * time * width, std::nanf(""));
        std::vector<float> last(4 * batch * (size + cell_size), std::nanf(""));
        float* state = last.data();
        ElmoDirection directions[4];
        for (int64_t place = 0; place < 4; ++place) {
            ElmoDirection& direction = directions[place];
            direction = {};
            direction.weights = packed.data();
            direction.biases = biases.data();
            direction.reversed = place % 2;
            direction.inputs = place < 2 ? inputs.data() : outputs.data() + place % 2 * size;
            direction.outputs = outputs.data() + place / 2 * batch * time * width + place % 2 * size;
            direction.last_hidden = state;
            direction.last_cell = state + batch * size;
            state += batch * (size + cell_size);
        }
        const ElmoLayer layers[2] = {
            {sizes, 0, time * size, size, time * width, width, directions},
            {sizes, 1, time * width, width, time * width, width, directions + 2}};
        for (int64_t call = 0; call < calls; ++call)
            if (elmo_layers(&given, 2 / calls, layers + call) != ELMO_OK) std::exit(2);
        check_finite(outputs);
        check_finite(last);
        outputs.insert(outputs.end(), last.begin(), last.end());
        return outputs;
    };
    if (compute(1) != compute(2)) std::exit(4);
}

std::vector<double> linear(const std::vector<float>& weight, const std::vector<float>& bias,
                           const std::vector<double>& inputs) {
    std::vector<double> outputs(bias.begin(), bias.end());
    for (size_t j = 0; j < outputs.size(); ++j)
        for (size_t k = 0; k < inputs.size(); ++k)
            outputs[j] += weight[j * inputs.size() + k] * inputs[k];
    return outputs;
}

struct Filters {
    int64_t width, number;
    // (number, width, num_characters): a filter's products with characters
    std::vector<float> products;
    std::vector<float> table;
};

struct Highway {
    std::vector<float> carry, transform, carry_bias, transform_bias, packed;
};

void check_encoder(int64_t instructions) {
    tolerance = 1e-5;
    const int64_t columns = elmo_encoder_columns(instructions), num_characters = between(1, 9);
    std::vector<Filters> filters(between(1, 3));
    int64_t size = 0, widest = 0;
    for (Filters& part : filters) {
        part.width = between(1, 4);
        part.number = between(1, 90);
        part.products = normal(part.number * part.width * num_characters);
        const int64_t rows = part.width * num_characters;
        part.table.resize((part.number + columns - 1) / columns * rows * columns);
        for (int64_t j = 0; j < part.number; ++j)
            for (int64_t row = 0; row < rows; ++row)
                part.table[(j / columns * rows + row) * columns + j % columns] =
                    part.products[j * rows + row];
        size += part.number;
        widest = std::max(widest, part.width);
    }
    std::vector<Highway> highways(between(0, 3));
    for (Highway& layer : highways) {
        layer = {normal(size * size, 0.1), normal(size * size, 0.1), normal(size), normal(size), {}};
        layer.packed.resize(elmo_pack_highway(instructions, size, nullptr, nullptr, nullptr));
        elmo_pack_highway(instructions, size, layer.carry.data(), layer.transform.data(),
                          layer.packed.data());
    }
    const bool projected = between(0, 2) > 0;
    const int64_t hidden_size = projected ? between(1, 150) : size;
    const auto projection = normal(hidden_size * size, 0.1), projection_bias = normal(hidden_size);
    std::vector<float> packed(
        elmo_pack_projection(instructions, hidden_size, size, nullptr, nullptr));
    elmo_pack_projection(instructions, hidden_size, size, projection.data(), packed.data());
    const auto bias = normal(size);
    std::vector<ElmoConvolution> convolutions;
    for (const Filters& part : filters)
        convolutions.push_back({part.width, part.number, part.table.data()});
    std::vector<ElmoHighway> layers;
    for (const Highway& layer : highways)
        layers.push_back(
            {layer.packed.data(), layer.carry_bias.data(), layer.transform_bias.data()});
    const ElmoEncoder encoder{instructions,
                              between(1, 5),
                              {},
                              num_characters,
                              size,
                              hidden_size,
                              between(0, 1),
                              static_cast<int64_t>(filters.size()),
                              static_cast<int64_t>(highways.size()),
                              convolutions.data(),
                              bias.data(),
                              layers.data(),
                              projected ? packed.data() : nullptr,
                              projected ? projection_bias.data() : nullptr};
    // a few encoders have more words than a block
    const int64_t words = between(0, 9) ? between(0, 20) : between(500, 530);
    const int64_t characters = widest + between(0, 6);
    std::vector<int16_t> ids(words * characters);
    for (int64_t word = 0; word < words; ++word)
        for (int64_t place = 0, length = between(0, characters); place < length; ++place)
            ids[word * characters + place] = between(0, num_characters - 1);
    ids.shrink_to_fit();
    std::vector<float> outputs(words * hidden_size, std::nanf("")), maxima(words * size);
    const ElmoWords given{words, characters, ids.data(), nullptr, outputs.data()};
    if (elmo_encode(&encoder, &given) != ELMO_OK) std::exit(2);
    for (int64_t word = 0; word < words; ++word) {
        const int16_t* own = ids.data() + word * characters;
        std::vector<double> x;
        for (const Filters& part : filters)
            for (int64_t j = 0; j < part.number; ++j) {
                double maximum = -std::numeric_limits<double>::infinity();
                for (int64_t first = 0; first + part.width <= characters; ++first) {
                    double score = 0.0;
                    for (int64_t place = 0; place < part.width; ++place)
                        score += part.products[(j * part.width + place) * num_characters +
                                               own[first + place]];
                    maximum = std::fmax(maximum, score);
                }
                maxima[word * size + static_cast<int64_t>(x.size())] = maximum;
                maximum += bias[x.size()];
                x.push_back(encoder.tanh ? std::tanh(maximum) : std::fmax(maximum, 0.0));
            }
        for (const Highway& layer : highways) {
            const auto carry = linear(layer.carry, layer.carry_bias, x);
            const auto transform = linear(layer.transform, layer.transform_bias, x);
            for (int64_t j = 0; j < size; ++j)
                x[j] += logistic(carry[j]) * (std::fmax(transform[j], 0.0) - x[j]);
        }
        if (projected) x = linear(projection, projection_bias, x);
        for (int64_t j = 0; j < hidden_size; ++j) compare(outputs[word * hidden_size + j], x[j]);
    }
    const auto expected = outputs;
    const ElmoWords by_maxima{words, 0, nullptr, maxima.data(), outputs.data()};
    if (elmo_encode(&encoder, &by_maxima) != ELMO_OK) std::exit(2);
    for (size_t place = 0; place < outputs.size(); ++place)
        compare(outputs[place], expected[place]);
}

}  // namespace

int main(int, char** arguments) {
    const int repeats = std::atoi(arguments[1]);
    for (int64_t instructions = 0; instructions <= elmo_instructions(); ++instructions)
        for (int repeat = 0; repeat < repeats; ++repeat) {
            check(instructions, 1e-5);
            check_stack(instructions);
            check_encoder(instructions);
        }
    std::printf("largest difference %.1e in float32\n", largest);
    largest = 0.0;
    // numbers are up to 3, with 8 bits
    for (int repeat = 0; repeat < repeats && elmo_bfloat16_instructions() >= 0; ++repeat) {
        check(elmo_bfloat16_instructions(), 0.1);
        check_stack(elmo_bfloat16_instructions());
    }
    std::printf("largest difference %.1e in bfloat16\n", largest);
    largest = 0.0;
    // numbers are up to 3, rounded to a 127th, and errors add up from step to step
    for (int repeat = 0; repeat < repeats && elmo_int8_instructions() >= 0; ++repeat) {
        check(elmo_int8_instructions(), 0.5);
        check_stack(elmo_int8_instructions());
    }
    std::printf("largest difference %.1e in int8\n", largest);
}

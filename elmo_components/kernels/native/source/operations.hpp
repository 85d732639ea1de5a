// Where the sums of the forward pass's products start and go. Included once by each kernel's file.

namespace elmo {
namespace {

// Loads or stores the first `count` of a vector's values.
ELMO_INLINE Vec load_some(const float* from, int64_t count) {
    if (count >= LANES) return load(from);
    Vec values{};
    std::memcpy(&values, from, count * sizeof(float));
    return values;
}
ELMO_INLINE void store_some(float* to, Vec values, int64_t count) {
    if (count >= LANES) return store(to, values);
    std::memcpy(to, &values, count * sizeof(float));
}

// Gates of a block from its inputs, stored as (gate_panels, block_rows, 4, LANES).
struct InputGates {
    float* gates;
    const float* bias;
    int64_t block_rows;

    ELMO_INLINE float* partial(int64_t row, int64_t panel) const {
        return gates + (panel * block_rows + row) * PANEL;
    }
    ELMO_INLINE Vec begin(int64_t, int64_t panel, int part) const {
        return load(bias + panel * PANEL + part * LANES);
    }
    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&sums)[4]) const {
        for (int part = 0; part < 4; ++part) store(partial(row, panel) + part * LANES, sums[part]);
    }
};

// The gates, cells and activated cells of a step.
struct StepGates {
    float* gates;
    int64_t block_rows;
    // (gate_panels, batch, LANES)
    float* cell;
    int64_t batch;
    // (batch, stride)
    float* activated;
    int64_t stride;
    float clip;
    int64_t cell_size;
    // the step's rows of saved gates and cells, or null
    float* saved_gates;
    float* saved_cells;

    ELMO_INLINE float* partial(int64_t row, int64_t panel) const {
        return gates + (panel * block_rows + row) * PANEL;
    }
    ELMO_INLINE Vec begin(int64_t row, int64_t panel, int part) const {
        return load(partial(row, panel) + part * LANES);
    }
    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&sums)[4]) const {
        float* state = cell + (panel * batch + row) * LANES;
        float* output = activated + row * stride + panel * LANES;
        const int64_t first = panel * LANES, count = cell_size - first;
        Vec next;
        if (saved_gates) {
            const Vec i = sigmoid(sums[0]), f = sigmoid(sums[1]);
            const Vec g = hyperbolic_tangent(sums[2]), o = sigmoid(sums[3]);
            next = clamp(i * g + f * load(state), clip);
            store(output, o * hyperbolic_tangent(next));
            float* to = saved_gates + row * 4 * cell_size + first;
            store_some(to, i, count);
            store_some(to + cell_size, f, count);
            store_some(to + 2 * cell_size, g, count);
            store_some(to + 3 * cell_size, o, count);
        } else {
            const Vec kept = sigmoid(sums[1]) * load(state);
            next = clamp(sigmoid_tanh(sums[0], sums[2]) + kept, clip);
            store(output, sigmoid_tanh(sums[3], next));
        }
        store(state, next);
        if (saved_cells) store_some(saved_cells + row * cell_size + first, next, count);
    }
};

// The outputs of a step, into the rows of the next product and into the caller's array.
struct Outputs {
    // (batch, stride)
    float* hidden;
    int64_t stride;
    int64_t hidden_size;
    float clip;
    const int64_t* sentences;
    // (batch, hidden_size), or null
    const float* dropout;
    // the step's rows, or null
    float* saved_projected;
    // (count,): each row's place in the caller's array, and what to add there, or null
    float* const* outputs;
    const float* const* skipped;

    ELMO_INLINE float* partial(int64_t row, int64_t panel) const {
        return hidden + row * stride + panel * PANEL;
    }
    ELMO_INLINE Vec begin(int64_t, int64_t, int) const { return Vec{}; }
    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&sums)[4]) const {
        for (int part = 0; part < 4; ++part)
            store(partial(row, panel) + part * LANES, clamp(sums[part], clip));
        finish(row, panel * PANEL, smaller(PANEL, hidden_size - panel * PANEL));
    }
    ELMO_INLINE void finish(int64_t row, int64_t first, int64_t width) const {
        float* from = hidden + row * stride + first;
        if (saved_projected)
            std::memcpy(saved_projected + row * hidden_size + first, from, width * sizeof(float));
        if (dropout)
            for (int64_t j = 0; j < width; ++j)
                from[j] *= dropout[sentences[row] * hidden_size + first + j];
        float* to = outputs[row] + first;
        std::memcpy(to, from, width * sizeof(float));
        if (skipped)
            for (int64_t j = 0; j < width; ++j) to[j] += skipped[row][first + j];
    }
};

}  // namespace
}  // namespace elmo

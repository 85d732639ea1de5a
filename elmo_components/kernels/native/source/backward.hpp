// The backward pass of one direction of a layer, with products in float32 or bfloat16. Included once
// by a kernel's file, after direction.hpp and backward_weights.hpp.
//
// From the last step to the first, with gp the gradient of the outputs before clipping:
//
//     gp = clipped(dropout * (grad_outputs + grad_hidden))
//     gates, grad_cell = the derivatives of a cell, from gp projection
//     grad_hidden = gates recurrent
//
// The last two are products whose sums stay in registers until they are used.

namespace elmo {
namespace {

ScratchSizes backward_scratch_sizes(const ElmoBatch& batch, const ElmoSizes& sizes, int64_t rows) {
    const int64_t block_rows = block_size(batch.batch, rows);
    ScratchSizes found{{}, block_rows};
    found.parts[HIDDEN] = batch.batch * panels_stride(sizes.hidden_size);
    found.parts[CELL] = batch.batch * panels_stride(sizes.cell_size);
    // sums of products between parts of the depth
    found.parts[ACTIVATED] = batch.batch * panels_stride(sizes.cell_size);
    found.parts[GATES] = block_rows * panels_stride(sizes.input_size);
    found.parts[QUANTIZED_HIDDEN] = batch.batch * quantized_stride(sizes.hidden_size);
    return found;
}

// Sums between parts of the depth, (count, stride).
struct Sums {
    float* sums;
    int64_t stride;

    ELMO_INLINE float* partial(int64_t row, int64_t panel) const {
        return sums + row * stride + panel * PANEL;
    }
    ELMO_INLINE Vec begin(int64_t, int64_t, int) const { return Vec{}; }
    ELMO_INLINE void keep(int64_t row, int64_t panel, const Vec (&values)[4]) const {
        for (int part = 0; part < 4; ++part)
            store(partial(row, panel) + part * LANES, values[part]);
    }
};

// The gradients with respect to the previous outputs, which stay in scratch memory.
struct HiddenGradients : Sums {
    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&values)[4]) const {
        keep(row, panel, values);
    }
};

// The gradients with respect to the inputs, into the caller's array.
struct InputGradients : Sums {
    int64_t input_size;
    float* const* rows;

    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&values)[4]) const {
        const int64_t first = panel * PANEL;
        for (int part = 0; part < 4 && first + part * LANES < input_size; ++part)
            store_some(rows[row] + first + part * LANES, values[part],
                       input_size - first - part * LANES);
    }
};

// The gradient of a clipped value: 0 from the limit on.
ELMO_INLINE Vec clipped(Vec gradient, Vec value, float limit) {
    gradient = value >= limit ? Vec{} : gradient;
    return value <= -limit ? Vec{} : gradient;
}

// The gradients of the gates and of the cell, from those of the activated cells.
struct CellGradients : Sums {
    int64_t cell_size;
    float clip;
    const int64_t* sentences;
    // (batch, stride): with respect to the new cell, then to the previous one
    float* grad_cell;
    // the step's rows, (count, 4 * cell_size): gates, then gradients
    float* gates;
    // the gradients in bfloat16, for products of this type
    uint16_t* rounded_gates;
    const float* cells;
    float* activated;
    // the previous step's rows; or null for the initial cell, (batch, cell_size), or null for zeros
    const float* previous;
    const float* initial;

    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&values)[4]) const {
        for (int part = 0; part < 4; ++part)
            cell(row, panel * PANEL + part * LANES, values[part]);
    }

    ELMO_INLINE void cell(int64_t row, int64_t first, Vec gradient) const {
        const int64_t count = cell_size - first;
        if (count <= 0) return;
        float* to = gates + row * 4 * cell_size + first;
        const Vec i = load_some(to, count), f = load_some(to + cell_size, count);
        const Vec g = load_some(to + 2 * cell_size, count);
        const Vec o = load_some(to + 3 * cell_size, count);
        const Vec next = load_some(cells + row * cell_size + first, count);
        Vec old{};
        if (previous)
            old = load_some(previous + row * cell_size + first, count);
        else if (initial)
            old = load_some(initial + sentences[row] * cell_size + first, count);
        const Vec squashed = hyperbolic_tangent(next);
        store_some(activated + row * cell_size + first, o * squashed, count);
        float* state = grad_cell + row * stride + first;
        const Vec through = gradient * o * (1.0f - squashed * squashed);
        const Vec total = clipped(load(state) + through, next, clip);
        const Vec gradients[4] = {total * g * i * (1.0f - i), total * old * f * (1.0f - f),
                                  total * i * (1.0f - g * g),
                                  gradient * squashed * o * (1.0f - o)};
        for (int64_t gate = 0; gate < 4; ++gate) {
            const int64_t place = gate * cell_size;
            store_some(to + place, gradients[gate], count);
            if (QUANTIZED)
                store_rounded(rounded_gates + row * 4 * cell_size + first + place,
                              gradients[gate], count);
        }
        store(state, total * f);
    }
};

class Backward {
public:
    Backward(const ElmoBatch& batch, const ElmoSizes& sizes, const ElmoGradients& arrays,
             const Order& order, const Scratch& scratch, const float** pointers, Team& team,
             int64_t member)
        : batch_(batch),
          sizes_(sizes),
          layout_(sizes),
          arrays_(arrays),
          order_(order),
          scratch_(scratch),
          rows_(pointers),
          outputs_(const_cast<float**>(pointers + scratch.block_rows)),
          team_(team),
          member_(member),
          hidden_stride_(panels_stride(sizes.hidden_size)),
          cell_stride_(panels_stride(sizes.cell_size)),
          grad_hidden_(scratch.parts[HIDDEN]),
          grad_cell_(scratch.parts[CELL]) {}

    void run() {
        copy_state<true>();
        team_.wait();
        for (int64_t step = order_.steps - 1; step >= 0; --step) {
            project(step);
            team_.wait();
            cells(step);
            team_.wait();
            hidden(step);
            team_.wait();
        }
        copy_state<false>();
        if (arrays_.grad_inputs) inputs();
    }

private:
    // Copies the gradients of states from the caller's arrays into scratch memory, or back.
    template <bool BEGIN>
    void copy_state() {
        const auto copy = [&](float* scratch, int64_t stride, float* state, int64_t size,
                              int64_t row) {
            float *own = scratch + row * stride, *theirs = state + order_.sentences[row] * size;
            std::memcpy(BEGIN ? own : theirs, BEGIN ? theirs : own, size * sizeof(float));
            if (BEGIN) std::memset(own + size, 0, (stride - size) * sizeof(float));
        };
        for (int64_t row = member_; row < batch_.batch; row += team_.size()) {
            copy(grad_hidden_, hidden_stride_, arrays_.grad_hidden, sizes_.hidden_size, row);
            copy(grad_cell_, cell_stride_, arrays_.grad_cell, sizes_.cell_size, row);
        }
    }

    // Writes the step's rows of grad_projected.
    void project(int64_t step) {
        const int64_t size = sizes_.hidden_size;
        const float limit = batch_.projection_clip;
        for (int64_t row = member_; row < order_.counts[step]; row += team_.size()) {
            const int64_t sentence = order_.sentences[row], place = order_.starts[step] + row;
            const float* outputs = arrays_.grad_outputs + (sentence * batch_.time + step) * size;
            for (int64_t first = 0; first < size; first += LANES) {
                const int64_t count = size - first;
                Vec gradient = load(grad_hidden_ + row * hidden_stride_ + first) +
                               load_some(outputs + first, count);
                if (arrays_.dropout)
                    gradient *= load_some(arrays_.dropout + sentence * size + first, count);
                if (arrays_.saved_projected)
                    gradient = clipped(
                        gradient, load_some(arrays_.saved_projected + place * size + first, count),
                        limit);
                store_some(arrays_.grad_projected + place * size + first, gradient, count);
            }
            if (QUANTIZED)
                quantize(arrays_.grad_projected + place * size, size, rounded_row(row));
        }
    }

    void cells(int64_t step) {
        const int64_t size = sizes_.cell_size, count = order_.counts[step];
        const int64_t start = order_.starts[step];
        CellGradients operation{{scratch_.parts[ACTIVATED], cell_stride_},
                                size,
                                batch_.cell_clip,
                                order_.sentences,
                                grad_cell_,
                                arrays_.gates + start * 4 * size,
                                QUANTIZED ? arrays_.rounded_gates + start * 4 * size : nullptr,
                                arrays_.saved_cells + start * size,
                                arrays_.activated + start * size,
                                nullptr,
                                arrays_.cell};
        if (step > 0) operation.previous = arrays_.saved_cells + order_.starts[step - 1] * size;
        const float* gradients = arrays_.grad_projected + start * sizes_.hidden_size;
        const int64_t first = layout_.cell_panels * member_ / team_.size();
        const int64_t last = layout_.cell_panels * (member_ + 1) / team_.size();
        if (sizes_.projected) {
            for (int64_t row = 0; row < count; ++row)
                rows_[row] = QUANTIZED ? rounded_row(row) : gradients + row * sizes_.hidden_size;
            multiply_panels(operation, rows_, count, arrays_.weights, sizes_.hidden_size, first,
                            last);
            return;
        }
        for (int64_t row = 0; row < count; ++row)
            for (int64_t cell = first * PANEL; cell < smaller(last * PANEL, size); cell += LANES)
                operation.cell(row, cell, load_some(gradients + row * size + cell, size - cell));
    }

    void hidden(int64_t step) {
        const int64_t gates = 4 * sizes_.cell_size;
        for (int64_t row = 0; row < order_.counts[step]; ++row)
            rows_[row] = gate_gradients(order_.starts[step] + row);
        multiply_panels(HiddenGradients{{grad_hidden_, hidden_stride_}}, rows_,
                        order_.counts[step], arrays_.weights + layout_.recurrent, gates,
                        layout_.hidden_panels * member_ / team_.size(),
                        layout_.hidden_panels * (member_ + 1) / team_.size());
    }

    // Computes the gradients of the inputs, a block of steps at once.
    void inputs() {
        const int64_t size = sizes_.input_size, gates = 4 * sizes_.cell_size;
        for (int64_t row = member_; row < batch_.batch; row += team_.size())
            std::memset(input_row(row, batch_.lengths[row]), 0,
                        (batch_.time - batch_.lengths[row]) * size * sizeof(float));
        const InputGradients operation{
            {scratch_.parts[GATES], panels_stride(size)}, size, outputs_};
        for (int64_t step = 0; step < order_.steps;) {
            const int64_t first = order_.starts[step];
            int64_t count = 0;
            for (; step < order_.steps && count + order_.counts[step] <= scratch_.block_rows;
                 ++step)
                for (int64_t row = 0; row < order_.counts[step]; ++row, ++count) {
                    rows_[count] = gate_gradients(first + count);
                    outputs_[count] = input_row(order_.sentences[row], step);
                }
            multiply_panels(operation, rows_, count, arrays_.weights + layout_.input, gates,
                            layout_.input_panels * member_ / team_.size(),
                            layout_.input_panels * (member_ + 1) / team_.size());
        }
    }

    // Returns a row of the gates' gradients as a product takes it.
    const float* gate_gradients(int64_t row) const {
        const int64_t place = row * 4 * sizes_.cell_size;
        return QUANTIZED ? reinterpret_cast<const float*>(arrays_.rounded_gates + place)
                         : arrays_.gates + place;
    }
    // Returns where a row of the step's grad_projected is in bfloat16.
    float* rounded_row(int64_t row) const {
        return scratch_.parts[QUANTIZED_HIDDEN] + row * quantized_stride(sizes_.hidden_size);
    }
    float* input_row(int64_t sentence, int64_t step) const {
        return arrays_.grad_inputs + (sentence * batch_.time + step) * sizes_.input_size;
    }

    const ElmoBatch& batch_;
    const ElmoSizes& sizes_;
    const BackwardLayout layout_;
    const ElmoGradients& arrays_;
    const Order& order_;
    const Scratch& scratch_;
    const float** rows_;
    float** outputs_;
    Team& team_;
    const int64_t member_;
    const int64_t hidden_stride_, cell_stride_;
    float *grad_hidden_, *grad_cell_;
};

void run_backward(const ElmoBatch& batch, const ElmoSizes& sizes, const ElmoGradients& arrays,
                  const Order& order, const Scratch& scratch, const float** pointers, Team& team,
                  int64_t member) {
    Backward(batch, sizes, arrays, order, scratch, pointers, team, member).run();
}

}  // namespace
}  // namespace elmo

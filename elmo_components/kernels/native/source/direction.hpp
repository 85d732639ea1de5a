// One direction of a layer. Included once by each kernel's file.

namespace elmo {
namespace {

// Rows of a block of input products, if no step has more: enough for products at full speed.
constexpr int64_t BLOCK_ROWS = 128;

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

    ELMO_INLINE float* partial(int64_t row, int64_t panel) const {
        return gates + (panel * block_rows + row) * PANEL;
    }
    ELMO_INLINE Vec begin(int64_t row, int64_t panel, int part) const {
        return load(partial(row, panel) + part * LANES);
    }
    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&sums)[4]) const {
        float* state = cell + (panel * batch + row) * LANES;
        const Vec kept = sigmoid(sums[1]) * load(state);
        const Vec next = clamp(sigmoid_tanh(sums[0], sums[2]) + kept, clip);
        store(state, next);
        store(activated + row * stride + panel * LANES, sigmoid_tanh(sums[3], next));
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
    // the step's outputs of sentence 0; those of the next sentence come `sentence_stride` later
    float* outputs;
    int64_t sentence_stride;

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
        const int64_t sentence = sentences[row];
        if (dropout)
            for (int64_t j = 0; j < width; ++j)
                from[j] *= dropout[sentence * hidden_size + first + j];
        std::memcpy(outputs + sentence * sentence_stride + first, from, width * sizeof(float));
    }
};

// Rows that start in different sets of a cache: an odd number of lines.
ELMO_INLINE int64_t row_stride(int64_t size) { return (ceil_div(size, LINE) | 1) * LINE; }

ELMO_INLINE int64_t hidden_stride(const ElmoSizes& sizes) {
    return row_stride(ceil_div(sizes.hidden_size, PANEL) * PANEL);
}

ELMO_INLINE int64_t activated_stride(const ElmoSizes& sizes) {
    return row_stride(ceil_div(sizes.cell_size, LANES) * LANES);
}

int64_t packed_size(const ElmoSizes& sizes) { return Layout(sizes).size; }

void pack(const ElmoSizes& sizes, const float* input, const float* recurrent,
          const float* projection, float* packed) {
    const Layout layout(sizes);
    pack_gates(input, sizes.cell_size, sizes.input_size, packed);
    pack_gates(recurrent, sizes.cell_size, sizes.hidden_size, packed + layout.recurrent);
    if (sizes.projected)
        pack_projection(projection, sizes.hidden_size, sizes.cell_size,
                        packed + layout.projection);
}

ScratchSizes scratch_sizes(const ElmoLayer& layer) {
    const int64_t gate_panels = Layout(layer.sizes).gate_panels, batch = layer.batch;
    // no more than the rows that there are
    const int64_t block_rows = smaller(batch > BLOCK_ROWS ? batch : BLOCK_ROWS, batch * layer.time);
    return {batch * hidden_stride(layer.sizes),
            batch * gate_panels * LANES,
            batch * activated_stride(layer.sizes),
            block_rows * gate_panels * PANEL,
            gate_panels * PANEL,
            block_rows * quantized_stride(layer.sizes.input_size),
            batch * quantized_stride(layer.sizes.hidden_size),
            batch * quantized_stride(layer.sizes.cell_size),
            block_rows};
}

// A member computes the same panels of the input and recurrent products, so that the team need not
// wait between them.
class Direction {
public:
    Direction(const ElmoLayer& layer, const Order& order, int64_t direction,
              const Scratch& scratch, const float** pointers, Team& team, int64_t member)
        : layer_(layer),
          sizes_(layer.sizes),
          layout_(layer.sizes),
          order_(order),
          scratch_(scratch),
          rows_(pointers),
          hidden_rows_(pointers + scratch.block_rows),
          activated_rows_(hidden_rows_ + layer.batch),
          team_(team),
          member_(member),
          first_panel_(layout_.gate_panels * member / team.size()),
          last_panel_(layout_.gate_panels * (member + 1) / team.size()),
          weights_(layer.weights + direction * layout_.size),
          biases_(layer.biases + direction * 4 * sizes_.cell_size),
          inputs_(layer.inputs + direction * layer.batch * layer.time * sizes_.input_size),
          hidden_(layer.hidden + direction * layer.batch * sizes_.hidden_size),
          cell_(layer.cell + direction * layer.batch * sizes_.cell_size),
          dropout_(layer.dropout ? layer.dropout + direction * layer.batch * sizes_.hidden_size
                                 : nullptr),
          outputs_(layer.outputs + direction * layer.batch * layer.time * sizes_.hidden_size),
          last_hidden_(layer.last_hidden + direction * layer.batch * sizes_.hidden_size),
          last_cell_(layer.last_cell + direction * layer.batch * sizes_.cell_size) {}

    void run() {
        begin();
        team_.wait();
        for (int64_t step = 0; step < order_.steps;) {
            const int64_t next = input_gates(step);
            for (int64_t row = 0; step < next; row += order_.counts[step++]) {
                step_gates(step, row);
                team_.wait();
                if (QUANTIZED && sizes_.projected) {
                    quantize_rows(scratch_.activated, activated_stride(sizes_), sizes_.cell_size,
                                  order_.counts[step], scratch_.quantized_activated);
                    team_.wait();
                }
                step_outputs(step);
                team_.wait();
                if (QUANTIZED) {
                    quantize_rows(scratch_.hidden, hidden_stride(sizes_), sizes_.hidden_size,
                                  order_.counts[step], scratch_.quantized_hidden);
                    team_.wait();
                }
            }
        }
        end();
    }

private:
    void begin() {
        for (int64_t row = 0; row < layer_.batch; ++row) {
            hidden_rows_[row] = product_row(scratch_.hidden, hidden_stride(sizes_),
                                            scratch_.quantized_hidden, sizes_.hidden_size, row);
            activated_rows_[row] = product_row(scratch_.activated, activated_stride(sizes_),
                                               scratch_.quantized_activated, sizes_.cell_size, row);
        }
        for (int64_t row = member_; row < layer_.batch; row += team_.size())
            std::memcpy(scratch_.hidden + row * hidden_stride(sizes_),
                        hidden_ + order_.sentences[row] * sizes_.hidden_size,
                        sizes_.hidden_size * sizeof(float));
        if (QUANTIZED)
            quantize_rows(scratch_.hidden, hidden_stride(sizes_), sizes_.hidden_size, layer_.batch,
                          scratch_.quantized_hidden);
        for (int64_t panel = first_panel_; panel < last_panel_; ++panel)
            for (int64_t lane = 0; lane < LANES; ++lane) {
                const int64_t cell = panel * LANES + lane;
                const bool exists = cell < sizes_.cell_size;
                for (int64_t gate = 0; gate < 4; ++gate)
                    scratch_.bias[panel * PANEL + gate * LANES + lane] =
                        exists ? biases_[gate * sizes_.cell_size + cell] : 0.0f;
                for (int64_t row = 0; row < layer_.batch; ++row)
                    cell_state(row, cell) =
                        exists ? cell_[order_.sentences[row] * sizes_.cell_size + cell] : 0.0f;
            }
    }

    // Computes the gates of a block of steps from the inputs, and returns the step after them.
    int64_t input_gates(int64_t step) {
        int64_t count = 0;
        for (; step < order_.steps && count + order_.counts[step] <= scratch_.block_rows; ++step)
            for (int64_t row = 0; row < order_.counts[step]; ++row)
                rows_[count++] = inputs_ + (order_.sentences[row] * layer_.time + step) *
                                               sizes_.input_size;
        if (QUANTIZED) {
            const int64_t stride = quantized_stride(sizes_.input_size);
            for (int64_t row = member_; row < count; row += team_.size())
                quantize(rows_[row], sizes_.input_size, scratch_.quantized_inputs + row * stride);
            for (int64_t row = 0; row < count; ++row)
                rows_[row] = scratch_.quantized_inputs + row * stride;
            team_.wait();
        }
        const InputGates operation{scratch_.gates, scratch_.bias, scratch_.block_rows};
        multiply_panels(operation, rows_, count, weights_, sizes_.input_size, first_panel_,
                        last_panel_);
        return step;
    }

    // The gates of the step are those from `row` on in its block.
    void step_gates(int64_t step, int64_t row) {
        const StepGates operation{scratch_.gates + row * PANEL, scratch_.block_rows,
                                  scratch_.cell,                layer_.batch,
                                  scratch_.activated,           activated_stride(sizes_),
                                  layer_.cell_clip};
        multiply_panels(operation, hidden_rows_, order_.counts[step], weights_ + layout_.recurrent,
                        sizes_.hidden_size, first_panel_, last_panel_);
    }

    void step_outputs(int64_t step) {
        const int64_t count = order_.counts[step];
        const Outputs operation{scratch_.hidden,
                                hidden_stride(sizes_),
                                sizes_.hidden_size,
                                layer_.projection_clip,
                                order_.sentences,
                                dropout_,
                                outputs_ + step * sizes_.hidden_size,
                                layer_.time * sizes_.hidden_size};
        if (sizes_.projected) {
            multiply_panels(operation, activated_rows_, count, weights_ + layout_.projection,
                            sizes_.cell_size, layout_.output_panels * member_ / team_.size(),
                            layout_.output_panels * (member_ + 1) / team_.size());
            return;
        }
        const int64_t first = first_panel_ * LANES;
        const int64_t width = smaller(last_panel_ * LANES, sizes_.hidden_size) - first;
        for (int64_t row = 0; row < count && width > 0; ++row) {
            std::memcpy(scratch_.hidden + row * hidden_stride(sizes_) + first,
                        scratch_.activated + row * activated_stride(sizes_) + first,
                        width * sizeof(float));
            operation.finish(row, first, width);
        }
    }

    void end() {
        for (int64_t row = member_; row < layer_.batch; row += team_.size()) {
            const int64_t sentence = order_.sentences[row], length = layer_.lengths[sentence];
            std::memcpy(last_hidden_ + sentence * sizes_.hidden_size,
                        scratch_.hidden + row * hidden_stride(sizes_),
                        sizes_.hidden_size * sizeof(float));
            if (length < layer_.time)
                std::memset(outputs_ + (sentence * layer_.time + length) * sizes_.hidden_size, 0,
                            (layer_.time - length) * sizes_.hidden_size * sizeof(float));
        }
        const int64_t last = smaller(last_panel_ * LANES, sizes_.cell_size);
        for (int64_t row = 0; row < layer_.batch; ++row)
            for (int64_t cell = first_panel_ * LANES; cell < last; ++cell)
                last_cell_[order_.sentences[row] * sizes_.cell_size + cell] =
                    cell_state(row, cell);
    }

    // Quantizes this member's rows, (count, stride).
    void quantize_rows(const float* rows, int64_t stride, int64_t depth, int64_t count, float* to) {
        for (int64_t row = member_; row < count; row += team_.size())
            quantize(rows + row * stride, depth, to + row * quantized_stride(depth));
    }

    // Returns a row as a product takes it.
    const float* product_row(const float* rows, int64_t stride, const float* quantized,
                             int64_t depth, int64_t row) {
        return QUANTIZED ? quantized + row * quantized_stride(depth) : rows + row * stride;
    }

    float& cell_state(int64_t row, int64_t cell) {
        return scratch_.cell[(cell / LANES * layer_.batch + row) * LANES + cell % LANES];
    }

    const ElmoLayer& layer_;
    const ElmoSizes& sizes_;
    const Layout layout_;
    const Order& order_;
    const Scratch& scratch_;
    const float **rows_, **hidden_rows_, **activated_rows_;
    Team& team_;
    const int64_t member_, first_panel_, last_panel_;
    const float *weights_, *biases_, *inputs_, *hidden_, *cell_, *dropout_;
    float *outputs_, *last_hidden_, *last_cell_;
};

void run(const ElmoLayer& layer, const Order& order, int64_t direction, const Scratch& scratch,
         const float** pointers, Team& team, int64_t member) {
    Direction(layer, order, direction, scratch, pointers, team, member).run();
}

void activations(int64_t size, const float* x, float* sigmoid_x, float* tanh_x) {
    for (int64_t first = 0; first < size; first += LANES) {
        const int64_t bytes = smaller(LANES, size - first) * sizeof(float);
        Vec values{};
        std::memcpy(&values, x + first, bytes);
        const Vec sigmoids = sigmoid(values);
        // sigmoid is 1 at its limit
        const Vec tanhs = sigmoid_tanh(all(SATURATED), values);
        std::memcpy(sigmoid_x + first, &sigmoids, bytes);
        std::memcpy(tanh_x + first, &tanhs, bytes);
    }
}

}  // namespace

extern const Kernel ELMO_KERNEL = {packed_size, pack, scratch_sizes, run, activations};

}  // namespace elmo

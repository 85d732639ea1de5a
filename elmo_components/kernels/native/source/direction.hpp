// The forward pass of one direction of a layer. Included once by each kernel's file.

namespace elmo {
namespace {

// Rows of a block of input products, if no step has more: enough for products at full speed.
constexpr int64_t BLOCK_ROWS = 128;

// Rows that start in different sets of a cache: an odd number of lines.
ELMO_INLINE int64_t row_stride(int64_t size) { return (ceil_div(size, LINE) | 1) * LINE; }

ELMO_INLINE int64_t panels_stride(int64_t size) {
    return row_stride(ceil_div(size, PANEL) * PANEL);
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

// Returns the rows of a block: no more than there are.
ELMO_INLINE int64_t block_size(int64_t batch, int64_t rows) {
    const int64_t block_rows = smaller(batch > BLOCK_ROWS ? batch : BLOCK_ROWS, rows);
    return block_rows > 1 ? block_rows : 1;
}

ScratchSizes scratch_sizes(const ElmoBatch& batch, const ElmoSizes& sizes, int64_t rows) {
    const int64_t gate_panels = Layout(sizes).gate_panels, count = batch.batch;
    const int64_t block_rows = block_size(count, rows);
    return {{count * panels_stride(sizes.hidden_size), count * gate_panels * LANES,
             count * activated_stride(sizes), block_rows * gate_panels * PANEL,
             gate_panels * PANEL, block_rows * quantized_stride(sizes.input_size),
             count * quantized_stride(sizes.hidden_size),
             count * quantized_stride(sizes.cell_size)},
            block_rows};
}

// A member computes the same panels of the input and recurrent products, so that the team need not
// wait between them.
class Direction {
public:
    Direction(const ElmoBatch& batch, const ElmoLayer& layer, const ElmoDirection& arrays,
              const Order& order, const Scratch& scratch, const float** pointers, Team& team,
              int64_t member)
        : batch_(batch),
          layer_(layer),
          sizes_(layer.sizes),
          layout_(layer.sizes),
          arrays_(arrays),
          order_(order),
          scratch_(scratch),
          rows_(pointers),
          hidden_rows_(pointers + scratch.block_rows),
          activated_rows_(hidden_rows_ + batch.batch),
          skipped_rows_(activated_rows_ + batch.batch),
          output_rows_(const_cast<float**>(skipped_rows_ + batch.batch)),
          team_(team),
          member_(member),
          first_panel_(layout_.gate_panels * member / team.size()),
          last_panel_(layout_.gate_panels * (member + 1) / team.size()),
          hidden_stride_(panels_stride(sizes_.hidden_size)),
          activated_stride_(activated_stride(sizes_)),
          hidden_(scratch.parts[HIDDEN]),
          activated_(scratch.parts[ACTIVATED]) {}

    void run() {
        begin();
        team_.wait();
        for (int64_t step = 0; step < order_.steps;) {
            const int64_t next = input_gates(step);
            for (int64_t row = 0; step < next; row += order_.counts[step++]) {
                if (arrays_.saved_inputs) save_inputs(step);
                step_gates(step, row);
                team_.wait();
                if (QUANTIZED && sizes_.projected) {
                    quantize_rows(activated_, activated_stride_, sizes_.cell_size,
                                  order_.counts[step], scratch_.parts[QUANTIZED_ACTIVATED]);
                    team_.wait();
                }
                step_outputs(step);
                team_.wait();
                if (QUANTIZED) {
                    quantize_rows(hidden_, hidden_stride_, sizes_.hidden_size,
                                  order_.counts[step], scratch_.parts[QUANTIZED_HIDDEN]);
                    team_.wait();
                }
            }
        }
        end();
    }

private:
    void begin() {
        const int64_t hidden_size = sizes_.hidden_size;
        for (int64_t row = 0; row < batch_.batch; ++row) {
            hidden_rows_[row] = product_row(hidden_, hidden_stride_, QUANTIZED_HIDDEN,
                                            hidden_size, row);
            activated_rows_[row] = product_row(activated_, activated_stride_, QUANTIZED_ACTIVATED,
                                               sizes_.cell_size, row);
        }
        for (int64_t row = member_; row < batch_.batch; row += team_.size()) {
            float* to = hidden_ + row * hidden_stride_;
            if (arrays_.hidden)
                std::memcpy(to, arrays_.hidden + order_.sentences[row] * hidden_size,
                            hidden_size * sizeof(float));
            else
                std::memset(to, 0, hidden_size * sizeof(float));
        }
        if (QUANTIZED)
            quantize_rows(hidden_, hidden_stride_, hidden_size, batch_.batch,
                          scratch_.parts[QUANTIZED_HIDDEN]);
        for (int64_t panel = first_panel_; panel < last_panel_; ++panel) {
            const int64_t first = panel * LANES, count = smaller(LANES, sizes_.cell_size - first);
            for (int64_t gate = 0; gate < 4; ++gate)
                store(scratch_.parts[BIAS] + panel * PANEL + gate * LANES,
                      load_some(arrays_.biases + gate * sizes_.cell_size + first, count));
            for (int64_t row = 0; row < batch_.batch; ++row) {
                const int64_t place = order_.sentences[row] * sizes_.cell_size + first;
                store(cell_state(row, panel),
                      arrays_.cell ? load_some(arrays_.cell + place, count) : Vec{});
            }
        }
    }

    // Computes the gates of a block of steps from the inputs, and returns the step after them.
    int64_t input_gates(int64_t step) {
        int64_t count = 0;
        for (; step < order_.steps && count + order_.counts[step] <= scratch_.block_rows; ++step)
            for (int64_t row = 0; row < order_.counts[step]; ++row)
                rows_[count++] = input_row(order_.sentences[row], step);
        if (QUANTIZED) {
            const int64_t stride = quantized_stride(sizes_.input_size);
            float* quantized = scratch_.parts[QUANTIZED_INPUTS];
            for (int64_t row = member_; row < count; row += team_.size())
                quantize(rows_[row], sizes_.input_size, quantized + row * stride);
            for (int64_t row = 0; row < count; ++row) rows_[row] = quantized + row * stride;
            team_.wait();
        }
        const InputGates operation{scratch_.parts[GATES], scratch_.parts[BIAS],
                                   scratch_.block_rows};
        multiply_panels(operation, rows_, count, arrays_.weights, sizes_.input_size, first_panel_,
                        last_panel_);
        return step;
    }

    // The gates of the step are those from `row` on in its block.
    void step_gates(int64_t step, int64_t row) {
        const StepGates operation{
            scratch_.parts[GATES] + row * PANEL,
            scratch_.block_rows,
            scratch_.parts[CELL],
            batch_.batch,
            activated_,
            activated_stride_,
            batch_.cell_clip,
            sizes_.cell_size,
            saved(arrays_.saved_gates, step, 4 * sizes_.cell_size),
            saved(arrays_.saved_cells, step, sizes_.cell_size),
        };
        multiply_panels(operation, hidden_rows_, order_.counts[step],
                        arrays_.weights + layout_.recurrent, sizes_.hidden_size, first_panel_,
                        last_panel_);
    }

    void step_outputs(int64_t step) {
        const int64_t count = order_.counts[step];
        for (int64_t row = 0; row < count; ++row) {
            output_rows_[row] = output_row(order_.sentences[row], step);
            skipped_rows_[row] = input_row(order_.sentences[row], step);
        }
        const Outputs operation{
            hidden_,
            hidden_stride_,
            sizes_.hidden_size,
            batch_.projection_clip,
            order_.sentences,
            arrays_.dropout,
            saved(arrays_.saved_projected, step, sizes_.hidden_size),
            output_rows_,
            layer_.skip ? skipped_rows_ : nullptr,
        };
        if (sizes_.projected) {
            multiply_panels(operation, activated_rows_, count,
                            arrays_.weights + layout_.projection, sizes_.cell_size,
                            layout_.output_panels * member_ / team_.size(),
                            layout_.output_panels * (member_ + 1) / team_.size());
            return;
        }
        const int64_t first = first_panel_ * LANES;
        const int64_t width = smaller(last_panel_ * LANES, sizes_.hidden_size) - first;
        for (int64_t row = 0; row < count && width > 0; ++row) {
            std::memcpy(hidden_ + row * hidden_stride_ + first,
                        activated_ + row * activated_stride_ + first, width * sizeof(float));
            operation.finish(row, first, width);
        }
    }

    // The factors of the gates' weights: inputs and previous outputs.
    void save_inputs(int64_t step) {
        const int64_t width = sizes_.input_size + sizes_.hidden_size;
        float* to = saved(arrays_.saved_inputs, step, width);
        for (int64_t row = member_; row < order_.counts[step]; row += team_.size()) {
            std::memcpy(to + row * width, input_row(order_.sentences[row], step),
                        sizes_.input_size * sizeof(float));
            std::memcpy(to + row * width + sizes_.input_size, hidden_ + row * hidden_stride_,
                        sizes_.hidden_size * sizeof(float));
        }
    }

    void end() {
        const int64_t hidden_size = sizes_.hidden_size;
        for (int64_t row = member_; row < batch_.batch; row += team_.size()) {
            const int64_t sentence = order_.sentences[row];
            std::memcpy(arrays_.last_hidden + sentence * hidden_size,
                        hidden_ + row * hidden_stride_, hidden_size * sizeof(float));
            for (int64_t step = batch_.lengths[sentence]; step < batch_.time; ++step)
                std::memset(arrays_.outputs + sentence * layer_.output_sentence +
                                step * layer_.output_step,
                            0, hidden_size * sizeof(float));
        }
        for (int64_t panel = first_panel_; panel < last_panel_; ++panel)
            for (int64_t row = 0; row < batch_.batch; ++row)
                store_some(arrays_.last_cell + order_.sentences[row] * sizes_.cell_size +
                               panel * LANES,
                           load(cell_state(row, panel)), sizes_.cell_size - panel * LANES);
    }

    // Quantizes this member's rows, (count, stride).
    void quantize_rows(const float* rows, int64_t stride, int64_t depth, int64_t count, float* to) {
        for (int64_t row = member_; row < count; row += team_.size())
            quantize(rows + row * stride, depth, to + row * quantized_stride(depth));
    }

    // Returns a row as a product takes it.
    const float* product_row(const float* rows, int64_t stride, ScratchPart quantized,
                             int64_t depth, int64_t row) {
        return QUANTIZED ? scratch_.parts[quantized] + row * quantized_stride(depth)
                         : rows + row * stride;
    }

    int64_t position(int64_t sentence, int64_t step) const {
        return arrays_.reversed ? batch_.lengths[sentence] - 1 - step : step;
    }
    const float* input_row(int64_t sentence, int64_t step) const {
        return arrays_.inputs + sentence * layer_.input_sentence +
               position(sentence, step) * layer_.input_step;
    }
    float* output_row(int64_t sentence, int64_t step) const {
        return arrays_.outputs + sentence * layer_.output_sentence +
               position(sentence, step) * layer_.output_step;
    }
    float* saved(float* rows, int64_t step, int64_t size) const {
        return rows ? rows + order_.starts[step] * size : nullptr;
    }
    float* cell_state(int64_t row, int64_t panel) const {
        return scratch_.parts[CELL] + (panel * batch_.batch + row) * LANES;
    }

    const ElmoBatch& batch_;
    const ElmoLayer& layer_;
    const ElmoSizes& sizes_;
    const Layout layout_;
    const ElmoDirection& arrays_;
    const Order& order_;
    const Scratch& scratch_;
    const float **rows_, **hidden_rows_, **activated_rows_, **skipped_rows_;
    float** output_rows_;
    Team& team_;
    const int64_t member_, first_panel_, last_panel_;
    const int64_t hidden_stride_, activated_stride_;
    float *hidden_, *activated_;
};

void run(const ElmoBatch& batch, const ElmoLayer& layer, const ElmoDirection& arrays,
         const Order& order, const Scratch& scratch, const float** pointers, Team& team,
         int64_t member) {
    Direction(batch, layer, arrays, order, scratch, pointers, team, member).run();
}

}  // namespace
}  // namespace elmo

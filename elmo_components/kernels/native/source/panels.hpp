// Packed weights, and the product of rows with all panels. Included once by each kernel's file,
// after float32.hpp or int8.hpp.
//
// A panel has 4 * LANES columns. In the gates' weights these are the gates i, f, g and o of LANES
// cells, so that all gates of a cell meet in registers; in a projection, consecutive outputs.
// Panels are stored one after the other, filled up with zeros.

namespace elmo {
namespace {

ELMO_INLINE int64_t ceil_div(int64_t size, int64_t width) { return (size + width - 1) / width; }
ELMO_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

struct Layout {
    int64_t gate_panels, output_panels;
    // floats before each weight, and of all
    int64_t recurrent, projection, size;

    explicit Layout(const ElmoSizes& sizes)
        : gate_panels(ceil_div(sizes.cell_size, LANES)),
          output_panels(sizes.projected ? ceil_div(sizes.hidden_size, PANEL) : 0),
          recurrent(gate_panels * panel_size(sizes.input_size)),
          projection(recurrent + gate_panels * panel_size(sizes.hidden_size)),
          size(projection + output_panels * panel_size(sizes.cell_size)) {}
};

void pack_gates(const float* weight, int64_t cell_size, int64_t depth, float* packed) {
    for (int64_t panel = 0; panel < ceil_div(cell_size, LANES); ++panel)
        for (int64_t gate = 0; gate < 4; ++gate)
            for (int64_t lane = 0; lane < LANES; ++lane) {
                const int64_t cell = panel * LANES + lane;
                const float* row = weight + (gate * cell_size + cell) * depth;
                pack_column(cell < cell_size ? row : nullptr, depth,
                            packed + panel * panel_size(depth), gate * LANES + lane);
            }
}

void pack_projection(const float* weight, int64_t hidden_size, int64_t depth, float* packed) {
    for (int64_t panel = 0; panel < ceil_div(hidden_size, PANEL); ++panel)
        for (int64_t column = 0; column < PANEL; ++column) {
            const int64_t output = panel * PANEL + column;
            pack_column(output < hidden_size ? weight + output * depth : nullptr, depth,
                        packed + panel * panel_size(depth), column);
        }
}

// Multiplies rows, (count, depth), with the panels from `first_panel` to before `last_panel`.
template <class Operation>
void multiply_panels(const Operation& operation, const float* const* rows, int64_t count,
                     const float* weights, int64_t depth, int64_t first_panel,
                     int64_t last_panel) {
    const int64_t groups = ceil_div(count, ROWS);
    const int64_t part_depth = ceil_div(depth, ceil_div(depth, DEPTH));
    // All groups together prefetch as much as they read. A single group reads as fast as the memory
    // is, and the processor's own prefetching is faster.
    const int64_t lines = groups == 1 ? 0 : ceil_div(STRIDE * PANEL / LINE, groups);
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
        const float* part = weights + panel * panel_size(depth);
        const float* next = part + panel_size(depth);
        for (int64_t offset = 0; offset < depth; offset += part_depth) {
            const int64_t length = smaller(part_depth, depth - offset);
            const bool first = offset == 0, last = offset + length == depth;
            const float* ahead = last ? next : part + length * PANEL;
            for (int64_t group = 0; group < groups; ++group) {
                const int64_t row = count * group / groups;
#define ELMO_CASE(R)                                                                            \
    case R:                                                                                     \
        if constexpr (R <= ROWS)                                                                \
            ahead = multiply_group<R>(operation, rows, row, panel, part, offset, length, first, \
                                      last, ahead, lines);                                      \
        break;
                switch (count * (group + 1) / groups - row) {
                    ELMO_CASE(1)
                    ELMO_CASE(2)
                    ELMO_CASE(3)
                    ELMO_CASE(4)
                    ELMO_CASE(5)
                    ELMO_CASE(6)
                }
#undef ELMO_CASE
            }
            part += length * PANEL;
        }
    }
}

}  // namespace
}  // namespace elmo

// Packed weights, and the product of rows with them. Included once by each kernel's file.
//
// A panel has 4 * LANES columns. In the gates' weights these are the gates i, f, g and o of LANES
// cells, so that all gates of a cell meet in registers; in a projection, consecutive outputs.
// Panels are stored one after the other, each (depth, 4, LANES), filled up with zeros.

namespace elmo {
namespace {

constexpr int64_t PANEL = 4 * LANES;
// The most rows of a panel that all row groups read in turn, so that they find them in a cache.
constexpr int64_t DEPTH = 256;
// Multiplications between two prefetches.
constexpr int64_t STRIDE = 8;
// Floats of a cache line.
constexpr int64_t LINE = 16;

ELMO_INLINE int64_t ceil_div(int64_t size, int64_t width) { return (size + width - 1) / width; }
ELMO_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

struct Layout {
    int64_t gate_panels, output_panels;
    // floats before each weight, and of all
    int64_t recurrent, projection, size;

    explicit Layout(const ElmoSizes& sizes)
        : gate_panels(ceil_div(sizes.cell_size, LANES)),
          output_panels(sizes.projected ? ceil_div(sizes.hidden_size, PANEL) : 0),
          recurrent(gate_panels * sizes.input_size * PANEL),
          projection(recurrent + gate_panels * sizes.hidden_size * PANEL),
          size(projection + output_panels * sizes.cell_size * PANEL) {}
};

// Packs one column of a panel: a row of a weight, (depth,), or zeros for null.
ELMO_INLINE void pack_column(const float* row, int64_t depth, float* to) {
    for (int64_t k = 0; k < depth; ++k) to[k * PANEL] = row ? row[k] : 0.0f;
}

void pack_gates(const float* weight, int64_t cell_size, int64_t depth, float* packed) {
    for (int64_t panel = 0; panel < ceil_div(cell_size, LANES); ++panel)
        for (int64_t gate = 0; gate < 4; ++gate)
            for (int64_t lane = 0; lane < LANES; ++lane) {
                const int64_t cell = panel * LANES + lane;
                const float* row = weight + (gate * cell_size + cell) * depth;
                pack_column(cell < cell_size ? row : nullptr, depth,
                            packed + panel * depth * PANEL + gate * LANES + lane);
            }
}

void pack_projection(const float* weight, int64_t hidden_size, int64_t depth, float* packed) {
    for (int64_t panel = 0; panel < ceil_div(hidden_size, PANEL); ++panel)
        for (int64_t column = 0; column < PANEL; ++column) {
            const int64_t output = panel * PANEL + column;
            pack_column(output < hidden_size ? weight + output * depth : nullptr, depth,
                        packed + panel * depth * PANEL + column);
        }
}

// Adds rows times a part of a panel, (depth, 4, LANES), to sums. Meanwhile it prefetches `lines`
// cache lines from `ahead` on for every STRIDE multiplications, and returns where it stopped.
template <int R>
ELMO_INLINE const float* multiply(const float* const* rows, int64_t offset, const float* panel,
                                  int64_t depth, const float* ahead, int64_t lines,
                                  Vec (&sums)[R][4]) {
    const float* row[R];
    for (int r = 0; r < R; ++r) row[r] = rows[r] + offset;
    for (int64_t k = 0; k < depth; ++k, panel += PANEL) {
        if (k % STRIDE == 0)
            for (int64_t line = 0; line < lines; ++line, ahead += LINE)
                __builtin_prefetch(ahead, 0, 2);
        const Vec weights[4] = {load(panel), load(panel + LANES), load(panel + 2 * LANES),
                                load(panel + 3 * LANES)};
        for (int r = 0; r < R; ++r)
            for (int part = 0; part < 4; ++part) sums[r][part] += row[r][k] * weights[part];
    }
    return ahead;
}

// An operation says where the sums of a panel start and go: `begin` and `end` for the first and the
// last part of the depth, `partial` for the memory of sums between parts.
template <int R, class Operation>
const float* multiply_group(const Operation& operation, const float* const* rows, int64_t row,
                            int64_t panel, const float* weights, int64_t offset, int64_t depth,
                            bool first, bool last, const float* ahead, int64_t lines) {
    Vec sums[R][4];
    for (int r = 0; r < R; ++r)
        for (int part = 0; part < 4; ++part)
            sums[r][part] = first ? operation.begin(row + r, panel, part)
                                  : load(operation.partial(row + r, panel) + part * LANES);
    ahead = multiply<R>(rows + row, offset, weights, depth, ahead, lines, sums);
    for (int r = 0; r < R; ++r) {
        if (last) {
            operation.end(row + r, panel, sums[r]);
            continue;
        }
        for (int part = 0; part < 4; ++part)
            store(operation.partial(row + r, panel) + part * LANES, sums[r][part]);
    }
    return ahead;
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
    const float* part = weights + first_panel * depth * PANEL;
    for (int64_t panel = first_panel; panel < last_panel; ++panel)
        for (int64_t offset = 0; offset < depth; offset += part_depth) {
            const int64_t length = smaller(part_depth, depth - offset);
            const bool first = offset == 0, last = offset + length == depth;
            const float* ahead = part + length * PANEL;
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

}  // namespace
}  // namespace elmo

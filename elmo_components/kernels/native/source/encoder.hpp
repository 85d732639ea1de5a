// The character encoder with one instruction set. Included once by each kernel's file of float32.
//
// A filter's score at a position is a sum of one row of its table for each character. All filters
// of a panel are computed at once, and their maxima stay in registers.

namespace elmo {
namespace {

// In a highway's panel the first half are carry gates, the second the transforms of the same
// columns, so that both meet in registers.
constexpr int64_t HIGHWAY = PANEL / 2;

int64_t pack_highway(int64_t size, const float* carry, const float* transform, float* packed) {
    const int64_t panels = ceil_div(size, HIGHWAY);
    for (int64_t column = 0; packed && column < panels * HIGHWAY; ++column) {
        float* panel = packed + column / HIGHWAY * panel_size(size);
        const int64_t place = column % HIGHWAY;
        pack_column(column < size ? carry + column * size : nullptr, size, panel, place);
        pack_column(column < size ? transform + column * size : nullptr, size, panel,
                    HIGHWAY + place);
    }
    return panels * panel_size(size);
}

int64_t pack_outputs(int64_t hidden_size, int64_t num_filters, const float* weight,
                     float* packed) {
    if (packed) pack_projection(weight, hidden_size, num_filters, packed);
    return ceil_div(hidden_size, PANEL) * panel_size(num_filters);
}

// Loads the values from `first` on of an array, (size,), and zeros after it.
ELMO_INLINE Vec load_from(const float* values, int64_t first, int64_t size) {
    return first < size ? load_some(values + first, size - first) : Vec{};
}
ELMO_INLINE void store_from(float* values, int64_t first, int64_t size, Vec stored) {
    if (first < size) store_some(values + first, stored, size - first);
}

// NaN stays NaN.
ELMO_INLINE Vec relu(Vec x) { return x < 0.0f ? Vec{} : x; }

struct HighwayOutputs {
    const ElmoHighway& highway;
    int64_t size;
    // (count, stride), each
    const float* inputs;
    float* outputs;
    int64_t stride;
    // (count, PANEL)
    float* partials;

    ELMO_INLINE float* partial(int64_t row, int64_t) const { return partials + row * PANEL; }
    ELMO_INLINE Vec begin(int64_t, int64_t panel, int part) const {
        const float* bias = part < 2 ? highway.carry_bias : highway.transform_bias;
        return load_from(bias, panel * HIGHWAY + part % 2 * LANES, size);
    }
    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&sums)[4]) const {
        for (int part = 0; part < 2; ++part) {
            const int64_t place = row * stride + panel * HIGHWAY + part * LANES;
            const Vec x = load(inputs + place);
            store(outputs + place, x + sigmoid(sums[part]) * (relu(sums[2 + part]) - x));
        }
    }
};

struct ProjectedOutputs {
    const float* bias;
    int64_t hidden_size;
    // (count, hidden_size)
    float* outputs;
    // (count, PANEL)
    float* partials;

    ELMO_INLINE float* partial(int64_t row, int64_t) const { return partials + row * PANEL; }
    ELMO_INLINE Vec begin(int64_t, int64_t panel, int part) const {
        return load_from(bias, panel * PANEL + part * LANES, hidden_size);
    }
    ELMO_INLINE void end(int64_t row, int64_t panel, const Vec (&sums)[4]) const {
        for (int part = 0; part < 4; ++part)
            store_from(outputs + row * hidden_size, panel * PANEL + part * LANES, hidden_size,
                       sums[part]);
    }
};

ELMO_INLINE int64_t features_stride(int64_t num_filters) { return panels_stride(num_filters); }

// Returns the number of windows that may differ: all that begin within the padding are equal.
ELMO_INLINE int64_t windows(const int16_t* ids, int64_t characters, int64_t width) {
    int64_t length = characters - 1;
    while (length > 0 && ids[length - 1] == ids[characters - 1]) --length;
    return smaller(length + 1, characters - width + 1);
}

// Returns a panel's maxima in `maxima`.
ELMO_INLINE void convolve(const float* table, int64_t width, int64_t num_characters,
                          const int16_t* ids, int64_t positions, Vec (&maxima)[4]) {
    for (Vec& maximum : maxima) maximum = all(-__builtin_inff());
    for (int64_t position = 0; position < positions; ++position) {
        Vec sums[4] = {};
        const float* rows = table;
        for (int64_t offset = 0; offset < width; ++offset, rows += num_characters * PANEL) {
            const float* row = rows + ids[position + offset] * PANEL;
            for (int part = 0; part < 4; ++part) sums[part] += load(row + part * LANES);
        }
        for (int part = 0; part < 4; ++part)
            maxima[part] = sums[part] > maxima[part] ? sums[part] : maxima[part];
    }
}

class Encoder {
public:
    Encoder(const ElmoEncoder& encoder, const ElmoWords& words, int64_t first, int64_t count,
            const EncoderScratch& scratch, Team& team, int64_t member)
        : encoder_(encoder),
          words_(words),
          first_(first),
          count_(count),
          scratch_(scratch),
          team_(team),
          member_(member),
          stride_(features_stride(encoder.num_filters)),
          first_row_(share(count, member)),
          last_row_(share(count, member + 1)),
          partials_(scratch.partials + member * count * PANEL) {}

    void run() {
        for (int64_t row = first_row_; row < last_row_; ++row)
            std::memset(scratch_.features[0] + row * stride_, 0, stride_ * sizeof(float));
        if (words_.ids)
            filter();
        else
            copy_maxima();
        team_.wait();
        for (int64_t layer = 0; layer < encoder_.num_highways; ++layer) {
            highway(layer);
            team_.wait();
        }
        project();
        // the next block uses the same memory
        team_.wait();
    }

private:
    int64_t share(int64_t size, int64_t member) const { return size * member / team_.size(); }

    void filter() {
        int64_t filters = 0;
        for (int64_t place = 0; place < encoder_.num_convolutions; ++place) {
            const ElmoConvolution& part = encoder_.convolutions[place];
            const int64_t panel_floats = part.width * encoder_.num_characters * PANEL;
            // each panel for all words: then its common characters are in a cache
            for (int64_t panel = 0; panel < ceil_div(part.number, PANEL); ++panel)
                for (int64_t row = first_row_; row < last_row_; ++row) {
                    const int16_t* ids = words_.ids + (first_ + row) * words_.characters;
                    Vec maxima[4];
                    convolve(part.table + panel * panel_floats, part.width,
                             encoder_.num_characters, ids,
                             windows(ids, words_.characters, part.width), maxima);
                    for (int vector = 0; vector < 4; ++vector)
                        activate(row, filters + panel * PANEL + vector * LANES,
                                 filters + part.number, maxima[vector]);
                }
            filters += part.number;
        }
    }

    void copy_maxima() {
        const int64_t size = encoder_.num_filters;
        for (int64_t row = first_row_; row < last_row_; ++row)
            for (int64_t column = 0; column < size; column += LANES)
                activate(row, column, size,
                         load_from(words_.maxima + (first_ + row) * size, column, size));
    }

    // Stores the columns from `column` to before `end` of a vector of maxima.
    ELMO_INLINE void activate(int64_t row, int64_t column, int64_t end, Vec maxima) {
        const Vec scores = maxima + load_from(encoder_.filter_bias, column, end);
        store_from(scratch_.features[0] + row * stride_, column, end,
                   encoder_.tanh ? hyperbolic_tangent(scores) : relu(scores));
    }

    void highway(int64_t layer) {
        const int64_t size = encoder_.num_filters, panels = ceil_div(size, HIGHWAY);
        const HighwayOutputs operation{encoder_.highways[layer], size,
                                       scratch_.features[layer % 2],
                                       scratch_.features[(layer + 1) % 2], stride_, partials_};
        multiply_panels(operation, scratch_.rows[layer % 2], count_,
                        encoder_.highways[layer].weights, size, share(panels, member_),
                        share(panels, member_ + 1));
    }

    void project() {
        const int64_t last = encoder_.num_highways % 2, hidden_size = encoder_.hidden_size;
        float* outputs = words_.outputs + first_ * hidden_size;
        if (!encoder_.projection) {
            for (int64_t row = first_row_; row < last_row_; ++row)
                std::memcpy(outputs + row * hidden_size, scratch_.rows[last][row],
                            hidden_size * sizeof(float));
            return;
        }
        const int64_t panels = ceil_div(hidden_size, PANEL);
        const ProjectedOutputs operation{encoder_.projection_bias, hidden_size, outputs, partials_};
        multiply_panels(operation, scratch_.rows[last], count_, encoder_.projection,
                        encoder_.num_filters, share(panels, member_), share(panels, member_ + 1));
    }

    const ElmoEncoder& encoder_;
    const ElmoWords& words_;
    const int64_t first_, count_;
    const EncoderScratch& scratch_;
    Team& team_;
    const int64_t member_, stride_, first_row_, last_row_;
    float* const partials_;
};

void encode(const ElmoEncoder& encoder, const ElmoWords& words, int64_t first, int64_t count,
            const EncoderScratch& scratch, Team& team, int64_t member) {
    Encoder(encoder, words, first, count, scratch, team, member).run();
}

}  // namespace

#define ELMO_JOIN(name, suffix) name##suffix
#define ELMO_ENCODER(name) ELMO_JOIN(name, _encoder)

extern const EncoderKernel ELMO_ENCODER(ELMO_KERNEL) = {PANEL, pack_highway, pack_outputs,
                                                        features_stride, encode};

}  // namespace elmo

// From the layers of a file to one program a pipeline stage. Every decision that the format leaves
// open is made here and stated by state_decisions().
#include <algorithm>
#include <fmt/format.h>

#include "traces/program_builder.hpp"
#include "traces/simai/simai.hpp"

namespace weft::simai {
namespace {

enum FamilyIndex : std::size_t { kTp, kEp, kDp, kDpEp, kPp, kFamilies };
constexpr std::array<const char*, kFamilies> kFamilyNames{"TP", "EP", "DP", "DP_EP", "PP"};
constexpr std::uint32_t kUnused = ~0U;

/// What AICB writes where it has no compute time.
constexpr SimDuration kPlaceholder = ns(1);

struct Degrees {
    std::uint32_t world = 1, tp = 1, ep = 1, dp = 1, pp = 1;
    [[nodiscard]] std::array<GroupFamily, kFamilies> families() const {
        std::array<GroupFamily, kFamilies> f;
        const std::array<std::pair<std::uint32_t, std::uint32_t>, kFamilies> rules{
            {{tp, 1}, {ep, tp}, {dp, tp}, {dp / ep, tp * ep}, {pp, world / pp}}};
        for (std::size_t i = 0; i < kFamilies; ++i) {
            f[i].name = kFamilyNames[i];
            f[i].groups.size = rules[i].first;
            f[i].groups.stride = rules[i].second;
        }
        return f;
    }
};

[[noreturn]] void reject(const Header& h, const std::string& file, const std::string& key,
                         const std::string& found, const std::string& expected,
                         const std::string& example) {
    throw ConfigError({.file = file,
                       .line = h.line,
                       .key = key,
                       .found = found,
                       .expected = expected,
                       .example = example});
}

Degrees degrees_of(const Header& h, const std::string& file, const LoadOptions& options) {
    Degrees d;
    d.world = options.gpus != 0 ? options.gpus : h.world;
    if (d.world == 0)
        reject(h, file, "all_gpus", "no world size in the header",
               "the key all_gpus, or --gpus on the command line", "--gpus 64");
    if (d.world > kMaxWorld)
        reject(h, file, "all_gpus", std::to_string(d.world),
               fmt::format("at most {} ranks", kMaxWorld), "--gpus 64");
    d.tp = h.tp;
    if (!h.has_tp && h.policy == "MODEL") d.tp = d.world;
    d.ep = h.ep;
    d.pp = h.pp;
    const std::uint64_t replica = std::uint64_t{d.tp} * d.pp;
    if (replica > d.world)
        reject(h, file, "all_gpus", fmt::format("{} ranks", d.world),
               fmt::format("at least tp {} x pp {} = {} (a group is larger than the world)", d.tp,
                           d.pp, replica),
               std::to_string(replica));
    if (d.world % replica != 0)
        reject(h, file, "all_gpus", fmt::format("{} ranks", d.world),
               fmt::format("a multiple of tp {} x pp {} = {}", d.tp, d.pp, replica),
               std::to_string(replica * (d.world / replica)));
    d.dp = static_cast<std::uint32_t>(d.world / replica);
    if (d.dp % d.ep != 0)
        reject(h, file, "ep", std::to_string(d.ep),
               fmt::format("a divisor of the data-parallel width {} (= {} ranks / tp {} / pp {})",
                           d.dp, d.world, d.tp, d.pp),
               std::to_string(d.dp));
    return d;
}

/// Half-open range of layers.
struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
};

struct Sections {
    Range once;  // before the first micro-batch: gradients and optimiser
    std::vector<Range> microbatches;
    Range tail;  // after the last one: loss, norms, optimiser
    std::size_t embeddings = 0;
};

bool starts_with(const std::string& text, std::string_view start) {
    return std::string_view(text).substr(0, start.size()) == start;
}
bool opens_microbatch(const Layer& l) {
    return starts_with(l.name, "embedding_layer");
}
bool opens_tail(const Layer& l) {
    return starts_with(l.name, "cross_entropy") || starts_with(l.name, "optimizer");
}

Sections split(const File& f) {
    Sections s;
    std::vector<std::size_t> starts;
    for (std::size_t i = 0; i < f.layers.size(); ++i)
        if (opens_microbatch(f.layers[i])) starts.push_back(i);
    s.embeddings = starts.size();
    // Two embedding lines under "ga: 1" are two layers of one micro-batch.
    if (f.header.ga == 1 && starts.size() > 1) starts.erase(starts.begin() + 1, starts.end());
    if (starts.empty()) starts.push_back(0);
    s.once = {0, starts.front()};
    std::size_t tail = starts.back();
    while (tail < f.layers.size() && !opens_tail(f.layers[tail])) ++tail;
    s.tail = {tail, f.layers.size()};
    starts.push_back(tail);
    for (std::size_t i = 0; i + 1 < starts.size(); ++i)
        s.microbatches.push_back({starts[i], starts[i + 1]});
    return s;
}

/// The family of a collective: the suffix decides, else the column; and the parameter gather of a
/// once-per-step line is data-parallel in whichever column it stands.
FamilyIndex family_of(const Comm& c, std::size_t column, bool once) {
    if (c.group == Group::kEp) return kEp;
    if (c.group == Group::kDpEp) return kDpEp;
    if (column == 2 || (once && c.kind == Collective::kAllGather)) return kDp;
    return kTp;
}

struct Counts {
    std::uint64_t executed = 0;      // group-collectives over the world
    std::uint64_t empty = 0;         // of 0 bytes
    std::uint64_t alone = 0;         // in groups of one
    std::uint64_t placeholders = 0;  // compute columns of 1 ns
    bool has_compute = false;
    bool gather_moved = false;  // an all-gather that the column alone would send over TP
    std::array<bool, kFamilies> used{};
};

struct Job {
    const File* file;
    Degrees degrees;
    Sections sections;
    std::array<GroupFamily, kFamilies> families;
    std::array<std::uint32_t, kFamilies> index{};  // in Workload::families, kUnused if none
};

Counts count(const Job& job) {
    Counts n;
    for (std::size_t i = 0; i < job.file->layers.size(); ++i) {
        const bool once = i < job.sections.once.end;
        for (std::size_t c = 0; c < 3; ++c) {
            const Column& column = job.file->layers[i].columns[c];
            n.has_compute |= column.compute > kPlaceholder;
            n.placeholders += column.compute == kPlaceholder ? 1 : 0;
            if (!column.comm) continue;
            const FamilyIndex family = family_of(*column.comm, c, once);
            const std::uint32_t size = job.families[family].groups.size;
            const std::uint64_t groups = job.degrees.world / size;
            if (column.comm->size == Bytes{0}) {
                n.empty += groups;
            } else if (size == 1) {
                n.alone += groups;
            } else {
                n.executed += groups;
                n.used[family] = true;
                n.gather_moved |= family == kDp && c != 2;
            }
        }
    }
    n.used[kPp] = job.degrees.pp > 1;
    return n;
}

/// One stage's program.
class Stage {
  public:
    Stage(const Job& job, std::uint32_t stage)
        : job_(&job), stage_(stage), out_(fmt::format("stage {}", stage)) {}

    Program run() {
        const auto total = static_cast<std::uint32_t>(job_->sections.microbatches.size());
        // 1F1B (Narayanan et al., SC 2021, figure 4): as many forwards ahead as there are stages
        // behind this one, then one backward for each forward.
        const std::uint32_t ahead = std::min(job_->degrees.pp - stage_ - 1, total);
        std::uint32_t next_back = 0;
        for (std::uint32_t m = 0; m < total; ++m) {
            forward(m);
            if (m >= ahead) backward(next_back++);
        }
        while (next_back < total) backward(next_back++);
        step();
        return out_.take();
    }

  private:
    using Ops = std::vector<std::uint32_t>;

    void compute(SimDuration time) {
        if (time > kPlaceholder) now_ = Ops{out_.add(ComputeOp{time}, now_)};
    }
    /// The collective's op, or none when it does nothing.
    std::optional<std::uint32_t> collective(const Layer& l, std::size_t column, bool once,
                                            const Ops& after) {
        const std::optional<Comm>& comm = l.columns[column].comm;
        if (!comm || comm->size == Bytes{0}) return std::nullopt;
        const std::uint32_t family = job_->index[family_of(*comm, column, once)];
        if (family == kUnused) return std::nullopt;
        return out_.add(CollectiveOp{comm->kind, family, comm->size}, after);
    }
    void blocking(const Layer& l, std::size_t column, bool once = false) {
        compute(l.columns[column].compute);
        if (const auto op = collective(l, column, once, now_)) now_ = Ops{*op};
    }
    void exchange(bool send, std::int32_t offset, std::uint32_t m, Phase phase) {
        const bool forward = phase == Phase::kForward;
        const char* const label = forward ? "activations" : "gradients of activations";
        out_.at(label, static_cast<std::int32_t>(m), phase);
        const P2pOp op{send, job_->index[kPp], offset, job_->file->header.pp_comm};
        const std::uint32_t id = out_.add(op, now_);
        if (!send) now_ = Ops{id};
    }

    void forward(std::uint32_t m) {
        if (stage_ > 0) exchange(false, -1, m, Phase::kForward);
        const Range range = job_->sections.microbatches[m];
        for (std::size_t i = range.begin; i < range.end; ++i) {
            const Layer& l = job_->file->layers[i];
            out_.at(l.name, static_cast<std::int32_t>(m), Phase::kForward);
            blocking(l, 0);
        }
        if (stage_ + 1 < job_->degrees.pp) exchange(true, +1, m, Phase::kForward);
    }
    void backward(std::uint32_t m) {
        if (stage_ + 1 < job_->degrees.pp) exchange(false, +1, m, Phase::kBackwardInput);
        const Range range = job_->sections.microbatches[m];
        for (std::size_t i = range.end; i-- > range.begin;) {
            const Layer& l = job_->file->layers[i];
            out_.at(l.name, static_cast<std::int32_t>(m), Phase::kBackwardInput);
            blocking(l, 1);
            out_.at(l.name, static_cast<std::int32_t>(m), Phase::kBackwardWeight);
            compute(l.columns[2].compute);
            if (const auto op = collective(l, 2, false, now_)) keep_last(pending_, *op);
        }
        if (stage_ > 0) exchange(true, -1, m, Phase::kBackwardInput);
    }

    /// Of each family only the last: a communicator runs in order.
    void keep_last(std::array<std::optional<std::uint32_t>, kFamilies>& last, std::uint32_t op) {
        last[family_slot(op)] = op;
    }
    std::size_t family_slot(std::uint32_t op) const {
        const auto& what = std::get<CollectiveOp>(out_.op(op).what);
        return static_cast<std::size_t>(
            std::find(job_->index.begin(), job_->index.end(), what.family) - job_->index.begin());
    }
    void wait_for(const std::array<std::optional<std::uint32_t>, kFamilies>& last) {
        for (const auto& op : last)
            if (op) now_.push_back(*op);
    }

    /// Once a step: reductions together, then norms and losses, the optimiser's compute, gathers.
    void step() {
        const auto& layers = job_->file->layers;
        wait_for(pending_);
        std::array<std::optional<std::uint32_t>, kFamilies> reduced{};
        once([&](const Layer& l, std::size_t c) {
            if (l.columns[c].comm && l.columns[c].comm->kind != Collective::kAllGather)
                if (const auto op = collective(l, c, true, now_)) keep_last(reduced, *op);
        });
        if (std::any_of(reduced.begin(), reduced.end(),
                        [](const auto& r) { return r.has_value(); }))
            now_.clear();
        wait_for(reduced);
        for (std::size_t i = job_->sections.tail.begin; i < job_->sections.tail.end; ++i) {
            out_.at(layers[i].name, -1, Phase::kStep);
            for (std::size_t c = 0; c < 3; ++c) blocking(layers[i], c);
        }
        once([&](const Layer& l, std::size_t c) { compute(l.columns[c].compute); });
        once([&](const Layer& l, std::size_t c) {
            if (l.columns[c].comm && l.columns[c].comm->kind == Collective::kAllGather)
                collective(l, c, true, now_);
        });
    }
    template <class F>
    void once(const F& each) {
        for (std::size_t i = job_->sections.once.begin; i < job_->sections.once.end; ++i) {
            const Layer& l = job_->file->layers[i];
            out_.at(l.name, -1, Phase::kStep);
            for (std::size_t c = 0; c < 3; ++c) each(l, c);
        }
    }

    const Job* job_;
    std::uint32_t stage_;
    ProgramBuilder out_;
    Ops now_;  // what the next blocking op waits for
    std::array<std::optional<std::uint32_t>, kFamilies> pending_{};  // weight-gradient collectives
};

void state_header(const Job& job, std::vector<std::string>& say) {
    const Header& h = job.file->header;
    const Degrees& d = job.degrees;
    const std::size_t batches = job.sections.microbatches.size();
    say.push_back(
        fmt::format("parallelism: TP {}, EP {}, DP {}, PP {} on {} ranks, {} micro-batch{}", d.tp,
                    d.ep, d.dp, d.pp, d.world, batches, batches == 1 ? "" : "es"));
    if (h.world != 0 && h.world != d.world)
        say.push_back(
            fmt::format("the trace was made for {} ranks and is replayed on {}: the "
                        "data-parallel width changes, the work of each rank does not",
                        h.world, d.world));
    if (h.ga != 0 && h.ga != batches)
        say.push_back(
            fmt::format("the header says ga {}, the layers form {} micro-batches: the "
                        "layers are taken",
                        h.ga, batches));
    if (h.ga == 1 && job.sections.embeddings > 1)
        say.push_back(
            fmt::format("{} embedding_layer lines under ga 1 are taken as layers of one "
                        "micro-batch",
                        job.sections.embeddings));
    if (job.file->declared_layers != job.file->layers.size())
        say.push_back(
            fmt::format("line 2 of the trace says {} layers, {} are there: the file may "
                        "be cut short",
                        job.file->declared_layers, job.file->layers.size()));
    if (h.checkpoints > 0) say.push_back("activation recomputation (checkpoints) is not modelled");
    if (job.file->own_policies > 0)
        say.push_back("per-layer policies are read and not used: the column decides the group");
    if (job.file->ignored_broadcasts > 0)
        say.push_back(fmt::format("{} BROADCAST entries are ignored, as readers of this format do",
                                  job.file->ignored_broadcasts));
}

void state_schedule(const Job& job, std::vector<std::string>& say) {
    const Degrees& d = job.degrees;
    if (d.pp > 1) {
        say.push_back(
            "the trace holds the layers of one pipeline stage and every stage runs them: "
            "embedding and loss are counted on each stage");
        say.push_back(
            "pipeline schedule: 1F1B without interleaving (vpp is not used); a stage waits "
            "for what it receives, never for what it sends");
        say.push_back(
            job.file->header.pp_comm == Bytes{0}
                ? "the trace gives no pp_comm: stages wait for each other and move no bytes"
                : fmt::format("each rank sends pp_comm = {} a micro-batch to its peer in the next "
                              "stage, and as much back",
                              to_string(job.file->header.pp_comm)));
    } else if (job.file->header.policy != "MICRO") {
        say.push_back("no pipeline: forward and backward of each micro-batch in turn");
    }
    say.push_back(
        "forward and input-gradient collectives block; backward runs the layers in "
        "reverse: input gradient, its collective, weight gradient, and its collective "
        "beside what follows");
    if (job.sections.once.end > 0)
        say.push_back(
            "once a step, after the last backward and not overlapped with it: gradient "
            "reductions side by side, losses and norms, the optimiser's compute, "
            "parameter all-gathers");
}

void state_groups(const Counts& n, std::vector<std::string>& say) {
    say.push_back(
        "rank order tp-ep-dp-pp (Megatron's): TP ranks are consecutive, EP steps over TP "
        "groups, a pipeline stage is a block of consecutive ranks");
    say.push_back(
        "groups: forward and input-gradient collectives run over TP, weight-gradient ones "
        "over DP, unless the trace says _EP or _DP_EP");
    if (n.gather_moved)
        say.push_back(
            "the once-a-step ALLGATHER in the forward column is the distributed "
            "optimiser's parameter gather and runs over DP");
    say.push_back(
        "sizes: all-reduce a rank's buffer, all-gather the output, reduce-scatter the "
        "input, all-to-all a rank's send buffer (nccl-tests' totals)");
    if (!n.has_compute) {
        say.push_back("compute: none in the trace (every compute column is 1 ns or less)");
    } else if (n.placeholders > 0) {
        say.push_back(fmt::format("{} compute columns of 1 ns are placeholders, taken as none",
                                  n.placeholders));
    }
    say.push_back(fmt::format("{} group-collectives are executed", n.executed));
    if (n.empty > 0)
        say.push_back(
            fmt::format("{} group-collectives of 0 bytes in the trace are skipped", n.empty));
    if (n.alone > 0)
        say.push_back(fmt::format("{} collectives in groups of one rank do nothing and are skipped",
                                  n.alone));
}

}  // namespace

Workload make_workload(const File& f, const std::string& file, const LoadOptions& options) {
    Job job{&f, degrees_of(f.header, file, options), split(f), {}, {}};
    job.families = job.degrees.families();
    const Counts n = count(job);
    if (f.layers.size() > kMaxOps / 6 / job.degrees.pp)
        reject(f.header, file, "pp",
               fmt::format("{} layers on {} stages", f.layers.size(), job.degrees.pp),
               fmt::format("at most {} operations in all", kMaxOps), "pp: 8");
    Workload w;
    w.name = file.substr(file.find_last_of('/') + 1);
    w.world = job.degrees.world;
    w.has_compute = n.has_compute;
    for (std::size_t i = 0; i < kFamilies; ++i) {
        job.index[i] = n.used[i] ? static_cast<std::uint32_t>(w.families.size()) : kUnused;
        if (n.used[i]) w.families.push_back(job.families[i]);
    }
    for (std::uint32_t s = 0; s < job.degrees.pp; ++s) w.programs.push_back(Stage(job, s).run());
    w.program_of.resize(w.world);
    const std::uint32_t stage = w.world / job.degrees.pp;
    for (std::uint32_t r = 0; r < w.world; ++r) w.program_of[r] = r / stage;
    state_header(job, w.assumptions);
    state_schedule(job, w.assumptions);
    state_groups(n, w.assumptions);
    return w;
}

}  // namespace weft::simai

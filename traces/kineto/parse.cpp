#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

#include "traces/detail/json_record.hpp"
#include "traces/kineto/kineto.hpp"

namespace weft::kineto {
namespace {

using detail::Json;
using detail::JsonRecord;

constexpr double kMostMicros = 9e15;                // fits 63 bits of ns
constexpr double kLongestMicros = 30.0 * 86'400e6;  // 30 days
constexpr std::int64_t kMostElements = std::int64_t{1} << 50;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;
constexpr const char* kStepName = "ProfilerStep#";

std::string member(const Json& event, const char* key) {
    const auto found = event.find(key);
    return found != event.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

bool wanted(const Json& event) {
    if (member(event, "ph") != "X") return false;
    const std::string category = member(event, "cat");
    if (category == "kernel" || category == "gpu_memcpy" || category == "gpu_memset") return true;
    return (category == "user_annotation" || category == "gpu_user_annotation") &&
           member(event, "name").rfind(kStepName, 0) == 0;
}

/// Traces hold far more events of the host than of the GPU: those are dropped as they are read.
Json parse_events(const TraceText& trace) {
    constexpr int kEventDepth = 2;  // the file, traceEvents, an event
    const auto keep = [](int depth, Json::parse_event_t event, Json& parsed) {
        return event != Json::parse_event_t::object_end || depth != kEventDepth || wanted(parsed);
    };
    Json j = Json::parse(trace.text, keep, false);
    if (j.is_discarded())
        throw ConfigError({.file = trace.file,
                           .line = 0,
                           .key = {},
                           .found = "broken JSON",
                           .expected = "a whole trace of PyTorch's profiler",
                           .example = {}});
    return j;
}

class Parser {
  public:
    explicit Parser(const TraceText& trace)
        : json_(parse_events(trace)), root_(json_, trace.file, "") {}

    Trace run() {
        read_world();
        for (const JsonRecord& e : root_.list("traceEvents")) read_event(e);
        if (t_.kernels.empty())
            root_.fault("traceEvents", "no kernel of a GPU",
                        "events of category kernel: profile with ProfilerActivity.CUDA");
        t_.steps_on_gpu = !gpu_steps_.empty();
        for (const auto& [name, start] : t_.steps_on_gpu ? gpu_steps_ : cpu_steps_)
            t_.steps.push_back({name, start});
        std::stable_sort(t_.steps.begin(), t_.steps.end(),
                         [](const Step& a, const Step& b) { return a.start < b.start; });
        std::stable_sort(t_.kernels.begin(), t_.kernels.end(),
                         [](const Kernel& a, const Kernel& b) { return a.start < b.start; });
        return std::move(t_);
    }

  private:
    void read_world() {
        if (!root_.has("distributedInfo")) return;
        const JsonRecord info = root_.object("distributedInfo");
        t_.world = static_cast<std::uint32_t>(info.number("world_size", 1, kMaxWorld));
        t_.rank = static_cast<std::uint32_t>(info.number("rank", 0, t_.world - 1));
        if (!info.has("pg_config") || !info.at("pg_config").is_array()) return;
        for (const JsonRecord& group : info.list("pg_config")) {
            if (!group.has("ranks") || !group.at("ranks").is_array()) continue;
            torch::Ranks& ranks = groups_[group.text_or("pg_name", "")];
            ranks = {};
            for (const Json& rank : group.at("ranks"))
                if (rank.is_number_unsigned() && rank.get<std::uint64_t>() < t_.world)
                    ranks.listed.push_back(rank.get<std::uint32_t>());
        }
    }

    static std::int64_t nanos(double micros) { return std::llround(micros * 1000); }

    void read_event(const JsonRecord& e) {
        const std::int64_t start = nanos(e.real("ts", 0, kMostMicros));
        const std::string name = e.text_or("name", "");
        const std::string category = e.text("cat");
        if (category == "user_annotation" || category == "gpu_user_annotation") {
            auto& steps = category == "user_annotation" ? cpu_steps_ : gpu_steps_;
            const auto [step, fresh] = steps.try_emplace(name, start);
            if (!fresh) step->second = std::min(step->second, start);
            return;
        }
        check_device(e);
        Kernel k;
        k.start = start;
        k.end = start + nanos(e.real("dur", 0, kLongestMicros));
        if (category == "kernel") k.comm = read_comm(e, name);
        t_.kernels.push_back(std::move(k));
    }

    void check_device(const JsonRecord& e) {
        if (!e.has("pid") || !e.at("pid").is_number_integer()) return;
        const auto device = e.at("pid").get<std::int64_t>();
        if (device_ && *device_ != device)
            e.fault("pid", fmt::format("kernels of GPU {} and GPU {}", *device_, device),
                    "the trace of one rank with one GPU");
        device_ = device;
    }

    std::optional<Comm> read_comm(const JsonRecord& e, const std::string& kernel) {
        const bool nccl = kernel.rfind("nccl", 0) == 0 || kernel.rfind("rccl", 0) == 0;
        const bool has_args = e.has("args") && e.at("args").is_object();
        if (!has_args || !e.object("args").has("Collective name")) {
            if (nccl)
                e.fault(
                    "args", "a kernel " + kernel + " without \"Collective name\"",
                    "sizes of collectives, as newer versions of PyTorch's profiler record them");
            return std::nullopt;
        }
        const JsonRecord args = e.object("args");
        Comm c;
        c.name = args.text("Collective name");
        if (torch::is_message(c.name))
            args.fault("Collective name", c.name,
                       "no pipeline stages: one rank's trace does not show what others run");
        const auto kind = torch::collective_of(c.name);
        if (!kind)
            args.fault("Collective name", c.name,
                       "allreduce, allgather, reduce_scatter, all_to_all, broadcast or barrier");
        c.kind = *kind;
        c.size = size_of(args);
        c.group_size = static_cast<std::uint32_t>(args.number("Group size", 1, kMaxWorld));
        c.group = args.text_or("Process Group Name", "");
        c.description = args.text_or("Process Group Description", "");
        const auto whole = groups_.find(c.group);
        if (whole != groups_.end() && whole->second.listed.size() == c.group_size)
            c.ranks = whole->second;
        else if (const auto listed = torch::parse_ranks(ranks_of(args)))
            c.ranks = *listed;
        if (c.group_size == 1) return std::nullopt;  // a copy
        return c;
    }

    /// A text, which older versions wrote as a list.
    static std::string ranks_of(const JsonRecord& args) {
        constexpr const char* kKey = "Process Group Ranks";
        if (!args.has(kKey) || !args.at(kKey).is_array()) return args.text_or(kKey, "");
        std::string text = "[";
        for (const Json& rank : args.at(kKey)) {
            if (!rank.is_number_unsigned()) return {};
            text += std::to_string(rank.get<std::uint64_t>()) + ",";
        }
        return text + "]";
    }

    static Bytes size_of(const JsonRecord& args) {
        const std::int64_t elements = std::max(args.number("In msg nelems", 0, kMostElements),
                                               args.number("Out msg nelems", 0, kMostElements));
        const std::int64_t bytes = torch::element_bytes(args.text("dtype"));
        if (bytes == 0) args.fault("dtype", args.text("dtype"), "a type of PyTorch: BFloat16");
        if (elements > kMostBytes / bytes)
            args.fault("Out msg nelems", std::to_string(elements), "at most 1 PiB");
        return Bytes{elements * bytes};
    }

    Json json_;
    JsonRecord root_;
    Trace t_;
    std::optional<std::int64_t> device_;
    std::map<std::string, torch::Ranks> groups_;     // whole, by name; events cut long ones short
    std::map<std::string, std::int64_t> gpu_steps_;  // name > earliest start
    std::map<std::string, std::int64_t> cpu_steps_;
};

}  // namespace

bool recognises(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && text[first] == '{' &&
           text.find("\"traceEvents\"") != std::string_view::npos;
}

Trace parse(const TraceText& trace) {
    return Parser(trace).run();
}

Workload read(const TraceText& trace, const LoadOptions& options) {
    return make_workload(parse(trace), trace.file, options);
}

}  // namespace weft::kineto

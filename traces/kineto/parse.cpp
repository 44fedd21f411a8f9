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
    if (!event.is_object()) return false;
    if (member(event, "ph") != "X") return false;
    const std::string category = member(event, "cat");
    if (category == "kernel" || category == "gpu_memcpy" || category == "gpu_memset") return true;
    return (category == "user_annotation" || category == "gpu_user_annotation") &&
           member(event, "name").rfind(kStepName, 0) == 0;
}

[[noreturn]] void broken(const TraceText& trace) {
    throw ConfigError({.file = trace.file,
                       .line = 0,
                       .key = {},
                       .found = "broken JSON",
                       .expected = "a whole trace of PyTorch's profiler",
                       .example = {}});
}

Json parsed(const TraceText& trace, std::string_view text) {
    Json j = Json::parse(text.begin(), text.end(), nullptr, false);
    if (j.is_discarded()) broken(trace);
    return j;
}

/// Finds its way over JSON without reading it: positions in a text, its size at the end.
struct Scanner {
    std::string_view text;

    [[nodiscard]] char at(std::size_t i) const { return i < text.size() ? text[i] : '\0'; }
    [[nodiscard]] std::size_t space(std::size_t i) const {
        return std::min(text.find_first_not_of(" \t\r\n", i), text.size());
    }
    /// Past the string that begins at `i`.
    [[nodiscard]] std::size_t string(std::size_t i) const {
        for (++i; i < text.size() && text[i] != '"'; ++i)
            if (text[i] == '\\') ++i;
        return std::min(i + 1, text.size());
    }
    /// Past the value that begins at `i`.
    [[nodiscard]] std::size_t value(std::size_t i) const {
        std::size_t depth = 0;
        while (i < text.size()) {
            const char c = text[i];
            if (depth == 0 && (c == ',' || c == ']' || c == '}')) break;
            i = c == '"' ? string(i) : i + 1;
            if (c == '{' || c == '[') ++depth;
            if ((c == '}' || c == ']') && --depth == 0) break;
        }
        return i;
    }
    /// Where the list begins that the outer object holds under `key`; the size if it holds none.
    [[nodiscard]] std::size_t list(std::string_view key) const {
        std::size_t i = space(0);
        do {
            i = space(i + 1);  // past the brace or the comma
            if (at(i) != '"') break;
            const std::size_t end = string(i);
            const std::string_view name = text.substr(i + 1, end - i - 2);
            i = space(end);
            if (at(i) != ':') break;
            i = space(i + 1);
            if (name == key && at(i) == '[') return i;
            i = space(value(i));
        } while (at(i) == ',');
        return text.size();
    }
};

struct Events {
    Json rest;                                         // the file, its list of events empty
    std::vector<std::pair<std::size_t, Json>> wanted;  // by number in the list
};

/// Traces hold far more events of the host than of the GPU: each is dropped as it is read.
Events parse_events(const TraceText& trace) {
    const Scanner scan{trace.text};
    const std::size_t first = scan.list("traceEvents");
    if (first == trace.text.size()) return {parsed(trace, trace.text), {}};
    Events events;
    std::size_t i = scan.space(first + 1);
    for (std::size_t number = 0; scan.at(i) != ']'; ++number) {
        const std::size_t end = scan.value(i);
        Json event = parsed(trace, scan.text.substr(i, end - i));
        if (wanted(event)) events.wanted.emplace_back(number, std::move(event));
        i = scan.space(end);
        if (scan.at(i) == ',')
            i = scan.space(i + 1);
        else if (scan.at(i) != ']')
            broken(trace);
    }
    events.rest = parsed(trace, trace.text.substr(0, first + 1) + trace.text.substr(i));
    return events;
}

class Parser {
  public:
    explicit Parser(const TraceText& trace)
        : file_(trace.file), events_(parse_events(trace)), root_(events_.rest, file_, "") {}

    Trace run() {
        read_world();
        if (!root_.at("traceEvents").is_array())
            root_.fault("traceEvents", root_.at("traceEvents").type_name(), "a list");
        for (const auto& [number, event] : events_.wanted)
            read_event(JsonRecord(event, file_, fmt::format("traceEvents[{}]", number)));
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
                       "allreduce, allgather, reduce_scatter, all_to_all, broadcast, reduce, "
                       "gather, scatter or barrier");
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

    const std::string& file_;
    Events events_;
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

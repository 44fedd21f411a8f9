#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "traces/simai/simai.hpp"

namespace weft::simai {
namespace {

constexpr std::size_t kMaxLayers = 2'000'000;
constexpr std::uint64_t kMaxBytesField = std::uint64_t{1} << 50;  // 1 PiB
constexpr std::uint64_t kMaxComputeNs = 3'600'000'000'000;        // an hour
constexpr std::uint64_t kMaxDegree = kMaxWorld;

constexpr const char* kHeaderExample =
    "HYBRID_TRANSFORMER_FWD_IN_BCKWD model_parallel_NPU_group: 8 ep: 1 pp: 1 vpp: 8 ga: 1 "
    "all_gpus: 64 checkpoints: 0 checkpoint_initiates: 0 pp_comm: 0";
constexpr const char* kLayerExample =
    "attention_column -1 910000 ALLGATHER 41943040 910000 NONE 0 910000 NONE 0 100";

/// Parallelisation policies of the text form; all but one give a layer 12 columns.
constexpr std::array<std::string_view, 13> kPolicies{"MICRO",
                                                     "DATA",
                                                     "MODEL",
                                                     "HYBRID",
                                                     "HYBRID_DATA_MODEL",
                                                     "HYBRID_MODEL_DATA",
                                                     "HYBRID_TRANSFORMER",
                                                     "HYBRID_TRANSFORMER_FWD_IN_BCKWD",
                                                     "HYBRID_DLRM",
                                                     "DLRM",
                                                     "HYBRID_DLRM_ENHANCED",
                                                     "DISTRIBUTED_INFERENCE",
                                                     "HYBRID_CUSTOMIZED"};

bool is_policy(std::string_view word) {
    return std::find(kPolicies.begin(), kPolicies.end(), word) != kPolicies.end();
}

std::string policies() {
    std::string all;
    for (const std::string_view p : kPolicies) all += (all.empty() ? "" : ", ") + std::string(p);
    return all;
}

std::vector<std::string_view> words_of(std::string_view line) {
    constexpr std::string_view kBlank = " \t\r\v\f";
    std::vector<std::string_view> words;
    for (std::size_t at = line.find_first_not_of(kBlank); at != std::string_view::npos;) {
        const std::size_t end = std::min(line.find_first_of(kBlank, at), line.size());
        words.push_back(line.substr(at, end - at));
        at = line.find_first_not_of(kBlank, end);
    }
    return words;
}

class Parser {
  public:
    explicit Parser(const TraceText& trace) : file_(trace.file), rest_(trace.text) {}

    File run() {
        std::vector<std::string_view> words = next_line("the policy and the parallel degrees");
        parse_header(words);
        words = next_line("the number of layers");
        if (words.size() != 1)
            reject("number of layers", fmt::format("{} words", words.size()), "one number", "92");
        out_.declared_layers = whole("number of layers", words.front(), 0, kMaxLayers);
        while (next_words(words)) {
            if (out_.layers.size() == kMaxLayers)
                reject("layers", "more lines", fmt::format("at most {}", kMaxLayers), "");
            parse_layer(words);
        }
        if (out_.layers.empty())
            reject("layers", "the end of the file", "a layer line", kLayerExample);
        return std::move(out_);
    }

  private:
    [[noreturn]] void reject(const std::string& key, std::string_view found,
                             const std::string& expected, const std::string& example) const {
        throw ConfigError({.file = file_,
                           .line = line_,
                           .key = key,
                           .found = printable(found),
                           .expected = expected,
                           .example = example});
    }

    /// The next line that is not blank; false at the end.
    bool next_words(std::vector<std::string_view>& words) {
        while (!rest_.empty()) {
            const std::size_t end = std::min(rest_.find('\n'), rest_.size());
            const std::string_view line = rest_.substr(0, end);
            rest_.remove_prefix(std::min(end + 1, rest_.size()));
            ++line_;
            words = words_of(line);
            if (!words.empty()) return true;
        }
        return false;
    }
    std::vector<std::string_view> next_line(const std::string& what) {
        std::vector<std::string_view> words;
        if (!next_words(words)) reject(what, "the end of the file", what, "");
        return words;
    }

    /// "12" or, as some generators write, "12.0".
    std::uint64_t whole(const std::string& key, std::string_view text, std::uint64_t low,
                        std::uint64_t high) const {
        std::uint64_t value = 0;
        const char* const last = text.data() + text.size();
        const auto [end, error] = std::from_chars(text.data(), last, value);
        std::string_view tail(end, static_cast<std::size_t>(last - end));
        if (tail.size() > 1 && tail.front() == '.' &&
            tail.find_first_not_of('0', 1) == std::string_view::npos)
            tail = {};
        if (error != std::errc{} || !tail.empty() || value < low || value > high)
            reject(key, text, fmt::format("a whole number from {} to {}", low, high),
                   std::to_string(std::max<std::uint64_t>(low, 8)));
        return value;
    }

    void parse_header(const std::vector<std::string_view>& words) {
        Header& h = out_.header;
        h.line = line_;
        if (!is_policy(words.front()))
            reject("policy", words.front(), "one of " + policies(), kHeaderExample);
        h.policy = words.front();
        std::vector<std::string> seen;
        for (std::size_t i = 1; i < words.size();) {
            const std::string_view word = words[i++];
            const std::size_t colon = word.find(':');
            const std::string key(word.substr(0, colon));
            if (std::find(seen.begin(), seen.end(), key) != seen.end())
                reject(printable(key), "the key again", "each key once", kHeaderExample);
            seen.push_back(key);
            std::string_view value;
            if (colon != std::string_view::npos && colon + 1 < word.size())
                value = word.substr(colon + 1);  // "key:value" in one word
            else if (i < words.size())
                value = words[i++];
            else
                reject(printable(key), "the end of the line", "a number", kHeaderExample);
            for (std::size_t listed = take_key(key, value, words.size() - i); listed > 0; --listed)
                whole(key, words[i++], 0, kMaxLayers);
        }
    }

    /// Returns how many of the `left` words that follow belong to the key.
    std::size_t take_key(const std::string& key, std::string_view value, std::size_t left) {
        Header& h = out_.header;
        const auto degree = [&] {
            return static_cast<std::uint32_t>(whole(key, value, 1, kMaxDegree));
        };
        if (key == "model_parallel_NPU_group") {
            h.tp = degree();
            h.has_tp = true;
        } else if (key == "ep") {
            h.ep = degree();
        } else if (key == "pp") {
            h.pp = degree();
        } else if (key == "vpp") {
            h.vpp = static_cast<std::uint32_t>(whole(key, value, 0, kMaxDegree));
        } else if (key == "ga") {
            h.ga = degree();
        } else if (key == "all_gpus") {
            h.world = degree();
        } else if (key == "pp_comm") {
            h.pp_comm = Bytes{static_cast<std::int64_t>(whole(key, value, 0, kMaxBytesField))};
            h.has_pp_comm = true;
        } else if (key == "checkpoints" || key == "checkpoint_initiates") {
            const std::uint64_t listed = whole(key, value, 0, kMaxLayers);
            if (listed > left)
                reject(key, fmt::format("{} with {} words left", listed, left),
                       "a count and then as many layer numbers", "checkpoints: 2 0 4");
            if (key == "checkpoints") h.checkpoints = listed;
            return static_cast<std::size_t>(listed);
        } else {
            reject(printable(key), "an unknown key",
                   "one of " +
                       suggest(key, {"model_parallel_NPU_group", "ep", "pp", "vpp", "ga",
                                     "all_gpus", "checkpoints", "checkpoint_initiates", "pp_comm"}),
                   kHeaderExample);
        }
        return 0;
    }

    void parse_layer(const std::vector<std::string_view>& words) {
        const bool customized = out_.header.policy == "HYBRID_CUSTOMIZED";
        const std::size_t columns = customized ? 13 : 12;
        if (words.size() != columns)
            reject("layer " + printable(words.front(), 40), fmt::format("{} columns", words.size()),
                   fmt::format("{} columns (name, dependency, three times compute ns, collective, "
                               "bytes, then the update time{})",
                               columns, customized ? " and a policy" : ""),
                   kLayerExample);
        Layer l;
        l.line = line_;
        l.name = printable(words[0], 80);
        static constexpr std::array<const char*, 3> kPhase{"forward", "input gradient",
                                                           "weight gradient"};
        for (std::size_t c = 0; c < 3; ++c) {
            const std::string key = l.name + "." + kPhase[c];
            const std::uint64_t compute =
                whole(key + " compute", words[2 + 3 * c], 0, kMaxComputeNs);
            l.columns[c].compute = ns(static_cast<std::int64_t>(compute));
            l.columns[c].comm = comm(key, words[3 + 3 * c], words[4 + 3 * c]);
        }
        whole(l.name + ".update time", words[11], 0, kMaxComputeNs);
        if (customized) {
            if (!is_policy(words[12]))
                reject(l.name + ".policy", words[12], "one of " + policies(), "HYBRID_TRANSFORMER");
            ++out_.own_policies;
        }
        out_.layers.push_back(std::move(l));
    }

    std::optional<Comm> comm(const std::string& key, std::string_view token,
                             std::string_view size) {
        Comm c;
        c.size = Bytes{static_cast<std::int64_t>(whole(key + " bytes", size, 0, kMaxBytesField))};
        std::string_view name = token;
        const auto strip = [&](std::string_view suffix) {
            const bool found =
                name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
            if (found) name.remove_suffix(suffix.size());
            return found;
        };
        if (strip("_DP_EP"))
            c.group = Group::kDpEp;
        else if (strip("_EP"))
            c.group = Group::kEp;
        if (token == "NONE") return std::nullopt;
        if (token == "BROADCAST") {
            ++out_.ignored_broadcasts;
            return std::nullopt;
        }
        static constexpr std::array<std::pair<std::string_view, Collective>, 4> kKinds{{
            {"ALLREDUCE", Collective::kAllReduce},
            {"ALLGATHER", Collective::kAllGather},
            {"REDUCESCATTER", Collective::kReduceScatter},
            {"ALLTOALL", Collective::kAllToAll},
        }};
        for (const auto& [text, kind] : kKinds)
            if (name == text) {
                c.kind = kind;
                return c;
            }
        reject(
            key + " collective", token,
            "NONE, ALLREDUCE, ALLGATHER, REDUCESCATTER or ALLTOALL, with _EP or _DP_EP if need be",
            "ALLTOALL_EP");
    }

    std::string file_;
    std::string_view rest_;
    int line_ = 0;
    File out_;
};

}  // namespace

bool recognises(std::string_view text) {
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) return false;
    const std::size_t end = std::min(text.find_first_of(" \t\r\n:", start), text.size());
    return is_policy(text.substr(start, end - start));
}

File parse(const TraceText& trace) {
    return Parser(trace).run();
}

Workload read(const TraceText& trace, const LoadOptions& options) {
    return make_workload(parse(trace), trace.file, options);
}

}  // namespace weft::simai

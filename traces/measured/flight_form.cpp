// Measured times from PyTorch's NCCL flight recorder, dumped as JSON: torch._C._distributed_c10d.
// _dump_nccl_trace_json() of one rank, or of several laid end to end. Durations are those of the
// kernels, and there only where TORCH_NCCL_ENABLE_TIMING=1 was set.
#include <cmath>
#include <fmt/format.h>

#include "traces/detail/json_values.hpp"
#include "traces/measured/forms.hpp"
#include "traces/torch/torch.hpp"

namespace weft::measured {
namespace {

using detail::Json;
using detail::JsonRecord;

class FlightReader {
  public:
    explicit FlightReader(const std::string& file) : file_(file) {}

    void read_dump(const JsonRecord& dump) {
        groups_.clear();
        if (dump.has("pg_config"))
            for (const auto& [name, unused] : dump.at("pg_config").items()) read_group(dump, name);
        if (!dump.has("entries")) return;
        for (const JsonRecord& entry : dump.list("entries")) read_entry(entry);
    }

    MeasuredTimes finish() {
        if (all_.empty())
            reject(file_, 0, "entries",
                   fmt::format("{} collectives, none with duration_ms", collectives_),
                   "durations: run the job with TORCH_NCCL_ENABLE_TIMING=1", {});
        MeasuredTimes times;
        times.file = file_;
        all_.give(times, "PyTorch's flight recorder");
        return times;
    }

  private:
    void read_group(const JsonRecord& dump, const std::string& name) {
        const JsonRecord config = dump.object("pg_config").object(name.c_str());
        const auto ranks = torch::parse_ranks(config.text("ranks"));
        if (!ranks || ranks->cut) config.fault("ranks", config.text("ranks"), "[0, 1, 2, 3]");
        const std::string described = config.text_or("desc", "");
        const bool plain = described.empty() || described == "undefined";
        groups_[name] =
            all_.group({plain ? "group " + name : described,
                        static_cast<std::uint32_t>(ranks->listed.size()), ranks->listed});
    }

    void read_entry(const JsonRecord& e) {
        const std::string name = e.text("profiling_name");
        const auto kind = torch::collective_of(name);
        if (!kind || torch::is_message(name)) return;
        ++collectives_;
        if (!e.has("duration_ms")) return;  // not ended, or not timed
        constexpr double kMostMs = static_cast<double>(kMostPs) / 1e9;
        const SimDuration time{std::llround(e.real("duration_ms", 0, kMostMs) * 1e9)};
        const auto group = groups_.find(group_of(e));
        if (group == groups_.end())
            e.fault("process_group", group_of(e), "a group that pg_config lists");
        const Bytes size = total_of(e, *kind, all_.ranks(group->second));
        if (time == SimDuration{0} || size == Bytes{0}) return;
        constexpr std::int64_t kMost = std::int64_t{1} << 62;
        const std::string run = fmt::format("{}/{}", e.number("collective_seq_id", 0, kMost),
                                            e.has("op_id") ? e.number("op_id", 0, kMost) : 0);
        all_.add(group->second, *kind, size, run, time);
    }

    /// Gather's large side shows at the root alone, the other at every rank.
    static Bytes total_of(const JsonRecord& e, Collective kind, std::uint32_t ranks) {
        const Bytes input = bytes_of(e, "input");
        const Bytes output = bytes_of(e, "output");
        if (kind != Collective::kGather && kind != Collective::kScatter)
            return std::max(input, output);
        const Bytes block = kind == Collective::kGather ? input : output;
        if (block.count() > kMostBytes / ranks)
            e.fault("input_sizes", "more than 1 PiB of all ranks together", "at most 1 PiB");
        return block * std::int64_t{ranks};
    }

    /// The first of [name, description].
    static std::string group_of(const JsonRecord& e) {
        const Json& pair = e.at("process_group");
        if (!pair.is_array() || pair.empty() || !pair[0].is_string())
            e.fault("process_group", pair.type_name(), "[\"0\", \"default_pg\"]");
        return pair[0].get<std::string>();
    }

    /// Of all tensors on one side.
    static Bytes bytes_of(const JsonRecord& e, const std::string& side) {
        const std::string sizes = side + "_sizes";
        const std::string types = side + "_dtypes";
        const Json& tensors = e.at(sizes.c_str());
        const Json& kinds = e.at(types.c_str());
        if (!tensors.is_array() || !kinds.is_array())
            e.fault(sizes, tensors.type_name(), "a list of shapes beside a list of types");
        Int128 sum = 0;
        for (std::size_t i = 0; i < tensors.size(); ++i) {
            // One type stands for all where there are fewer types than tensors.
            const Json& kind = kinds.empty() ? kinds : kinds[std::min(i, kinds.size() - 1)];
            const std::string name = kind.is_string() ? kind.get<std::string>() : kind.type_name();
            const std::int64_t element = torch::element_bytes(name);
            if (element == 0) e.fault(types, name, "a type of PyTorch: BFloat16");
            sum += elements_of(e, sizes, tensors[i]) * element;
            if (sum > kMostBytes) e.fault(sizes, "more than 1 PiB", "at most 1 PiB");
        }
        return Bytes{static_cast<std::int64_t>(sum)};
    }

    static Int128 elements_of(const JsonRecord& e, const std::string& key, const Json& shape) {
        if (!shape.is_array()) e.fault(key, shape.type_name(), "a list of shapes: [[4096, 8192]]");
        Int128 elements = 1;
        for (const Json& n : shape) {
            if (!n.is_number_unsigned() || n.get<std::uint64_t>() > std::uint64_t{kMostBytes})
                e.fault(key, "no length of a tensor", "a list of shapes: [[4096, 8192]]");
            elements *= n.get<std::uint64_t>();
            if (elements > kMostBytes) e.fault(key, "more than 1 PiB", "at most 1 PiB");
        }
        return elements;
    }

    const std::string& file_;
    Recorded all_;
    std::map<std::string, std::uint32_t> groups_;  // of this dump, by PyTorch's name
    std::size_t collectives_ = 0;
};

}  // namespace

MeasuredTimes read_flight_recorder(const TraceText& file) {
    FlightReader reader(file.file);
    detail::JsonValues values(file);
    Json value;
    while (values.next(value)) {
        const std::size_t number = values.count();
        reader.read_dump(
            JsonRecord(value, file.file, number == 1 ? "" : fmt::format("dump {}", number)));
    }
    return reader.finish();
}

}  // namespace weft::measured

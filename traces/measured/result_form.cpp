// Measured times from the result.json of an earlier run of Weft (traces/results.cpp writes it).
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "traces/measured/forms.hpp"

namespace weft::measured {
namespace {

using Json = nlohmann::json;

class Record {
  public:
    Record(const Json& j, const std::string& file, std::string path)
        : j_(j), file_(file), path_(std::move(path)) {
        if (!j.is_object()) fault("", "no object", "an object");
    }

    [[nodiscard]] std::int64_t number(const char* key, std::int64_t least,
                                      std::int64_t most) const {
        const Json& v = at(key);
        if (!v.is_number_integer()) fault(key, v.type_name(), "a whole number");
        // A number beyond 63 bits is unsigned here, and negative once it is read as signed.
        const auto value = v.get<std::int64_t>();
        if (value < least || value > most)
            fault(key, v.dump(), fmt::format("{} to {}", least, most));
        return value;
    }
    [[nodiscard]] SimDuration time(const char* key) const {
        return SimDuration{number(key, 0, kMostPs)};
    }
    [[nodiscard]] std::string text(const char* key) const {
        const Json& v = at(key);
        if (!v.is_string()) fault(key, v.type_name(), "text");
        return v.get<std::string>();
    }
    [[nodiscard]] bool flag(const char* key) const {
        const Json& v = at(key);
        if (!v.is_boolean()) fault(key, v.type_name(), "true or false");
        return v.get<bool>();
    }
    [[nodiscard]] std::vector<Record> list(const char* key) const {
        const Json& v = at(key);
        if (!v.is_array()) fault(key, v.type_name(), "a list");
        std::vector<Record> all;
        for (std::size_t i = 0; i < v.size(); ++i)
            all.emplace_back(v[i], file_, fmt::format("{}[{}]", key, i));
        return all;
    }
    [[noreturn]] void fault(const std::string& key, const std::string& found,
                            const std::string& expected) const {
        const std::string place = path_.empty() || key.empty() ? path_ + key : path_ + "." + key;
        reject(file_, 0, place, found, expected, {});
    }

  private:
    [[nodiscard]] const Json& at(const char* key) const {
        const auto found = j_.find(key);
        if (found == j_.end()) fault(key, "nothing", "the field that every result.json has");
        return *found;
    }
    const Json& j_;
    const std::string& file_;
    std::string path_;
};

/// Rows of one size that ran by several algorithms are one row: their mean.
void read_collectives(const Record& root, MeasuredTimes& times) {
    struct Sum {
        Int128 ps = 0;
        std::int64_t count = 0;
    };
    constexpr std::int64_t kMostRuns = std::int64_t{1} << 40;
    std::map<std::tuple<std::string, Collective, Bytes>, Sum> sums;
    for (const Record& c : root.list("collectives")) {
        const Collective kind = kind_of(c.text("kind"), times.file, 0);
        Sum& sum = sums[{c.text("family"), kind, Bytes{c.number("size_bytes", 1, kMostBytes)}}];
        const std::int64_t count = c.number("count", 1, kMostRuns);
        sum.ps += Int128{c.time("mean_time_ps").ps()} * count;
        sum.count += count;
    }
    for (const auto& [key, sum] : sums) {
        MeasuredRow row;
        std::tie(row.family, row.kind, row.size) = key;
        row.time = SimDuration{static_cast<std::int64_t>(sum.ps / sum.count)};
        if (row.time > SimDuration{0}) times.rows.push_back(std::move(row));
    }
}

}  // namespace

MeasuredTimes read_result(const TraceText& file) {
    const Json j = Json::parse(file.text, nullptr, false);
    if (j.is_discarded()) reject(file.file, 0, {}, "broken JSON", "a result.json of weft", {});
    MeasuredTimes times;
    times.file = file.file;
    const Record root(j, times.file, "");
    if (root.text("schema") != "weft/result/1")
        root.fault("schema", root.text("schema"), "weft/result/1");
    const SimDuration step = root.time("step_time_ps");
    if (step > SimDuration{0}) times.step.step = step;
    const bool computes = root.flag("has_compute");
    if (computes) times.step.compute = root.time("compute_ps");
    times.step.bubble = root.time("bubble_ps");
    for (const Record& f : root.list("families")) {
        MeasuredFamily family{f.text("family"), f.time("total_ps"), std::nullopt};
        if (computes) family.exposed = f.time("exposed_ps");
        times.step.families.push_back(std::move(family));
    }
    read_collectives(root, times);
    return times;
}

}  // namespace weft::measured

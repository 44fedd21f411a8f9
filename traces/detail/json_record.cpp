#include "traces/detail/json_record.hpp"

#include <fmt/format.h>

namespace weft::detail {

JsonRecord::JsonRecord(const Json& j, const std::string& file, std::string path)
    : j_(&j), file_(&file), path_(std::move(path)) {
    if (!j.is_object()) fault("", j.type_name(), "an object");
}

bool JsonRecord::has(const char* key) const {
    const auto found = j_->find(key);
    return found != j_->end() && !found->is_null();
}

std::int64_t JsonRecord::number(const char* key, std::int64_t least, std::int64_t most) const {
    const Json& v = at(key);
    if (!v.is_number_integer()) fault(key, v.type_name(), "a whole number");
    // A number beyond 63 bits is unsigned here, and negative once it is read as signed.
    const auto value = v.get<std::int64_t>();
    if (value < least || value > most) fault(key, v.dump(), fmt::format("{} to {}", least, most));
    return value;
}

double JsonRecord::real(const char* key, double least, double most) const {
    const Json& v = at(key);
    if (!v.is_number()) fault(key, v.type_name(), "a number");
    const auto value = v.get<double>();
    if (!(value >= least && value <= most))
        fault(key, v.dump(), fmt::format("{} to {}", least, most));
    return value;
}

std::string JsonRecord::text(const char* key) const {
    const Json& v = at(key);
    if (!v.is_string()) fault(key, v.type_name(), "text");
    return v.get<std::string>();
}

std::string JsonRecord::text_or(const char* key, const std::string& otherwise) const {
    const auto found = j_->find(key);
    return found != j_->end() && found->is_string() ? found->get<std::string>() : otherwise;
}

bool JsonRecord::flag(const char* key) const {
    const Json& v = at(key);
    if (!v.is_boolean()) fault(key, v.type_name(), "true or false");
    return v.get<bool>();
}

std::vector<JsonRecord> JsonRecord::list(const char* key) const {
    const Json& v = at(key);
    if (!v.is_array()) fault(key, v.type_name(), "a list");
    std::vector<JsonRecord> all;
    all.reserve(v.size());
    for (std::size_t i = 0; i < v.size(); ++i)
        all.emplace_back(v[i], *file_, fmt::format("{}[{}]", place(key), i));
    return all;
}

JsonRecord JsonRecord::object(const char* key) const {
    return {at(key), *file_, place(key)};
}

const Json& JsonRecord::at(const char* key) const {
    const auto found = j_->find(key);
    if (found == j_->end()) fault(key, "nothing", "this field");
    return *found;
}

void JsonRecord::fault(const std::string& key, const std::string& found,
                       const std::string& expected) const {
    throw ConfigError({.file = *file_,
                       .line = 0,
                       .key = place(key),
                       .found = printable(found),
                       .expected = expected,
                       .example = {}});
}

std::string JsonRecord::place(const std::string& key) const {
    return path_.empty() || key.empty() ? path_ + key : path_ + "." + key;
}

}  // namespace weft::detail

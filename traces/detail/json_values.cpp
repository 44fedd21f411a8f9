#include "traces/detail/json_values.hpp"

#include <algorithm>

namespace weft::detail {

bool JsonValues::next(Json& value) {
    const std::string& text = trace_->text;
    for (; at_ < text.size() && std::string_view(" \t\r\n").find(text[at_]) != std::string::npos;
         ++at_)
        if (text[at_] == '\n') ++line_;
    if (at_ == text.size()) return false;
    const int line = line_;
    const std::string_view part = take();
    value = Json::parse(part.begin(), part.end(), nullptr, false);
    if (value.is_discarded())
        throw ConfigError({.file = trace_->file,
                           .line = line,
                           .key = {},
                           .found = "broken JSON",
                           .expected = "whole JSON values, one after the other",
                           .example = {}});
    ++count_;
    return true;
}

std::string_view JsonValues::take() {
    const std::string_view text = trace_->text;
    const std::size_t first = at_;
    std::size_t depth = 0;
    bool quoted = false;
    for (; at_ < text.size(); ++at_) {
        const char c = text[at_];
        if (c == '\n') ++line_;
        if (quoted) {
            if (c == '\\')
                ++at_;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            if (depth <= 1) {
                ++at_;
                break;
            }
            --depth;
        } else if (c == '\n' && depth == 0) {
            break;
        }
    }
    at_ = std::min(at_, text.size());
    return text.substr(first, at_ - first);
}

}  // namespace weft::detail

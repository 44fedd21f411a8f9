#pragma once
// JSON values that follow each other in one text: one a line, or files laid end to end. One at a
// time, so that a log of millions of records needs the memory of one.
#include <cstddef>
#include <string>
#include <string_view>

#include "traces/detail/json_record.hpp"
#include "traces/load.hpp"

namespace weft::detail {

class JsonValues {
  public:
    /// `trace` outlives this.
    explicit JsonValues(const TraceText& trace) : trace_(&trace) {}

    /// False at the end of the text; ConfigError that names the line where a broken value begins.
    bool next(Json& value);
    /// How many next() has given.
    [[nodiscard]] std::size_t count() const { return count_; }

  private:
    /// From `at_`, which is no white space, to the end of the value.
    [[nodiscard]] std::string_view take();
    const TraceText* trace_;
    std::size_t at_ = 0;
    std::size_t count_ = 0;
    int line_ = 1;  // of at_
};

}  // namespace weft::detail

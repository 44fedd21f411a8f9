#pragma once
// WEFT_CHECK: an invariant of the program, always on. A failure is a bug of ours, never bad input.
// The default handler throws Bug, which no library code catches; tests and fuzzers may install a
// handler that aborts. WEFT_DCHECK is compiled out when NDEBUG is set.
#include <fmt/core.h>
#include <stdexcept>
#include <string>

namespace weft {

class Bug : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

/// Called with the finished message; must not return. One handler for the process, set before use.
using CheckHandler = void (*)(const std::string& message);
void set_check_handler(CheckHandler handler);

[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const std::string& detail);

}  // namespace weft

#define WEFT_CHECK(condition, ...)                                                               \
    do {                                                                                         \
        if (!(condition)) [[unlikely]]                                                           \
            ::weft::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
    } while (false)

#ifdef NDEBUG
#define WEFT_DCHECK(condition, ...) \
    do {                            \
    } while (false)
#else
#define WEFT_DCHECK(condition, ...) WEFT_CHECK(condition, __VA_ARGS__)
#endif

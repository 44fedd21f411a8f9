#include "base/check.hpp"

#include <atomic>
#include <cstdlib>

namespace weft {
namespace {

void throw_bug(const std::string& message) {
    throw Bug(message);
}

// The only process-wide state of the library: what a failed check does. It is set once, by main or
// by a test, before anything runs.
std::atomic<CheckHandler> g_handler{&throw_bug};

}  // namespace

void set_check_handler(CheckHandler handler) {
    g_handler = handler ? handler : &throw_bug;
}

void check_failed(const char* file, int line, const char* expression, const std::string& detail) {
    g_handler.load()(fmt::format("{}:{}: check failed: {}{}{}", file, line, expression,
                                 detail.empty() ? "" : ": ", detail));
    std::abort();  // a handler must not return
}

}  // namespace weft

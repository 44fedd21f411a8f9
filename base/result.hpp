#pragma once
// The two errors a caller may meet. Bad input: ConfigError, thrown only while loading and building.
// Live failure (timeout, dead peer): Outcome<T>, returned. Bugs are WEFT_CHECK (base/check.hpp);
// simulated failures are events of the simulation, not errors.
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "base/check.hpp"

namespace weft {

/// What is wrong with an input, in the parts that make one clear line.
struct Complaint {
    std::string file;      // empty for a command line
    int line = 0;          // 0 when unknown
    std::string key;       // "hosts.nic.rate", "--size"
    std::string found;     // what was read, shortened
    std::string expected;  // what would have been right
    std::string example;   // a value that works
};

/// "file:line: key: found X, expected Y, for example Z"; absent parts are left out.
[[nodiscard]] std::string to_string(const Complaint& c);

/// Text fit for one line of an error message: control bytes escaped, cut to `max` characters.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max = 60);

class ConfigError : public std::runtime_error {
  public:
    explicit ConfigError(Complaint c)
        : std::runtime_error(to_string(c)), complaint_(std::move(c)) {}
    [[nodiscard]] const Complaint& complaint() const { return complaint_; }
    /// The same error, with the place filled in where it was still unknown.
    [[nodiscard]] ConfigError at(const std::string& file, int line, const std::string& key) const;

  private:
    Complaint complaint_;
};

/// A failure of a live operation. Negative numbers mean "not known".
struct LiveError {
    std::string what;
    int rank = -1;
    int peer = -1;
    int lane = -1;
    long step = -1;
    double elapsed_s = -1.0;
};
[[nodiscard]] std::string to_string(const LiveError& e);

template <class T>
class [[nodiscard]] Outcome {
  public:
    Outcome(T value) : state_(std::move(value)) {}          // NOLINT: implicit by design
    Outcome(LiveError error) : state_(std::move(error)) {}  // NOLINT: implicit by design
    [[nodiscard]] bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    [[nodiscard]] const T& value() const {
        WEFT_CHECK(ok(), "{}", to_string(std::get<1>(state_)));
        return std::get<0>(state_);
    }
    [[nodiscard]] T& value() {
        WEFT_CHECK(ok(), "{}", to_string(std::get<1>(state_)));
        return std::get<0>(state_);
    }
    [[nodiscard]] const LiveError& error() const {
        WEFT_CHECK(!ok(), "no error to read");
        return std::get<1>(state_);
    }

  private:
    std::variant<T, LiveError> state_;
};

struct Done {};
using Status = Outcome<Done>;

}  // namespace weft

/// Returns the error of an expression of type Outcome<...> from the enclosing function.
#define WEFT_TRY(expression)                                  \
    do {                                                      \
        auto weft_try_result = (expression);                  \
        if (!weft_try_result) return weft_try_result.error(); \
    } while (false)

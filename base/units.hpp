#pragma once
// Quantities as types: Bytes, Bandwidth (bit/s), SimDuration and SimTime (integer picoseconds).
//
// Models: sizes up to 2^63 bytes, rates up to 2^63 bit/s, simulated times up to 106 days.
// Leaves out: implicit conversion of any kind. Bits and bytes never share a type, and wall clock
// (std::chrono) never mixes with simulated time: no conversion exists.
// Cost: transfer_time(b, r) = ceil(8 b 10^12 / r) ps, computed in 128 bits. It is the only place
// that divides a size by a rate.
#include <compare>
#include <cstdint>
#include <limits>
#include <string>

namespace weft {

using Int128 = __int128;

/// A number of bytes (8 bits). May be negative in differences.
class Bytes {
  public:
    constexpr Bytes() = default;
    constexpr explicit Bytes(std::int64_t count) : count_(count) {}
    [[nodiscard]] constexpr std::int64_t count() const { return count_; }
    constexpr auto operator<=>(const Bytes&) const = default;
    constexpr Bytes& operator+=(Bytes o) { return count_ += o.count_, *this; }
    constexpr Bytes& operator-=(Bytes o) { return count_ -= o.count_, *this; }
    friend constexpr Bytes operator+(Bytes a, Bytes b) { return Bytes{a.count_ + b.count_}; }
    friend constexpr Bytes operator-(Bytes a, Bytes b) { return Bytes{a.count_ - b.count_}; }
    friend constexpr Bytes operator*(Bytes a, std::int64_t k) { return Bytes{a.count_ * k}; }
    friend constexpr Bytes operator*(std::int64_t k, Bytes a) { return Bytes{a.count_ * k}; }
    friend constexpr Bytes operator/(Bytes a, std::int64_t k) { return Bytes{a.count_ / k}; }

  private:
    std::int64_t count_ = 0;
};

/// A rate in bits per second.
class Bandwidth {
  public:
    constexpr Bandwidth() = default;
    constexpr explicit Bandwidth(std::int64_t bits_per_second) : bps_(bits_per_second) {}
    [[nodiscard]] constexpr std::int64_t bits_per_second() const { return bps_; }
    constexpr auto operator<=>(const Bandwidth&) const = default;
    friend constexpr Bandwidth operator+(Bandwidth a, Bandwidth b) {
        return Bandwidth{a.bps_ + b.bps_};
    }
    friend constexpr Bandwidth operator-(Bandwidth a, Bandwidth b) {
        return Bandwidth{a.bps_ - b.bps_};
    }
    friend constexpr Bandwidth operator*(Bandwidth a, std::int64_t k) {
        return Bandwidth{a.bps_ * k};
    }
    friend constexpr Bandwidth operator*(std::int64_t k, Bandwidth a) { return a * k; }
    friend constexpr Bandwidth operator/(Bandwidth a, std::int64_t k) {
        return Bandwidth{a.bps_ / k};
    }

  private:
    std::int64_t bps_ = 0;
};

/// A span of simulated time in picoseconds.
class SimDuration {
  public:
    constexpr SimDuration() = default;
    constexpr explicit SimDuration(std::int64_t ps) : ps_(ps) {}
    [[nodiscard]] constexpr std::int64_t ps() const { return ps_; }
    constexpr auto operator<=>(const SimDuration&) const = default;
    constexpr SimDuration& operator+=(SimDuration o) { return ps_ += o.ps_, *this; }
    constexpr SimDuration& operator-=(SimDuration o) { return ps_ -= o.ps_, *this; }
    friend constexpr SimDuration operator+(SimDuration a, SimDuration b) {
        return SimDuration{a.ps_ + b.ps_};
    }
    friend constexpr SimDuration operator-(SimDuration a, SimDuration b) {
        return SimDuration{a.ps_ - b.ps_};
    }
    friend constexpr SimDuration operator*(SimDuration a, std::int64_t k) {
        return SimDuration{a.ps_ * k};
    }
    friend constexpr SimDuration operator*(std::int64_t k, SimDuration a) { return a * k; }
    friend constexpr SimDuration operator/(SimDuration a, std::int64_t k) {
        return SimDuration{a.ps_ / k};
    }

  private:
    std::int64_t ps_ = 0;
};

/// A point in simulated time: picoseconds since the start of the simulation.
class SimTime {
  public:
    constexpr SimTime() = default;
    constexpr explicit SimTime(std::int64_t ps) : ps_(ps) {}
    [[nodiscard]] constexpr std::int64_t ps() const { return ps_; }
    /// Later than every time a simulation reaches.
    [[nodiscard]] static constexpr SimTime never() {
        return SimTime{std::numeric_limits<std::int64_t>::max()};
    }
    constexpr auto operator<=>(const SimTime&) const = default;
    constexpr SimTime& operator+=(SimDuration d) { return ps_ += d.ps(), *this; }
    friend constexpr SimTime operator+(SimTime t, SimDuration d) { return SimTime{t.ps_ + d.ps()}; }
    friend constexpr SimTime operator-(SimTime t, SimDuration d) { return SimTime{t.ps_ - d.ps()}; }
    friend constexpr SimDuration operator-(SimTime a, SimTime b) {
        return SimDuration{a.ps_ - b.ps_};
    }

  private:
    std::int64_t ps_ = 0;
};

[[nodiscard]] constexpr SimDuration ps(std::int64_t n) {
    return SimDuration{n};
}
[[nodiscard]] constexpr SimDuration ns(std::int64_t n) {
    return SimDuration{n * 1'000};
}
[[nodiscard]] constexpr SimDuration us(std::int64_t n) {
    return SimDuration{n * 1'000'000};
}
[[nodiscard]] constexpr SimDuration ms(std::int64_t n) {
    return SimDuration{n * 1'000'000'000};
}

inline namespace literals {
constexpr Bytes operator""_B(unsigned long long n) {
    return Bytes{static_cast<std::int64_t>(n)};
}
constexpr Bytes operator""_KiB(unsigned long long n) {
    return Bytes{static_cast<std::int64_t>(n) << 10};
}
constexpr Bytes operator""_MiB(unsigned long long n) {
    return Bytes{static_cast<std::int64_t>(n) << 20};
}
constexpr Bytes operator""_GiB(unsigned long long n) {
    return Bytes{static_cast<std::int64_t>(n) << 30};
}
constexpr Bandwidth operator""_Gbps(unsigned long long n) {
    return Bandwidth{static_cast<std::int64_t>(n) * 1'000'000'000};
}
/// Gigabytes (10^9 bytes) per second, as NVLink and NIC data sheets state rates.
constexpr Bandwidth operator""_GBps(unsigned long long n) {
    return Bandwidth{static_cast<std::int64_t>(n) * 8'000'000'000};
}
}  // namespace literals

/// ceil(a / b) for a >= 0, b > 0.
[[nodiscard]] constexpr Int128 ceil_div(Int128 a, Int128 b) {
    return (a + b - 1) / b;
}

/// Serialisation time of `size` at `rate`, rounded up to a picosecond. rate must be positive; a
/// result beyond 106 days is a bug and fails a check.
[[nodiscard]] SimDuration transfer_time(Bytes size, Bandwidth rate);

/// Bytes moved at `rate` in `span`, rounded down.
[[nodiscard]] Bytes bytes_in(SimDuration span, Bandwidth rate);

// Text. Every value needs a unit; only "0" may be bare. k, M, G, T are powers of 10; Ki, Mi, Gi,
// Ti powers of 2; b is bit, B is byte. Each throws ConfigError (base/result.hpp) that says what
// was found, what was expected, and an example; the caller adds file, line and key.
[[nodiscard]] Bytes parse_bytes(const std::string& text);           // "64MiB", "1GB", "512B"
[[nodiscard]] Bandwidth parse_bandwidth(const std::string& text);   // "400Gbps", "50GB/s"
[[nodiscard]] SimDuration parse_duration(const std::string& text);  // "1.5us", "250ns", "2ms"
/// A share in parts per billion: "2%", "0.01%". The caller sets its limits.
[[nodiscard]] std::int64_t parse_share(const std::string& text);
/// The shortest exact text: "2%", "0.5%".
[[nodiscard]] std::string share_text(std::int64_t ppb);

// Short text for people: "64 MiB", "400 Gbps", "1.342 ms". Exact values go to JSON as integers
// whose key ends in the unit.
[[nodiscard]] std::string to_string(Bytes b);
[[nodiscard]] std::string to_string(Bandwidth b);
[[nodiscard]] std::string to_string(SimDuration d);
[[nodiscard]] std::string to_string(SimTime t);

}  // namespace weft

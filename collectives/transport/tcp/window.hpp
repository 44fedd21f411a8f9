#pragma once
// How many bytes one lane may hold between this rank's writing and the peer's reading: enough to
// keep the path busy, little enough that a slow lane holds no more than some milliseconds.
//   limit = delivery rate x (shortest round trip + 24 ms + pauses), within [128 KiB, 64 MiB]
// where the rate is the highest of the last 8 samples, each taken over at least 10 ms of time in
// which bytes were under way (the bandwidth-delay model of BBR: Cardwell et al., ACM Queue 2016).
// Pauses are times in which an end did not look, for want of a processor or because it computed (up
// to 60 ms of late, both ends together): meanwhile the kernels can keep the path busy, if they
// have been given enough. Without pauses the kernel's and the switches' queues hold at most 24 ms
// at the lane's own rate, both directions together. Models: nothing of TCP below, which has its own
// congestion window.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

#include "collectives/transport/message.hpp"

namespace weft::live::tcp {

class SendWindow {
  public:
    static constexpr std::uint64_t kLeast = 128 * 1024;
    static constexpr std::uint64_t kMost = 64 * 1024 * 1024;

    void wrote(std::uint64_t bytes, Clock::time_point now) {
        // Time in which there was nothing to send is no sample.
        if (written_ == confirmed_ && now - last_ > kIdle) begin_sample(now);
        written_ += bytes;
    }
    /// The peer has read so many bytes in all. False: impossible.
    [[nodiscard]] bool confirmed(std::uint64_t total, Clock::time_point now) {
        if (total > written_) return false;
        confirmed_ = std::max(confirmed_, total);
        last_ = now;
        const auto elapsed = now - sample_began_;
        if (elapsed >= kSampleTime) {
            add_sample(elapsed);
            begin_sample(now);
        }
        return true;
    }
    void pauses(std::chrono::nanoseconds both_ends) { pauses_ = std::min(both_ends, kMostPaused); }
    void round_trip(std::chrono::nanoseconds rtt) { shortest_ = std::min(shortest_, rtt); }

    [[nodiscard]] std::uint64_t in_flight() const { return written_ - confirmed_; }
    [[nodiscard]] std::uint64_t limit() const { return limit_; }
    /// Bytes that may be written now.
    [[nodiscard]] std::uint64_t room() const {
        return in_flight() >= limit_ ? 0 : limit_ - in_flight();
    }
    /// 0 until a sample has been taken.
    [[nodiscard]] std::uint64_t bytes_per_second() const {
        return *std::max_element(samples_.begin(), samples_.end());
    }

  private:
    static constexpr auto kSampleTime = std::chrono::milliseconds(10);
    static constexpr auto kIdle = std::chrono::milliseconds(2);
    static constexpr std::chrono::nanoseconds kQueue = std::chrono::milliseconds(24);
    static constexpr std::chrono::nanoseconds kMostPaused = std::chrono::milliseconds(60);

    void begin_sample(Clock::time_point now) {
        sample_began_ = now;
        sample_from_ = confirmed_;
    }
    void add_sample(std::chrono::nanoseconds elapsed) {
        const unsigned __int128 bytes = confirmed_ - sample_from_;
        const auto ns = static_cast<std::uint64_t>(elapsed.count());
        samples_[next_] = static_cast<std::uint64_t>(bytes * 1'000'000'000U / ns);
        next_ = (next_ + 1) % samples_.size();
        // A round trip that has not been measured counts as none.
        const auto base = shortest_ == std::chrono::nanoseconds::max()
                              ? std::chrono::nanoseconds(0)
                              : std::min<std::chrono::nanoseconds>(shortest_, kQueue * 8);
        const unsigned __int128 wanted =
            static_cast<unsigned __int128>(bytes_per_second()) *
            static_cast<std::uint64_t>((base + kQueue + pauses_).count()) / 1'000'000'000U;
        limit_ = static_cast<std::uint64_t>(std::clamp<unsigned __int128>(wanted, kLeast, kMost));
    }

    std::uint64_t written_ = 0;
    std::uint64_t confirmed_ = 0;
    std::uint64_t limit_ = 256 * 1024;
    std::chrono::nanoseconds shortest_ = std::chrono::nanoseconds::max();
    std::chrono::nanoseconds pauses_{0};
    Clock::time_point last_;  // confirmation
    Clock::time_point sample_began_;
    std::uint64_t sample_from_ = 0;
    std::array<std::uint64_t, 8> samples_{};
    std::size_t next_ = 0;
};

}  // namespace weft::live::tcp

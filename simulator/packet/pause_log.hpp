#pragma once
// PauseLog: when which port was paused, in bounded memory.
//
// Models: spans of one port, in the order in which they ended. When there are more than `most`,
// spans of one port with less than a gap between them become one that still counts its pauses and
// its paused time; the gap doubles until a half is left. If even one span a port is too many, those
// with the least paused time go and are counted. Leaves out: who waits meanwhile
// (victims.hpp).
#include <cstdint>
#include <vector>

namespace weft::packet {

struct PauseSpan {
    std::uint32_t port = 0;    // link
    std::uint32_t root = ~0U;  // what it goes back to; of several, of the longest
    std::uint32_t pauses = 0;  // in it
    std::int64_t from = 0;     // ps
    std::int64_t to = 0;
    std::int64_t paused = 0;   // to - from, less the gaps
    std::int64_t longest = 0;  // of those joined, the one that gave the root
};

class PauseLog {
  public:
    explicit PauseLog(std::size_t most = 4096) : most_(most) {}

    /// Spans of one port come in order and do not overlap.
    void add(std::uint32_t port, std::uint32_t root, std::int64_t from, std::int64_t to);
    [[nodiscard]] const std::vector<PauseSpan>& spans() const { return spans_; }
    [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
    /// Shorter gaps may have been closed, ps.
    [[nodiscard]] std::int64_t gap() const { return gap_; }
    [[nodiscard]] std::size_t bytes() const { return spans_.capacity() * sizeof(PauseSpan); }

  private:
    bool extend(const PauseSpan& s);
    void join();
    void keep_longest();

    std::size_t most_;
    std::int64_t gap_ = 0;
    std::vector<PauseSpan> spans_;
    std::vector<std::uint32_t> last_;  // by port: its last span
    std::uint64_t left_out_ = 0;
};

}  // namespace weft::packet

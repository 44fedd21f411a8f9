#pragma once
// What the ranks of a live measurement are told and what they answer, as lines of text: `weft
// bench` speaks them with its own ranks and with programs that do the same on other libraries.
//     run allreduce 1024 float sum 0 0 5 20 1      collective count dtype op root in-place warmup
//                                                  iterations check
//     run copy 1024 ...                            each rank copies so many floats
//     ok CPU_SECONDS WRONG TIME,TIME,... HASH PLAN      or: error TEXT
// A rank says `ready` when it has joined. End of input ends it.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft::tools {

/// In the place of a collective's name; ranks of this library alone know it.
inline constexpr const char* kCopy = "copy";

struct Job {
    std::string collective = "allreduce";
    std::uint64_t count = 0;  // elements: of the vector or of one block
    std::string dtype = "float";
    std::string op = "sum";
    std::uint32_t root = 0;
    bool in_place = false;
    std::uint32_t warmup = 5;
    std::uint32_t iterations = 20;
    bool check = true;
};
struct Answer {
    std::string error;  // empty: it went well
    double cpu_seconds = 0;
    std::uint64_t wrong = 0;
    std::vector<double> seconds;  // of each timed iteration
    std::uint64_t plan_hash = 0;  // 0: not of this library
    std::string plan;
};

[[nodiscard]] std::string to_line(const Job& job);
[[nodiscard]] std::optional<Job> parse_job(const std::string& line);
[[nodiscard]] std::string to_line(const Answer& answer);
[[nodiscard]] std::optional<Answer> parse_answer(const std::string& line);

}  // namespace weft::tools

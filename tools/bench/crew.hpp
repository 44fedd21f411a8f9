#pragma once
// A crew: processes that do one job after the other together (job.hpp) and sleep in between, so
// that two crews can take turns on one machine. Ends its processes when it ends.
#include <chrono>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "tools/bench/job.hpp"

namespace weft::tools {

/// One process of a crew: its command line.
using CommandLine = std::vector<std::string>;

class Crew {
  public:
    /// Starts the processes and waits until each has said that it is ready. std::runtime_error
    /// says which one did not, and what it said instead.
    Crew(std::string name, const std::vector<CommandLine>& members, std::chrono::seconds patience);
    ~Crew();
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    /// All members do the job; per iteration the slowest counts. An answer with an error is the
    /// one that knows most.
    [[nodiscard]] Answer run(const Job& job);
    /// The process that runs member `i`: for tests that stop or kill it.
    [[nodiscard]] pid_t process(std::size_t i) const { return members_[i].pid; }

  private:
    struct Member {
        pid_t pid = -1;
        int to = -1;
        int from = -1;
        std::string heard;  // what has come of the next line
    };
    void spawn(const CommandLine& command);
    [[nodiscard]] std::string read_line(std::size_t member);
    void dismiss();

    std::string name_;
    std::chrono::seconds patience_;
    std::vector<Member> members_;
};

}  // namespace weft::tools

#pragma once
// What ails a job, from what its ranks say of themselves: which operation of which communicator
// stands still, which rank has not arrived there, why, and who is at the bottom of it. Pure: the
// ranks of this host have been asked before (net/visit.hpp). Of ranks on other hosts it is known
// what these ranks have been told (Control's inquiries).
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collectives/transport/net/report.hpp"

namespace weft::tools {

/// A rank's process on this host.
struct Patient {
    std::uint32_t rank = 0;
    std::int32_t process = 0;  // 0: not known
    std::optional<live::RankReport> report;
    std::string why;   // no report
    char state = '?';  // of /proc/PID/stat; '?': not known; 'X': there is no such process
    double busy = -1;  // share of the time in which its threads ran or wanted to; -1: not known
};

enum class Ailment : std::uint8_t {
    kDead,
    kLeft,
    kStopped,    // SIGSTOP, or a debugger
    kSilent,     // answers nothing
    kElsewhere,  // in another operation
    kCompute,    // in no operation, and busy
    kLate,       // in no operation
    kUnknown,
};
[[nodiscard]] const char* name_of(Ailment a);

struct Symptom {
    std::uint32_t rank = 0;
    Ailment ailment = Ailment::kUnknown;
    std::string words;  // "in compute: in no operation for 12.4 s, ..."
};

/// An operation of which nothing has moved for some time.
struct Standstill {
    live::OperationHead head;
    double seconds = 0;
    std::vector<std::uint32_t> begun;
    std::vector<Symptom> missing;
    std::vector<std::pair<std::uint32_t, std::string>> waits;  // what those that have begun say
};

struct Diagnosis {
    std::uint64_t job = 0;
    std::uint32_t ranks = 0;
    std::uint32_t here = 0;  // of them, on this host
    std::vector<Standstill> standstills;
    std::vector<Symptom> unwell;       // dead, stopped, silent: whether somebody waits or not
    std::vector<std::uint32_t> roots;  // that are waited for, and wait for nobody
    bool circle = false;               // all that are waited for wait themselves
    std::vector<std::string> remarks;
    [[nodiscard]] bool well() const { return standstills.empty() && unwell.empty(); }
};

/// `patients`: of one job, at least one with a report, in order of rank. An operation stands still
/// when nothing of it has moved for `after` seconds.
[[nodiscard]] Diagnosis diagnose(const std::vector<Patient>& patients, double after);
/// Line by line, for people.
[[nodiscard]] std::vector<std::string> in_words(const Diagnosis& d,
                                                const std::vector<Patient>& patients);

}  // namespace weft::tools

#include "tools/bench/job.hpp"

#include <fmt/format.h>
#include <sstream>

namespace weft::tools {

std::string to_line(const Job& j) {
    return fmt::format("run {} {} {} {} {} {} {} {} {}", j.collective, j.count, j.dtype, j.op,
                       j.root, j.in_place ? 1 : 0, j.warmup, j.iterations, j.check ? 1 : 0);
}

std::optional<Job> parse_job(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    Job j;
    int in_place = 0;
    int check = 0;
    in >> verb >> j.collective >> j.count >> j.dtype >> j.op >> j.root >> in_place >> j.warmup >>
        j.iterations >> check;
    if (!in || verb != "run") return std::nullopt;
    j.in_place = in_place != 0;
    j.check = check != 0;
    return j;
}

std::string to_line(const Answer& a) {
    if (!a.error.empty()) {
        std::string one_line = a.error;
        for (char& c : one_line)
            if (c == '\n') c = ' ';
        return "error " + one_line;
    }
    std::string times;
    for (const double t : a.seconds) times += fmt::format("{}{:.9f}", times.empty() ? "" : ",", t);
    return fmt::format("ok {:.6f} {} {} {} {}", a.cpu_seconds, a.wrong, times.empty() ? "-" : times,
                       a.plan_hash, a.plan);
}

std::optional<Answer> parse_answer(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    Answer a;
    in >> verb;
    if (verb == "error") {
        std::getline(in >> std::ws, a.error);
        if (a.error.empty()) a.error = "no reason given";
        return a;
    }
    std::string times;
    in >> a.cpu_seconds >> a.wrong >> times >> a.plan_hash;
    if (!in || verb != "ok") return std::nullopt;
    std::getline(in >> std::ws, a.plan);
    std::istringstream each(times == "-" ? "" : times);
    for (std::string t; std::getline(each, t, ',');) {
        char* end = nullptr;
        const double seconds = std::strtod(t.c_str(), &end);
        if (end == t.c_str() || *end != '\0') return std::nullopt;
        a.seconds.push_back(seconds);
    }
    return a;
}

}  // namespace weft::tools

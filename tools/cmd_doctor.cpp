// weft doctor: asks the ranks of this host how things stand, and says who has not arrived where,
// and why. Needs no ptrace: each rank answers at a socket of its own (report_door.hpp), even while
// its threads compute or hang.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "collectives/runtime/agreement.hpp"
#include "collectives/transport/net/visit.hpp"
#include "tools/commands.hpp"
#include "tools/doctor/diagnosis.hpp"

namespace weft::tools {
namespace {

using Json = nlohmann::ordered_json;
using live::Clock;
using live::net::Visit;

constexpr const char* kHelp = R"(Say which rank of a hung job is missing where, and why.

  weft doctor                  every job of this user on this host
  weft doctor --pid 1234       the job of that process
  weft doctor --json           for programs

Asks all ranks of this host (and this network namespace: go there with nsenter or docker exec),
without ptrace, and needs no more than to be the same user. Of other hosts' ranks it says what these
ranks have heard. Exit status: 0 nobody is stuck, 1 somebody is stuck, stopped or dead, 2 usage.)";

struct Options {
    std::string job;
    std::int32_t process = 0;
    double after = 1;
    double deadline = 3;
    bool json = false;
};

/// State letter of a process, and for how long its threads have run or wanted to, from /proc.
struct Look {
    char state = '?';
    double busy = -1;  // seconds, of all threads together
};

Look look_at(std::int32_t process) {
    namespace fs = std::filesystem;
    if (process <= 0) return {};
    const fs::path folder = fmt::format("/proc/{}", process);
    std::ifstream file(folder / "stat");
    std::string line;
    std::getline(file, line);
    // The name may hold anything, parentheses too: what follows its last one counts.
    const std::size_t at = line.rfind(") ");
    if (!file || at == line.npos || at + 2 >= line.size()) return {.state = 'X'};
    Look look{.state = line[at + 2]};
    std::error_code gone;
    for (fs::directory_iterator i(folder / "task", gone), end; !gone && i != end;
         i.increment(gone)) {
        // Nanoseconds on a core, nanoseconds waiting for one: a machine may be busier than we are.
        std::ifstream times(i->path() / "schedstat");
        double ran = 0;
        double waited = 0;
        if (times >> ran >> waited) look.busy = std::max(look.busy, 0.0) + (ran + waited) * 1e-9;
    }
    return look;
}

std::string name_of_job(std::uint64_t job) {
    return fmt::format("{:016x}", job);
}

using Jobs = std::map<std::uint64_t, std::vector<Patient>>;

/// Asks, and watches the processes for a while, to tell who computes from who sleeps.
Jobs examine(const std::vector<live::net::DoorName>& doors, const Options& o) {
    constexpr auto kWatch = std::chrono::milliseconds(300);
    const auto start = Clock::now();
    const auto span =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(o.deadline));
    const std::vector<Visit> visits = live::net::visit(doors, start + span);
    std::vector<double> before;
    const auto watched = Clock::now();
    for (const Visit& v : visits) before.push_back(look_at(v.process).busy);
    std::this_thread::sleep_until(watched + kWatch);
    const double seconds = std::chrono::duration<double>(Clock::now() - watched).count();
    Jobs jobs;
    for (std::size_t i = 0; i < visits.size(); ++i) {
        const Visit& v = visits[i];
        const Look now = look_at(v.process);
        Patient p{.rank = v.door.rank, .process = v.process, .report = v.report, .why = v.why};
        p.state = now.state;
        if (now.busy >= 0 && before[i] >= 0) p.busy = std::max(now.busy - before[i], 0.0) / seconds;
        if (!v.refused) jobs[v.door.job].push_back(std::move(p));
    }
    return jobs;
}

/// Jobs without the one that is meant leave a job empty.
Jobs chosen(Jobs jobs, const Options& o) {
    if (o.job.empty() && o.process == 0) return jobs;
    std::vector<std::string> names;
    std::erase_if(jobs, [&](const auto& job) {
        names.push_back(name_of_job(job.first));
        const bool named = o.job.empty() || names.back().substr(0, o.job.size()) == o.job;
        const bool holds =
            o.process == 0 || std::any_of(job.second.begin(), job.second.end(),
                                          [&](const Patient& p) { return p.process == o.process; });
        return !named || !holds;
    });
    if (!jobs.empty()) return jobs;
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = o.job.empty() ? "--pid" : "--job",
                       .found = o.job.empty() ? std::to_string(o.process) : printable(o.job),
                       .expected = names.empty() ? "a job of this user and network namespace; "
                                                   "there is none"
                                                 : "a process or the beginning of a name of a job",
                       .example = names.empty() ? "weft doctor" : "--job " + names.front()});
}

Json as_json(const Symptom& f) {
    return {{"rank", f.rank}, {"why", name_of(f.ailment)}, {"text", f.words}};
}

Json as_json(const Diagnosis& d) {
    Json out;
    out["job"] = name_of_job(d.job);
    out["ranks"] = d.ranks;
    out["here"] = d.here;
    out["well"] = d.well();
    out["stuck"] = Json::array();
    for (const Standstill& s : d.standstills) {
        Json one{{"communicator", s.head.context},
                 {"operation", s.head.operation},
                 {"text", live::describe(s.head)},
                 {"seconds", s.seconds},
                 {"begun", s.begun},
                 {"missing", Json::array()},
                 {"waits", Json::object()}};
        for (const Symptom& f : s.missing) one["missing"].push_back(as_json(f));
        for (const auto& [rank, text] : s.waits) one["waits"][std::to_string(rank)] = text;
        out["stuck"].push_back(std::move(one));
    }
    out["unwell"] = Json::array();
    for (const Symptom& f : d.unwell) out["unwell"].push_back(as_json(f));
    out["roots"] = d.roots;
    out["circle"] = d.circle;
    out["remarks"] = d.remarks;
    return out;
}

int run(const Options& o) {
    const Jobs jobs = chosen(examine(live::net::find_doors(), o), o);
    bool well = true;
    Json all = Json::array();
    for (const auto& [job, patients] : jobs) {
        Diagnosis d = diagnose(patients, o.after);
        d.job = job;
        well = well && d.well();
        all.push_back(as_json(d));
        if (o.json) continue;
        fmt::print("job {}: {} ranks, {} of them here\n", name_of_job(job), d.ranks, d.here);
        for (const std::string& line : in_words(d, patients)) fmt::print("  {}\n", line);
    }
    if (o.json)
        fmt::print("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace));
    else if (jobs.empty())
        fmt::print("no job of this user in this network namespace\n");
    return well ? 0 : 1;
}

}  // namespace

void add_doctor(CLI::App& app, std::function<int()>& run_it) {
    auto o = std::make_shared<Options>();
    CLI::App* sub = app.add_subcommand("doctor", kHelp);
    sub->add_option("--job", o->job, "the beginning of a job's name");
    sub->add_option("--pid", o->process, "the job that this process is a rank of")
        ->check(CLI::PositiveNumber);
    sub->add_option("--after", o->after, "seconds without movement until an operation is stuck")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    sub->add_option("--deadline", o->deadline, "seconds in which ranks have to answer")
        ->check(CLI::Range(0.1, 600.0))
        ->capture_default_str();
    sub->add_flag("--json", o->json, "print JSON");
    sub->callback([o, &run_it] { run_it = [o] { return run(*o); }; });
}

}  // namespace weft::tools

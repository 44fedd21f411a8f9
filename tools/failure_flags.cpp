#include "tools/failure_flags.hpp"

#include "tools/flags.hpp"
#include "topology/io/document.hpp"
#include "topology/io/failures.hpp"

namespace weft::tools {

void add_failure_flags(CLI::App& sub, FailureFlags& flags) {
    constexpr const char* kGroup = "Failures";
    sub.add_option("--fail", flags.fail,
                   "what fails in mid-run, any number of times: '[KIND] TARGET [@TIME] [for TIME | "
                   "until TIME] [one-way] [convergence TIME]'. KIND: down (default), up, degraded "
                   "(rate R), flap (every T off T), loss (share P), corrupt (share P), delay "
                   "(extra T), stuck. TARGET: a link, a switch, a NIC, plane N. docs/failures.md")
        ->group(kGroup);
    sub.add_option("--failures", flags.file, "a YAML file with a list `failures:` of such lines")
        ->group(kGroup);
    sub.add_option("--convergence", flags.convergence,
                   "until routing has left a failed link, where a failure does not say")
        ->capture_default_str()
        ->group(kGroup);
}

std::vector<Failure> failures_of(const FailureFlags& flags, const Fabric& fabric) {
    const SimDuration convergence = parse_flag("--convergence", flags.convergence, parse_duration);
    std::vector<Failure> failures;
    if (!flags.file.empty())
        failures = read_failures(fabric, read_text_file(flags.file), flags.file, convergence);
    for (const std::string& text : flags.fail) {
        try {
            failures.push_back(parse_failure(fabric, text, convergence));
        } catch (const ConfigError& e) {
            Complaint c = e.complaint();
            c.key = c.key == "failure" ? "--fail" : "--fail: " + c.key;
            throw ConfigError(c);
        }
    }
    return failures;
}

}  // namespace weft::tools

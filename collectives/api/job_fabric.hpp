#pragma once
// The Fabric that a job runs on, the same at all ranks: made of what they say of their machines at
// the meeting, or read from a file that all of them have. What the algorithms are told of a group's
// hosts, rails and planes comes from it alone.
//
// Ranks of one host are alike to the live library, which gives all of them all its ports: the i-th
// member of a group on a host stands for the host's i-th GPU.
// Leaves out: which lanes are up (transports), rates that change.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collectives/transport/net/net_control.hpp"
#include "topology/placement.hpp"

namespace weft::live {

class JobFabric {
  public:
    /// `file`: a fabric file; empty: the machines are asked. ConfigError for a bad one.
    explicit JobFabric(const std::string& file);
    /// What ranks have to have alike: a number that stands for the file's content.
    [[nodiscard]] std::string fingerprint() const;
    /// Before the meeting.
    void publish(NetControl& control, const std::string& word);
    /// After it. LiveError: a rank's description cannot be read; ConfigError: the file does not fit
    /// the job.
    [[nodiscard]] Status settle(const NetControl& control);

    /// By rank: a number for its host, from 0 in order of first rank.
    [[nodiscard]] const std::vector<std::uint32_t>& hosts() const { return hosts_; }
    [[nodiscard]] const Fabric& fabric() const { return *fabric_; }
    [[nodiscard]] const Placement& placement() const { return placement_; }
    /// As a fabric file.
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] GroupShape shape(const std::vector<std::uint32_t>& members) const;

  private:
    std::string file_;
    std::string text_;
    std::optional<Fabric> fabric_;
    Placement placement_;
    std::vector<std::uint32_t> hosts_;
};

}  // namespace weft::live

#pragma once
// The part of NetControl that makes connections: one thread with a Loop, a Doorman for each address
// that is listened on and for a unix socket with a random abstract name, the meeting, and calls to
// peers. Knows nothing of alarms; control connections go to whoever asked for them.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "collectives/transport/net/caller.hpp"
#include "collectives/transport/net/card.hpp"
#include "collectives/transport/net/doorman.hpp"
#include "collectives/transport/net/report.hpp"
#include "collectives/transport/net/unique_id.hpp"

namespace weft::live::net {

class Switchboard {
  public:
    Switchboard(const IdParts& id, const NetOptions& options);
    ~Switchboard();
    Switchboard(const Switchboard&) = delete;
    Switchboard& operator=(const Switchboard&) = delete;
    Status listen();

    [[nodiscard]] std::uint32_t rank() const { return mine_.rank; }
    [[nodiscard]] std::uint32_t ranks() const { return mine_.ranks; }
    /// A digest of the world's secret that says nothing of it.
    [[nodiscard]] std::uint64_t job() const { return job_; }
    /// Where ranks live; empty before the meeting. From any thread.
    [[nodiscard]] std::vector<RankReport::Home> homes() const;
    void publish(const std::string& name, std::vector<std::byte> card);
    Status meet(Store& store, Clock::time_point deadline);
    /// After meet().
    [[nodiscard]] const Card& card(std::uint32_t peer) const;
    [[nodiscard]] bool same_host(std::uint32_t peer) const;
    void on_connection(Purpose purpose, std::function<void(Connection)> take);
    Outcome<Connection> dial(std::uint32_t peer, Purpose purpose, std::uint64_t tag, int local_port,
                             int remote_port, Clock::time_point deadline);

    /// For a Caller to that peer; -1, -1: by the unix socket.
    [[nodiscard]] Outcome<Caller::Options> route(std::uint32_t peer, Purpose purpose,
                                                 std::uint64_t tag, int local_port, int remote_port,
                                                 Clock::time_point deadline) const;
    [[nodiscard]] Loop& loop() { return loop_; }
    /// Ends the thread: from then on nothing of the loop runs.
    void stop();

  private:
    struct Call;  // of dial()
    Status open_doors();
    void take(const Connection& connection, const Hello& hello);
    void begin(const std::shared_ptr<Call>& call, const Caller::Options& options);
    Status learn(const std::vector<std::vector<std::byte>>& blobs);

    IdParts id_;
    Card mine_;
    std::vector<Card> cards_;
    std::uint64_t job_ = 0;
    std::atomic<bool> met_{false};
    std::mutex mutex_;  // takes_, also while one runs
    std::map<Purpose, std::function<void(Connection)>> takes_;
    Loop loop_;
    std::vector<std::unique_ptr<Doorman>> doors_;
    std::map<std::uint64_t, std::unique_ptr<Caller>> callers_;
    std::uint64_t next_call_ = 0;
    std::thread thread_;
};

}  // namespace weft::live::net

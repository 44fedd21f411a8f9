// weft-live-rank: one rank of a live failure test: joins, runs checked collectives in a loop, and
// says on standard output when each ended, when one failed and with which words, and what
// shrink() gave. The scripts beside this file start it, hurt it, and judge what it says. Lines:
//     ready SECONDS                        joined; how long that took
//     op NUMBER BEGIN END                  with --report; times of the monotonic clock
//     failed BEGIN END TEXT                a collective ended with an error
//     shrunk SECONDS RANKS                 and an all-reduce of the survivors came out right
//     done OPERATIONS WRONG                after `stop`, agreed upon by all ranks
// It obeys on standard input: stop; sleep (for long); compute (for long); other (a collective of
// another communicator); abort (from the thread that reads).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fmt/format.h>
#include <iostream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/rng.hpp"
#include "collectives/api/comm.hpp"

namespace weft::test {
namespace {

using live::Clock;
using live::Comm;

struct Options {
    std::string id;
    std::string make_id;  // a directory: print an id that meets there, and end
    std::uint32_t rank = 0;
    std::uint32_t ranks = 1;
    std::uint64_t seed = 1;
    std::vector<std::uint64_t> bytes{8, 4096, 65536, 1 << 20};
    std::uint64_t operations = 0;  // 0: until told
    std::uint64_t pause_us = 0;
    bool allreduce_only = false;
    bool report = false;
    bool shrink = false;
    std::uint32_t linger_ms = 0;  // after a failure
    std::uint32_t patience_ms = 2000;
    std::uint32_t meet_ms = 60'000;
    live::WorldOptions world = live::WorldOptions{};
};

double seconds(Clock::time_point t) {
    return std::chrono::duration<double>(t.time_since_epoch()).count();
}

void say(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
}

/// What element `i` of rank `r` is in operation `k`: sums tell ranks, places and operations apart.
std::uint32_t value(std::uint32_t weight, std::uint64_t k, std::uint64_t i) {
    return weight * static_cast<std::uint32_t>(i * 2654435761U + k * 40503U + 1);
}
std::uint32_t weight_of(std::uint32_t rank) {
    std::uint32_t w = 1;
    for (std::uint32_t i = 0; i < rank; ++i) w *= 3;
    return w;
}

class Loop {
  public:
    explicit Loop(const Options& o) : o_(o), random_(o.seed, 0, "operations") {}

    /// False: the collective failed and `error` says why.
    bool step(Comm& comm, bool stop);
    [[nodiscard]] bool stopped() const { return stopped_; }
    [[nodiscard]] std::uint64_t done() const { return done_; }
    [[nodiscard]] std::uint64_t wrong() const { return wrong_; }
    [[nodiscard]] const std::string& error() const { return error_; }

  private:
    void fill(std::uint32_t rank, std::uint64_t count, bool stop);
    void check(const Comm& comm, Collective kind, std::uint64_t count);
    bool run(Comm& comm, const live::CollectiveCall& call, bool blocking);

    const Options& o_;
    RandomStream random_;
    std::vector<std::uint32_t> in_;
    std::vector<std::uint32_t> out_;
    std::uint64_t done_ = 0;
    std::uint64_t wrong_ = 0;
    bool stopped_ = false;
    std::string error_;
};

/// Element 0 is the wish to stop, so that all ranks stop after the same operation.
void Loop::fill(std::uint32_t rank, std::uint64_t count, bool stop) {
    const std::uint32_t w = weight_of(rank);
    in_[0] = stop ? 1 : 0;
    for (std::uint64_t i = 1; i < count; ++i) in_[i] = value(w, done_, i);
}

void Loop::check(const Comm& comm, Collective kind, std::uint64_t count) {
    std::uint32_t sum = 0;
    for (std::uint32_t r = 0; r < comm.ranks(); ++r) sum += weight_of(r);
    const bool gathers = kind == Collective::kAllGather;
    for (std::uint32_t r = 0; r < (gathers ? comm.ranks() : 1); ++r) {
        const std::uint32_t* block = out_.data() + r * count;
        if (block[0] != 0) stopped_ = true;
        const std::uint32_t w = gathers ? weight_of(r) : sum;
        for (std::uint64_t i = 1; i < count; ++i)
            if (block[i] != value(w, done_, i)) ++wrong_;
    }
}

bool Loop::run(Comm& comm, const live::CollectiveCall& call, bool blocking) {
    const Status s = [&] {
        if (blocking) return comm.run(call);
        const auto request = comm.start(call);
        (void)request->wait(Clock::time_point::max());
        return request->status();
    }();
    if (!s) error_ = to_string(s.error());
    return s.ok();
}

bool Loop::step(Comm& comm, bool stop) {
    const std::uint64_t draw = random_.next();
    const bool gathers = !o_.allreduce_only && draw % 3 == 0;
    const std::uint64_t count =
        std::max<std::uint64_t>(2, o_.bytes[(draw >> 8) % o_.bytes.size()] / 4);
    in_.resize(std::max(in_.size(), count));
    out_.resize(std::max(out_.size(), gathers ? count * comm.ranks() : count));
    fill(comm.rank(), count, stop);
    const Collective kind = gathers ? Collective::kAllGather : Collective::kAllReduce;
    const auto began = Clock::now();
    const bool ok = run(comm,
                        {.collective = kind,
                         .input = in_.data(),
                         .output = out_.data(),
                         .count = count,
                         .dtype = live::DataType::kU32},
                        (draw >> 32) % 2 == 0);
    const auto ended = Clock::now();
    if (!ok) {
        say(fmt::format("failed {:.6f} {:.6f} {}", seconds(began), seconds(ended), error_));
        return false;
    }
    check(comm, kind, count);
    if (o_.report) say(fmt::format("op {} {:.6f} {:.6f}", done_, seconds(began), seconds(ended)));
    ++done_;
    return true;
}

/// What was said on standard input last.
struct Orders {
    std::atomic<bool> stop{false};
    std::atomic<bool> sleep{false};
    std::atomic<bool> compute{false};
    std::atomic<bool> other{false};
};

void compute(std::chrono::seconds time) {
    volatile std::uint64_t sum = 0;
    for (const auto until = Clock::now() + time; Clock::now() < until;) sum = sum + 1;
}

void obey(Comm& comm, Orders& orders) {
    for (std::string line; std::getline(std::cin, line);) {
        if (line == "stop") orders.stop = true;
        if (line == "sleep") orders.sleep = true;
        if (line == "compute") orders.compute = true;
        if (line == "other") orders.other = true;
        if (line == "abort") comm.abort("told to");
    }
}

/// The survivors' communicator, and one all-reduce over it.
void continue_without(Comm& comm, const Options& o) {
    const auto began = Clock::now();
    auto smaller = comm.shrink();
    if (!smaller) {
        say("unshrunk " + to_string(smaller.error()));
        return;
    }
    Options again = o;
    again.allreduce_only = true;
    Loop loop(again);
    for (int i = 0; i < 5; ++i)
        if (!loop.step(*smaller.value(), false)) return;
    const double took = std::chrono::duration<double>(Clock::now() - began).count();
    if (loop.wrong() == 0) say(fmt::format("shrunk {:.6f} {}", took, smaller.value()->ranks()));
}

int serve(const Options& o) {
    const auto began = Clock::now();
    live::WorldOptions options = o.world;
    options.patience = std::chrono::milliseconds(o.patience_ms);
    options.meet_within = std::chrono::milliseconds(o.meet_ms);
    auto world = live::World::join(live::parse_unique_id(o.id), o.rank, o.ranks, options);
    if (!world) {
        say("unjoined " + to_string(world.error()));
        return 1;
    }
    Comm comm(world.value());
    auto other = comm.split(0, static_cast<std::int32_t>(o.rank));
    if (!other) {
        say("unjoined " + to_string(other.error()));
        return 1;
    }
    say(fmt::format("ready {:.6f}", std::chrono::duration<double>(Clock::now() - began).count()));
    Orders orders;
    std::thread([&comm, &orders] { obey(comm, orders); }).detach();  // ends with the process
    Loop loop(o);
    Loop elsewhere(o);
    bool ok = true;
    while (ok && !loop.stopped() && (o.operations == 0 || loop.done() < o.operations)) {
        if (orders.sleep) std::this_thread::sleep_for(std::chrono::seconds(60));
        if (orders.compute) compute(std::chrono::seconds(60));
        ok = orders.other ? elsewhere.step(*other.value(), false) : loop.step(comm, orders.stop);
        if (o.pause_us != 0) std::this_thread::sleep_for(std::chrono::microseconds(o.pause_us));
    }
    if (!ok) std::this_thread::sleep_for(std::chrono::milliseconds(o.linger_ms));
    if (!ok && o.shrink) continue_without(comm, o);
    if (ok) say(fmt::format("done {} {}", loop.done(), loop.wrong()));
    // Who left is gone, and no longer elsewhere: the others have yet to look.
    if (orders.other) std::this_thread::sleep_for(std::chrono::milliseconds(500));
    other.value().reset();
    return ok && loop.wrong() == 0 ? 0 : 1;
}

int run(int argc, char** argv) {
    Options o;
    CLI::App app{"One rank of a live failure test."};
    app.add_option("--make-id", o.make_id);
    app.add_option("--id", o.id);
    app.add_option("--rank", o.rank);
    app.add_option("--ranks", o.ranks);
    app.add_option("--seed", o.seed);
    app.add_option("--bytes", o.bytes)->delimiter(',');
    app.add_option("--operations", o.operations);
    app.add_option("--pause-us", o.pause_us);
    app.add_flag("--allreduce-only", o.allreduce_only);
    app.add_flag("--report", o.report);
    app.add_flag("--shrink", o.shrink);
    app.add_option("--linger-ms", o.linger_ms);
    app.add_option("--patience-ms", o.patience_ms);
    app.add_option("--meet-ms", o.meet_ms);
    app.add_option("--transport", o.world.transport);
    app.add_option("--interfaces", o.world.interfaces);
    app.add_option("--host", o.world.host);
    CLI11_PARSE(app, argc, argv);
    if (!o.make_id.empty()) {
        const auto id = live::unique_id_in_directory(o.make_id);
        if (!id) throw std::runtime_error(to_string(id.error()));
        say(live::to_text(id.value()));
        return 0;
    }
    return serve(o);
}

}  // namespace
}  // namespace weft::test

int main(int argc, char** argv) {
    try {
        // The thread that reads orders still waits, and holds stdin: end without either.
        const int code = weft::test::run(argc, argv);
        ::_exit(code);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "weft-live-rank: %s\n", e.what());
        return 2;
    }
}

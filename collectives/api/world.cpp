#include "collectives/api/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <optional>

#include "base/units.hpp"
#include "collectives/api/pairs.hpp"
#include "collectives/transport/between_processes.hpp"
#include "collectives/transport/composite.hpp"
#include "collectives/transport/fault/fault.hpp"
#include "collectives/transport/net/ports.hpp"
#include "collectives/transport/net/report.hpp"
#include "collectives/transport/shm/shm.hpp"

namespace weft::live {

namespace {

[[noreturn]] void refuse(const char* key, const std::string& found, const std::string& expected,
                         const char* example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

bool parse_switch(const char* key, const std::string& text) {
    if (text == "1" || text == "on" || text == "true") return true;
    if (text == "0" || text == "off" || text == "false") return false;
    refuse(key, text, "1 or 0", "1");
}

std::chrono::milliseconds parse_time(const char* key, const std::string& text) {
    const SimDuration d = [&] {
        try {
            return parse_duration(text);
        } catch (const ConfigError& e) {
            throw e.at({}, 0, key);
        }
    }();
    const std::chrono::milliseconds time(d.ps() / 1'000'000'000);
    if (time.count() < 1) refuse(key, text, "at least a millisecond", "30s");
    return time;
}

std::uint32_t parse_paths(const std::string& text) {
    if (text.empty() || text.size() > 2 || text.find_first_not_of("0123456789") != text.npos ||
        std::stoi(text) < 1 || std::stoi(text) > 16)
        refuse("WEFT_PATHS", text, "1 to 16", "2");
    return static_cast<std::uint32_t>(std::stoi(text));
}

/// What ranks have to agree on for their Plans to be the same.
std::vector<std::pair<std::string, std::string>> shared_environment(const WorldOptions& o,
                                                                    const JobFabric& place) {
    return {{"transport", o.transport},
            {"algorithm", o.algorithm},
            {"paths", std::to_string(o.paths)},
            {"verify", o.verify ? "1" : "0"},
            {"fault", o.fault},
            {"fabric", place.fingerprint()}};
}

std::uint64_t whole(double x) {
    return static_cast<std::uint64_t>(std::max(x, 0.0));
}

/// What the engine does; false if it cannot be looked at in this moment.
bool fill(RankReport& report, Engine& engine) {
    const auto view = engine.view();
    if (!view) return false;
    for (const EngineView::Group& g : view->groups) {
        RankReport::Group group{.context = g.context, .members = net::ranges_of(g.members)};
        group.waits_for = g.waits_for;
        group.attended = view->attended || g.operation == 0;
        group.broken = g.broken;
        if (g.operation != 0) {
            OperationHead head;
            head.context = g.context;
            head.operation = g.operation;
            group.under_way.push_back({.head = head, .still_ms = whole(g.still_s * 1e3)});
        }
        report.groups.push_back(std::move(group));
    }
    for (const EngineView::SlowLane& l : view->lanes)
        report.lanes.push_back({.peer = l.peer,
                                .lane = l.lane,
                                .rail = l.way.rail,
                                .plane = l.way.plane,
                                .up = l.up,
                                .rate = whole(l.rate),
                                .best = whole(l.best)});
    return true;
}

}  // namespace

WorldOptions world_options_from_environment() {
    WorldOptions o;
    const auto variable = [](const char* name) -> std::optional<std::string> {
        const char* text = std::getenv(name);
        if (!text || *text == '\0') return std::nullopt;
        return text;
    };
    if (const auto v = variable("WEFT_TRANSPORT")) o.transport = *v;
    if (const auto v = variable("WEFT_INTERFACES")) o.interfaces = *v;
    if (const auto v = variable("WEFT_HOST")) o.host = *v;
    if (const auto v = variable("WEFT_FABRIC")) o.fabric = *v;
    if (const auto v = variable("WEFT_ALGORITHM")) o.algorithm = *v;
    if (const auto v = variable("WEFT_PATHS")) o.paths = parse_paths(*v);
    if (const auto v = variable("WEFT_VERIFY")) o.verify = parse_switch("WEFT_VERIFY", *v);
    if (const auto v = variable("WEFT_BACKGROUND"))
        o.background = parse_switch("WEFT_BACKGROUND", *v);
    if (const auto v = variable("WEFT_DOCTOR")) o.doctor = parse_switch("WEFT_DOCTOR", *v);
    if (const auto v = variable("WEFT_MEET_WITHIN"))
        o.meet_within = parse_time("WEFT_MEET_WITHIN", *v);
    if (const auto v = variable("WEFT_PATIENCE")) o.patience = parse_time("WEFT_PATIENCE", *v);
    return o;
}

void World::check(const WorldOptions& options, std::uint32_t rank, std::uint32_t ranks) {
    const auto& far = process_transports();
    const bool known = options.transport == "auto" || options.transport == "shm" ||
                       std::find(far.begin(), far.end(), options.transport) != far.end();
    if (!known)
        refuse("transport", options.transport,
               fmt::format("auto, shm, {}", fmt::join(far.begin(), far.end(), ", ")), "auto");
    if (rank >= ranks)
        refuse("rank", std::to_string(rank), fmt::format("a rank below {}", ranks), "0");
    (void)parse_fault_plan(options.fault);
}

Outcome<std::shared_ptr<World>> World::join(const UniqueId& id, std::uint32_t rank,
                                            std::uint32_t ranks, const WorldOptions& options) {
    check(options, rank, ranks);
    std::shared_ptr<World> world(new World);
    world->options_ = options;
    world->place_ = std::make_unique<JobFabric>(options.fabric);
    NetOptions net{
        .rank = rank, .ranks = ranks, .environment = shared_environment(options, *world->place_)};
    net.host = options.host;
    net.doctor = options.doctor;
    if (!options.interfaces.empty()) net.ports = find_ports(options.interfaces);
    auto control = NetControl::start(id, net);
    if (!control) return control.error();
    world->control_ = std::move(control.value());
    world->place_->publish(*world->control_, options.host);
    world->next_context_ = contexts_of(ranks);

    std::unique_ptr<Endpoint> near;
    ProcessEndpoint far;
    if (options.transport == "auto" || options.transport == "shm") {
        // Reading messages out of the sender's process costs more than two copies in the cache:
        // all-reduce of 64 MiB, 2 ranks, 30 ms against 20.6, 16 MiB 5.0 against 3.4. Whole blocks
        // are read that way (api/direct.hpp).
        ShmOptions shared;
        shared.messages_are_read = false;
        auto made = make_shm_endpoint(*world->control_, shared);
        if (!made) return made.error();
        world->shm_ = made.value().get();
        near = std::move(made.value());
    }
    if (options.transport != "shm") {
        auto made = make_process_endpoint(
            options.transport == "auto" ? "tcp" : options.transport, *world->control_,
            {.ports = net.ports, .paths = options.paths, .verify = options.verify});
        if (!made) return made.error();
        far = std::move(made.value());
    }
    WEFT_TRY(world->control_->meet(Clock::now() + options.meet_within));
    WEFT_TRY(world->place_->settle(*world->control_));
    if (far.assemble) WEFT_TRY(far.assemble());
    WEFT_TRY(world->route(std::move(near), std::move(far.endpoint)));
    if (!options.fault.empty()) {
        world->shm_ = nullptr;
        world->endpoint_ =
            with_faults(std::move(world->endpoint_), parse_fault_plan(options.fault));
    }
    const std::vector<std::uint32_t>& hosts = world->hosts();
    const auto here = std::count(hosts.begin(), hosts.end(), hosts[rank]);
    world->engine_ =
        std::make_unique<Engine>(*world->control_, *world->endpoint_,
                                 EngineOptions{.patience = options.patience,
                                               .ranks_here = static_cast<std::uint32_t>(here),
                                               .background = options.background});
    world->control_->on_report(
        [engine = world->engine_.get()](RankReport& report) { return fill(report, *engine); });
    return world;
}

/// Ranks of this host through shared memory, where that is wanted, and the others the other way.
Status World::route(std::unique_ptr<Endpoint> near, std::unique_ptr<Endpoint> far) {
    std::vector<std::uint8_t> route(ranks(), 0);
    bool any_near = false;
    bool any_far = false;
    for (std::uint32_t r = 0; r < ranks(); ++r) {
        if (r == rank()) continue;
        const bool same = near && control_->same_host(r);
        (same ? any_near : any_far) = true;
        route[r] = same ? 0 : 1;
        if (!same && !far)
            return LiveError{.what = fmt::format("rank {} is on another host, and the transport is "
                                                 "{}",
                                                 r, options_.transport),
                             .rank = static_cast<int>(rank()),
                             .peer = static_cast<int>(r)};
    }
    if (any_near && any_far) {
        std::vector<std::unique_ptr<Endpoint>> parts;
        parts.push_back(std::move(near));
        parts.push_back(std::move(far));
        endpoint_ = combine(std::move(parts), std::move(route));
        return Done{};
    }
    if (any_far || !near) {
        shm_ = nullptr;
        near.reset();
        endpoint_ = std::move(far);
    } else {
        endpoint_ = std::move(near);
    }
    return Done{};
}

World::~World() {
    if (control_) control_->on_report({});
    if (farewell_ && control_ && engine_) control_->leave();
    engine_.reset();
    endpoint_.reset();
}

}  // namespace weft::live

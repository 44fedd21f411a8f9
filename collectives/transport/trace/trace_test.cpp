#include "collectives/transport/trace/trace.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <fmt/format.h>

namespace weft::live {
namespace {

using namespace std::chrono_literals;

TraceEvent event(TraceEvent::Kind kind, Clock::time_point posted, Clock::time_point completed) {
    return {.kind = kind,
            .rank = 1,
            .peer = 2,
            .lane = 3,
            .key = {.operation = 4, .context = 0, .stream = 5, .sequence = 6},
            .bytes = 700,
            .posted = posted,
            .completed = completed};
}

TEST_CASE("a trace has a beginning and an end for each message, in Chrome's words", "[unit]") {
    const Clock::time_point origin = Clock::now();
    const std::array events{
        event(TraceEvent::Kind::kSend, origin + 1us, origin + 2500ns),
        event(TraceEvent::Kind::kLaneDown, origin + 3us, origin + 3us),
    };
    const std::string args = R"("args":{"peer":2,"lane":3,"bytes":700,"context":0,)"
                             R"("operation":4,"stream":5,"sequence":6}})";
    const auto line = [&](const char* name, const char* rest) {
        return fmt::format(R"({{"name":"{}","cat":"message",{},{})", name, rest, args);
    };
    CHECK(to_chrome_json(events, origin) ==
          "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n" +
              line("send", R"("ph":"b","ts":1.000,"pid":1,"tid":131075,"id":1)") + ",\n" +
              line("send", R"("ph":"e","ts":2.500,"pid":1,"tid":131075,"id":1)") + ",\n" +
              line("lane down", R"("ph":"i","ts":3.000,"pid":1,"tid":131075,"id":2)") + "\n]}\n");
    CHECK(to_chrome_json({}, origin) == "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n]}\n");
}

TEST_CASE("a trace as CSV has one line an event", "[unit]") {
    const Clock::time_point origin = Clock::now();
    const std::array one{event(TraceEvent::Kind::kReceive, origin + 1us, origin + 2us)};
    CHECK(to_csv(one, origin) ==
          "kind,rank,peer,lane,bytes,posted_ns,completed_ns,context,operation,stream,sequence\n"
          "receive,1,2,3,700,1000,2000,0,4,5,6\n");
}

TEST_CASE("a traced endpoint writes down both ends of a message and a dead lane", "[unit]") {
    std::vector<TraceLog> logs(2);
    const auto world = with_trace(transports().at("inproc").make({.ranks = 2}), logs);
    std::array<Member, 2> m;
    for (std::uint32_t r = 0; r < 2; ++r) m[r] = std::move(world->open(r, Clock::now()).value());
    OperationHead head;
    head.operation = 1;
    for (std::uint32_t r = 0; r < 2; ++r) {
        REQUIRE(m[r].endpoint->connect(1 - r, Clock::now()).ok());
        m[r].endpoint->begin(head);
    }
    std::array<std::byte, 10> data{};
    const Segment all{m[0].endpoint->register_region(data), data.data(), data.size()};
    const MessageKey key{.operation = 1, .context = 0, .stream = 0, .sequence = 0};
    REQUIRE(m[0].endpoint->post_send(1, 1, key, {&all, 1}));
    m[1].endpoint->post_view(0, key, data.size());
    std::array<Completion, 2> out;
    REQUIRE(m[1].endpoint->poll(out) == 1);
    m[1].endpoint->release(out[0]);
    REQUIRE(m[0].endpoint->cut_lane(1, 0));
    REQUIRE(m[0].endpoint->poll(out) == 2);
    REQUIRE(logs[1].size() == 1);
    CHECK(logs[1][0].kind == TraceEvent::Kind::kReceive);
    CHECK(logs[1][0].bytes == 10);
    CHECK(logs[1][0].lane == 1);
    REQUIRE(logs[0].size() == 2);
    CHECK(logs[0][0].kind == TraceEvent::Kind::kLaneDown);
    CHECK(logs[0][1].kind == TraceEvent::Kind::kSend);
    CHECK(logs[0][1].key == key);
    CHECK(logs[0][1].posted <= logs[1][0].completed);
}

}  // namespace
}  // namespace weft::live

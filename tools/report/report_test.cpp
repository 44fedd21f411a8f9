// The report of a hand-made Result: what must be in it, and what must not.
#include "tools/report/report.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/result.hpp"

using namespace weft;
using namespace weft::tools;

namespace {

Result made_up() {
    Result r;
    r.step_time = ms(100);
    r.slowest_rank = RankId{3};
    r.compute = ms(60);
    r.bubble = ms(10);
    r.lower_bound = ms(80);
    r.families = {{"TP", ms(30), ms(25), ms(1), ms(29)}, {"DP", ms(20), ms(5), ms(2), ms(18)}};
    r.rank_splits = {{RankId{5}, 1, ms(48), ms(1), ms(47)}, {RankId{0}, 63, ms(50), ms(3), ms(47)}};
    r.collectives.push_back({"TP", "allgather", "ring", 8, Bytes{41943040}, 640, us(230), us(220),
                             us(400), us(7), us(9), 182.4, 159.6});
    r.busiest_links.push_back(
        {LinkId{4}, "host[0].nic[2]:1 > tor[17]", "access", 2, 1, 1, Bytes{1 << 30}, 0.42, ms(44)});
    r.busiest_distinct = r.busiest_links;
    r.busiest_distinct.front().alike = 48;
    for (const bool up : {true, false})
        for (std::int32_t plane = 0; plane < 2; ++plane)
            for (std::int32_t rail = 0; rail < 8; ++rail)
                r.link_groups.push_back({"access", 1, plane, rail, up, 16, Bytes{1 << 30},
                                         0.1 * rail, 0.1 * rail + 0.1});
    for (int i = 0; i < 100; ++i) {
        const SimTime start{ms(i).ps()};
        r.timeline.push_back({RankId{3}, "compute", "mlp", start, start + us(600), start});
        r.timeline.push_back({RankId{3}, "TP", "mlp", start + us(600), start + us(900), start});
    }
    r.assumptions = {"assumed <b>"};
    r.warnings = {"watch & learn"};
    r.scenario = {{"fabric.name", "hpn7"}};
    return r;
}
Report report_of(const Result& r) {
    return {&r, "trace <script>alert(1)</script>", "64 ranks", "endpoint calibrated"};
}
bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the page is self-contained, escaped and complete", "[unit]") {
    const Result r = made_up();
    const std::string page = html_report(report_of(r));
    for (const char* part :
         {"100 ms", "Timeline", "Exposed communication", "The fabric", "Busiest links",
          "Bus bandwidth", "Waiting for others", "host[0].nic[2]:1 &gt; tor[17]",
          "assumed &lt;b&gt;", "watch &amp; learn", "endpoint calibrated"})
        CHECK(holds(page, part));
    for (const char* part : {"<script", "http:", "https:", "src=", "nan", "inf"})
        CHECK_FALSE(holds(page, part));
    CHECK(page == html_report(report_of(r)));
}

TEST_CASE("without compute times the report claims no exposure", "[unit]") {
    Result r = made_up();
    r.has_compute = false;
    CHECK(holds(text_report(report_of(r)), "compute: none in the trace"));
    CHECK_FALSE(holds(html_report(report_of(r)), "exposed:"));
    CHECK_FALSE(holds(text_report(report_of(r)), "exposed TP"));
}

TEST_CASE("the first screen says where the time goes and what limits it", "[unit]") {
    const Result r = made_up();
    const std::string text = text_report(report_of(r));
    for (const char* part :
         {"step time   100 ms", "compute", "60.0 %", "exposed TP", "25.0 %", "bubble", "159.6",
          "host[0].nic[2]:1 > tor[17]", "rank 5", "rank 0 and 62 alike", "waits most",
          "limit: compute is 60.0 % of the step", "warning: watch & learn"})
        CHECK(holds(text, part));
    CHECK(text.rfind("endpoint calibrated\n", 0) == 0);  // what it rests on comes first
}

TEST_CASE("a band stands beside the step, with what widens it most", "[unit]") {
    Result r = made_up();
    CHECK(bands_text(r).empty());
    CHECK_FALSE(holds(html_report(report_of(r)), "5 to 95 %"));
    r.bands = {{.low = ms(95),
                .high = ms(112),
                .by = "machine <lab>'s ranges",
                .parts = {{"nic.rate", ms(4), ms(12)}, {"launch.ll", ms(3), ms(0)}}}};
    const std::string text = text_report(report_of(r));
    CHECK(holds(text, "step time   100 ms (95 .. 112 ms by machine <lab>'s ranges)"));
    CHECK(holds(text, "widest: nic.rate (-4 ms, +12 ms), launch.ll (-3 ms, +0)"));
    const std::string page = html_report(report_of(r));
    CHECK(holds(page, "95 ms .. 112 ms"));
    CHECK(holds(page, "5 to 95 % by machine &lt;lab&gt;&#39;s ranges"));
    CHECK(holds(page, "<td class=\"t\"><code>launch.ll</code></td><td>3 ms</td>"));
}

TEST_CASE("an empty result is still a report", "[unit]") {
    const Result r;
    CHECK(holds(html_report(report_of(r)), "</html>"));
    CHECK(holds(text_report(report_of(r)), "nothing takes time"));
}

TEST_CASE("a busy timeline is drawn in bounded space", "[unit]") {
    Result r = made_up();
    r.timeline.clear();
    for (int i = 0; i < 100'000; ++i)
        r.timeline.push_back({RankId{3}, "TP", "x", SimTime{us(i).ps()},
                              SimTime{us(i).ps()} + ns(900), SimTime{us(i).ps()}});
    CHECK(html_report(report_of(r)).size() < 600'000);
}

TEST_CASE("timeline.json is trace events with a process a rank and a thread a queue", "[unit]") {
    const Result r = made_up();
    const auto j = nlohmann::json::parse(trace_events(r));
    int complete = 0;
    int names = 0;
    for (const auto& e : j["traceEvents"]) {
        if (e["ph"] == "X") {
            ++complete;
            CHECK(e["pid"] == 3);
        }
        if (e["name"] == "thread_name") ++names;
    }
    CHECK(complete == 200);
    CHECK(names == 2);
    CHECK(j["traceEvents"][3]["ts"] == 0.0);
}

TEST_CASE("a file is written whole, and a bad place is the user's error", "[unit]") {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / "weft-report-test" / "deep";
    write_atomically(folder / "a.txt", "one");
    write_atomically(folder / "a.txt", "two");
    std::ifstream in(folder / "a.txt");
    std::stringstream text;
    text << in.rdbuf();
    CHECK(text.str() == "two");
    CHECK_FALSE(std::filesystem::exists(folder / "a.txt.partial"));
    CHECK_THROWS_AS(write_atomically(folder / "a.txt" / "b.txt", "x"), ConfigError);
    std::filesystem::remove_all(folder.parent_path());
}

namespace {

/// Two tiers over ten samples: a deep queue, a paused port and its victim.
PacketSummary packets() {
    PacketSummary p;
    p.used = true;
    p.pauses = 12;
    p.deepest = Bytes{1 << 20};
    p.sample = us(2);
    p.begin = SimTime{} + us(5);
    p.end = p.begin + us(19);
    for (const bool up : {true, false}) {
        QueueSeries q{.kind = "access", .tier = 1, .plane = 1, .up = up, .ports = 4};
        q.rate = 400_Gbps;
        q.worst = "tor[0] > <nic>";
        q.most_queued = up ? Bytes{} : Bytes{1 << 20};
        for (int i = 0; i < 10; ++i)
            q.samples.push_back({up ? Bytes{} : Bytes{(1 << 20) - 1000 * i}, Bytes{10}, Bytes{99},
                                 5, 0, 1, up ? us(1) : us(0)});
        p.groups.push_back(q);
    }
    p.deepest_ports = {p.groups[1]};
    p.pause_roots = {"tor[0] > <nic>"};
    p.paused_ports.push_back({.name = "host[1].nic[0]:0 > tor[0]",
                              .pauses = 12,
                              .paused = us(9),
                              .storms = 1,
                              .spans = {{p.begin, p.begin + us(10), 12, us(9), 0}}});
    p.ports_paused = 3;
    p.victims.push_back({"host[2]", "host[9]", us(7), "agg[0] > tor[0]", "tor[0] > <nic>"});
    p.flows_held = 2;
    p.connections = 40;
    Completions c;
    c.what = "network <messages>";
    c.count = 2;
    c.time_ps = {us(1).ps(), us(2).ps(), us(2).ps(), us(2).ps()};
    c.slowdown_milli = {1000, 40'000, 40'000, 40'000};
    c.sizes = {{Bytes{4096}, 2, c.time_ps, c.slowdown_milli}};
    c.slowdowns = {{1000, 1}, {40'000, 2}};
    p.completions = {c};
    return p;
}

}  // namespace

TEST_CASE("where packets ran, the page shows queues, completion times and pauses", "[unit]") {
    Result r = made_up();
    CHECK_FALSE(holds(html_report(report_of(r)), "Queues over time"));
    r.packets = packets();
    const std::string page = html_report(report_of(r));
    for (const char* part :
         {"Queues over time", "ToR &gt; NIC, plane 1", "1 MiB at tor[0] &gt; &lt;nic&gt;",
          "Completion times", "network &lt;messages&gt;", "host[1].nic[0]:0 &gt; tor[0]",
          "9 us, 12 pauses, 1 storms", "Victims: 2 of 40 connections",
          "<code>host[2] &gt; host[9]</code>", "because of tor[0] &gt; &lt;nic&gt;", "100 in all",
          "Time 0 is the first packet, at 5 us."})
        CHECK(holds(page, part));
    // A port that never queues has no row of queues.
    CHECK(page.find("NIC &gt; ToR, plane 1") > page.find("How much was used of the links"));
    for (const char* part : {"<nic>", "nan", "inf"}) CHECK_FALSE(holds(page, part));
    CHECK(page == html_report(report_of(r)));
}

TEST_CASE("packets without anything recorded draw nothing", "[unit]") {
    Result r = made_up();
    r.packets.used = true;
    const std::string page = html_report(report_of(r));
    for (const char* part : {"Queues over time", "Completion times", "<h2>Pauses"})
        CHECK_FALSE(holds(page, part));
}

TEST_CASE("a long pause log is drawn in bounded space", "[unit]") {
    Result r = made_up();
    r.packets = packets();
    PausedPort& port = r.packets.paused_ports.front();
    port.spans.clear();
    for (int i = 0; i < 4000; ++i)
        port.spans.push_back(
            {r.packets.begin + ns(4 * i), r.packets.begin + ns(4 * i + 2), 1, ns(2), 0});
    CHECK(html_report(report_of(r)).size() < 200'000);
}

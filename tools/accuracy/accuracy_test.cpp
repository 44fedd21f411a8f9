// The accuracy page of made-up validations: nothing may be missing from it.
#include "tools/accuracy/accuracy.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "tools/accuracy/plot.hpp"

using namespace weft;
using namespace weft::tools;

namespace {

MeasuredCase measured(const std::string& id, Use use, std::initializer_list<int> kib) {
    MeasuredCase c;
    c.id = id;
    c.title = "title of " + id;
    c.source = "a | b";
    c.machine = "lab";
    c.host = "dgx";
    c.gpus_per_host = 8;
    c.library = "nccl";
    c.use = use;
    for (const int k : kib) {
        MeasuredPoint p;
        p.size = Bytes{1024LL * k};
        p.time = us(100);
        c.points.push_back(p);
    }
    return c;
}

ValidatedCase validated(const MeasuredCase& c, std::initializer_list<int> simulated_us) {
    ValidatedCase v;
    v.measured = &c;
    std::size_t i = 0;
    for (const int t : simulated_us) {
        ValidatedPoint p;
        p.size = c.points[i].size;
        p.measured = c.points[i++].time;
        p.simulated = us(t);
        p.low = us(t - 10);
        p.high = us(t + 10);
        v.points.push_back(p);
    }
    return v;
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the logarithm of plots is the logarithm", "[unit]") {
    for (const double x : {1.0, 2.0, 3.0, 0.1, 1e-6, 12345.678, 9e14})
        CHECK(std::abs(log2_of(x) - std::log2(x)) < 3e-6);
}

TEST_CASE("every case stands on the page, with its worst row and its cause", "[unit]") {
    MeasuredCase good = measured("good", Use::kTest, {1, 64, 128});
    MeasuredCase bad = measured("bad", Use::kTest, {64, 128});
    bad.why = "a *switch* nobody described";
    MeasuredCase alone = measured("alone", Use::kFit, {64});
    MeasuredCase never = measured("never", Use::kTest, {64});
    Validation v;
    v.cases = {validated(good, {109, 105, 99}), validated(bad, {150, 40}), validated(alone, {91}),
               validated(never, {})};
    v.cases[3].problem = "no profile of lab";
    v.cases[0].beyond = "allreduce on 9 hosts (fitted on 1)";
    const auto plots = accuracy_plots(v);
    const std::string page = accuracy_page(v, plots);
    CHECK(holds(page,
                "| good | lab | 1 x 8 dgx | allreduce | nccl | 3 | 3.0 % | +5 % at 64 KiB | "
                "9.0 % | +9 % at 1 KiB | - | - | - | 3 of 3 | allreduce on 9 hosts"));
    CHECK(
        holds(page, "| bad | test | 55.0 % | -60 % at 128 KiB | a \\*switch\\* nobody described"));
    CHECK_FALSE(holds(page, "| good | test |"));  // no miss
    CHECK(holds(page, "| never | title of never | no profile of lab |"));
    CHECK(holds(page, "| alone | a \\| b |"));
    CHECK(holds(page, "| test | 5 | 60 % |"));  // inside the band: 109, 105, 99 of five
    CHECK(holds(page, "| all, below 64 KiB | weft | 1 | 9.0 %"));
    REQUIRE(plots.size() == 2);
    CHECK(plots[1].first == "error-lab");
    for (const auto& [name, svg] : plots) {
        CHECK(holds(page, "(accuracy/" + name + ".svg)"));
        CHECK(svg.rfind("<svg xmlns=", 0) == 0);
        CHECK_FALSE(holds(svg, "nan"));
        CHECK_FALSE(holds(svg, "inf"));
    }
    CHECK(accuracy_page(v, plots) == page);
}

TEST_CASE("a decision is right, wrong with its cause, or not simulated", "[unit]") {
    Decision d;
    d.id = "nvls-ring";
    d.title = "NVLS against ring";
    d.a.what = "NVLS";
    d.b.what = "ring";
    d.ratio_low = d.ratio_high = 1.5;
    Decision wrong = d;
    wrong.id = "wrong-one";
    wrong.why = "no NVLS";
    Decision silent = d;
    silent.id = "silent-one";
    Validation v;
    v.decisions = {{.decision = &d, .problem = {}, .a = us(10), .b = us(16), .right = true},
                   {.decision = &wrong, .problem = {}, .a = us(10), .b = us(10), .right = false},
                   {.decision = &silent, .problem = "a step", .a = {}, .b = {}, .right = false}};
    const std::string page = accuracy_page(v, accuracy_plots(v));
    CHECK(holds(page, "1 of 2 called right"));
    CHECK(holds(page,
                "| nvls-ring | NVLS against ring | NVLS, 1.50 times | NVLS, 1.60 times | right"));
    CHECK(holds(
        page, "| wrong-one | NVLS against ring | NVLS, 1.50 times | equal | **wrong** | no NVLS"));
    CHECK(holds(page, "| silent-one | NVLS against ring | a step |"));
}

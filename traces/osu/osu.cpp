#include "traces/osu/osu.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "traces/measurements/detail/lines.hpp"

namespace weft::osu {
namespace {

using logs::complete_setup;
using logs::duration_at;
using logs::fail;
using logs::Line;
using logs::lines_of;
using logs::merge_points;
using logs::Place;
using logs::stem_of;
using logs::trim;
using logs::whole_number;
using logs::words_of;

struct Test {
    const char* words;  // in the title, after the name of the library
    Collective collective;
    bool each_rank;  // the size is one rank's share
};
constexpr std::array<Test, 11> kTests{
    {{"Allreduce Latency", Collective::kAllReduce, false},
     {"Allgather Latency", Collective::kAllGather, true},
     {"Reduce_scatter Latency", Collective::kReduceScatter, false},
     {"Reduce Scatter Latency", Collective::kReduceScatter, false},
     {"All-to-All Personalized", Collective::kAllToAll, true},
     {"Alltoall Latency", Collective::kAllToAll, true},
     {"Broadcast Latency", Collective::kBroadcast, false},
     {"Reduce Latency", Collective::kReduce, false},
     {"Gather Latency", Collective::kGather, true},
     {"Scatter Latency", Collective::kScatter, true},
     {"Latency Test", Collective::kSendRecv, false}}};
constexpr std::int64_t kMaxSize = std::int64_t{1} << 44;

const Test* test_in(std::string_view title) {
    for (const Test& t : kTests)
        if (title.find(t.words) != std::string_view::npos) return &t;
    return nullptr;
}

class Reader {
  public:
    Reader(const std::string& file, const ImportHints& hints) : file_(file), hints_(hints) {
        out_.format = "osu";
    }

    Imported run(const std::string& text) {
        for (const Line& line : lines_of(text)) take(line);
        end();
        if (out_.cases.empty())
            fail({&file_, 0}, "", "no rows", "sizes and latencies under a title of OSU",
                 "# OSU MPI Allreduce Latency Test v7.0");
        return std::move(out_);
    }

  private:
    void take(const Line& line) {
        const std::string_view text = trim(line.text);
        if (text.empty()) return;
        if (text.front() == '#') return take_title(text, line.number);
        const std::vector<std::string_view> words = words_of(text);
        const std::int64_t size = whole_number(words[0]);
        if (!open_ || size < 0) return;  // what the launcher prints
        if (words.size() < 2) {
            if (!line.last)
                fail({&file_, line.number}, "row", text, "a size and a latency", "1024  5.23");
            out_.notes.push_back(fmt::format("{}:{}: the last row is cut short; it is left out",
                                             file_, line.number));
            return;
        }
        if (size > 0) take_row(words, size, line.number);
    }

    void take_title(std::string_view text, int number) {
        if (text.find("OSU") == std::string_view::npos) {
            if (text.find("Size") != std::string_view::npos)
                range_ = text.find("Min Latency") != std::string_view::npos &&
                         text.find("Max Latency") != std::string_view::npos;
            return;
        }
        end();
        const Test* test = test_in(text);
        if (test == nullptr)
            fail({&file_, number}, "title", text, "a latency test of a collective",
                 "# OSU MPI Allreduce Latency Test v7.0");
        open_ = true;
        range_ = false;
        case_ = {};
        case_.collective = hints_.collective.value_or(test->collective);
        case_.machine = case_.host = "unknown";
        case_.library = text.find("NCCL") != std::string_view::npos ? "nccl" : "mpi";
        case_.hosts = case_.gpus_per_host = 1;
        if (case_.collective == Collective::kSendRecv) case_.hosts = 2;
        case_.file = case_.source = file_;
        case_.line = number;
        case_.tag = "S";
        case_.use = Use::kFit;
        complete_setup(case_, hints_, {&file_, number});
        each_rank_ = test->each_rank;
    }

    void take_row(const std::vector<std::string_view>& words, std::int64_t size, int number) {
        const Place at{&file_, number};
        const std::int64_t shares = each_rank_ ? static_cast<std::int64_t>(case_.ranks()) : 1;
        if (size > kMaxSize / shares)
            fail(at, "size", words[0], "at most 16 TiB of all ranks together", "1048576");
        MeasuredPoint p;
        p.size = Bytes{size} * shares;
        p.line = number;
        p.time = p.low = p.high = duration_at(at, words[1], "us");
        if (range_ && words.size() >= 4) {
            p.low = std::min(p.time, duration_at(at, words[2], "us"));
            p.high = std::max(p.time, duration_at(at, words[3], "us"));
        }
        case_.points.push_back(p);
    }

    void end() {
        if (open_ && !case_.points.empty()) {
            case_.id = fmt::format("{}-{}-{}", stem_of(file_), name_of(case_.collective),
                                   out_.cases.size() + 1);
            case_.title = fmt::format("{}, {} hosts of {} ranks", name_of(case_.collective),
                                      case_.hosts, case_.gpus_per_host);
            merge_points(case_);
            out_.cases.push_back(case_);
        }
        open_ = false;
    }

    const std::string& file_;
    const ImportHints& hints_;
    Imported out_;
    bool open_ = false;
    bool range_ = false;
    bool each_rank_ = false;
    MeasuredCase case_;
};

}  // namespace

bool recognises(std::string_view text) {
    return text.find("# OSU ") != std::string_view::npos;
}

Imported read(const std::string& text, const std::string& file, const ImportHints& hints) {
    return Reader(file, hints).run(text);
}

}  // namespace weft::osu

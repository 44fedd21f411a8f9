#include "collectives/transport/trace/trace.hpp"

#include <fmt/format.h>
#include <map>
#include <tuple>
#include <utility>

namespace weft::live {

namespace {

class TraceEndpoint final : public Endpoint {
  public:
    TraceEndpoint(std::unique_ptr<Endpoint> inner, TraceLog& log)
        : inner_(std::move(inner)), log_(log) {}

    [[nodiscard]] std::uint32_t rank() const override { return inner_->rank(); }
    [[nodiscard]] std::uint32_t ranks() const override { return inner_->ranks(); }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override {
        return inner_->connect(peer, deadline);
    }
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t peer) const override {
        return inner_->lanes(peer);
    }
    [[nodiscard]] std::uint32_t register_region(std::span<std::byte> memory) override {
        return inner_->register_region(memory);
    }
    void deregister_region(std::uint32_t region) override { inner_->deregister_region(region); }
    void begin(const OperationHead& head) override { inner_->begin(head); }
    void end(ContextId context, std::uint64_t operation) override {
        inner_->end(context, operation);
    }
    void cancel(ContextId context, std::uint64_t operation) override {
        inner_->cancel(context, operation);
        for (auto* open : {&sends_, &receives_})
            std::erase_if(*open, [&](const auto& entry) {
                return std::get<1>(entry.first) == context && std::get<2>(entry.first) == operation;
            });
    }
    [[nodiscard]] bool post_send(std::uint32_t peer, std::uint32_t lane, const MessageKey& key,
                                 Segments data) override {
        if (!inner_->post_send(peer, lane, key, data)) return false;
        sends_[id_of(peer, key)] = {Clock::now(), total_size(data)};
        return true;
    }
    void post_recv(std::uint32_t peer, const MessageKey& key, Segments to) override {
        receives_[id_of(peer, key)] = {Clock::now(), total_size(to)};
        inner_->post_recv(peer, key, to);
    }
    void post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) override {
        receives_[id_of(peer, key)] = {Clock::now(), size};
        inner_->post_view(peer, key, size);
    }
    void release(const Completion& received) override { inner_->release(received); }
    [[nodiscard]] std::size_t poll(std::span<Completion> out) override {
        const std::size_t n = inner_->poll(out);
        for (const Completion& c : out.first(n)) note(c);
        return n;
    }
    [[nodiscard]] std::optional<Fault> fault() override { return inner_->fault(); }
    [[nodiscard]] bool arm() override { return inner_->arm(); }
    void disarm() override { inner_->disarm(); }
    [[nodiscard]] std::span<const int> fds() const override { return inner_->fds(); }
    void wake() override { inner_->wake(); }
    bool cut_lane(std::uint32_t peer, std::uint32_t lane) override {
        return inner_->cut_lane(peer, lane);
    }
    bool mend_lane(std::uint32_t peer, std::uint32_t lane) override {
        return inner_->mend_lane(peer, lane);
    }
    bool corrupt_lane(std::uint32_t peer, std::uint32_t lane) override {
        return inner_->corrupt_lane(peer, lane);
    }
    [[nodiscard]] bool restless() const override { return inner_->restless(); }

  private:
    using Id = std::tuple<std::uint32_t, ContextId, std::uint64_t, std::uint32_t, std::uint32_t>;
    struct Open {
        Clock::time_point posted;
        std::uint64_t bytes = 0;
    };
    static Id id_of(std::uint32_t peer, const MessageKey& k) {
        return {peer, k.context, k.operation, k.stream, k.sequence};
    }
    static TraceEvent::Kind kind_of(Completion::Kind k) {
        switch (k) {
            case Completion::Kind::kSent:
                return TraceEvent::Kind::kSend;
            case Completion::Kind::kSendLost:
                return TraceEvent::Kind::kLost;
            case Completion::Kind::kReceived:
                return TraceEvent::Kind::kReceive;
            case Completion::Kind::kLaneDown:
                return TraceEvent::Kind::kLaneDown;
            case Completion::Kind::kLaneUp:
                return TraceEvent::Kind::kLaneUp;
        }
        return TraceEvent::Kind::kSend;
    }
    void note(const Completion& c) {
        const Clock::time_point now = Clock::now();
        TraceEvent e{.kind = kind_of(c.kind),
                     .rank = inner_->rank(),
                     .peer = c.peer,
                     .lane = c.lane,
                     .key = c.key,
                     .bytes = 0,
                     .posted = now,
                     .completed = now};
        auto& open = e.kind == TraceEvent::Kind::kReceive ? receives_ : sends_;
        const bool message =
            e.kind != TraceEvent::Kind::kLaneDown && e.kind != TraceEvent::Kind::kLaneUp;
        const auto found = message ? open.find(id_of(c.peer, c.key)) : open.end();
        if (found != open.end()) {
            e.posted = found->second.posted;
            e.bytes = found->second.bytes;
            open.erase(found);
        }
        log_.push_back(e);
    }

    std::unique_ptr<Endpoint> inner_;
    TraceLog& log_;
    std::map<Id, Open> sends_;
    std::map<Id, Open> receives_;
};

class TraceTransport final : public Transport {
  public:
    TraceTransport(std::unique_ptr<Transport> inner, std::vector<TraceLog>& logs)
        : inner_(std::move(inner)), logs_(logs) {}
    [[nodiscard]] Outcome<Member> open(std::uint32_t rank, Clock::time_point deadline) override {
        auto member = inner_->open(rank, deadline);
        if (!member) return member;
        auto& endpoint = member.value().endpoint;
        endpoint = with_trace(std::move(endpoint), logs_.at(rank));
        return member;
    }
    [[nodiscard]] bool opens_alone() const override { return inner_->opens_alone(); }

  private:
    std::unique_ptr<Transport> inner_;
    std::vector<TraceLog>& logs_;
};

std::int64_t nanoseconds(Clock::time_point t, Clock::time_point origin) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(t - origin).count();
}
/// Chrome counts in microseconds; three decimals of them are exact.
std::string microseconds(Clock::time_point t, Clock::time_point origin) {
    const std::int64_t ns = nanoseconds(t, origin);
    const std::int64_t size = ns < 0 ? -ns : ns;
    return fmt::format("{}{}.{:03}", ns < 0 ? "-" : "", size / 1000, size % 1000);
}

}  // namespace

const char* name_of(TraceEvent::Kind k) {
    switch (k) {
        case TraceEvent::Kind::kSend:
            return "send";
        case TraceEvent::Kind::kLost:
            return "lost";
        case TraceEvent::Kind::kReceive:
            return "receive";
        case TraceEvent::Kind::kLaneDown:
            return "lane down";
        case TraceEvent::Kind::kLaneUp:
            return "lane up";
    }
    return "?";
}

std::unique_ptr<Endpoint> with_trace(std::unique_ptr<Endpoint> inner, TraceLog& log) {
    return std::make_unique<TraceEndpoint>(std::move(inner), log);
}

std::unique_ptr<Transport> with_trace(std::unique_ptr<Transport> inner,
                                      std::vector<TraceLog>& logs) {
    return std::make_unique<TraceTransport>(std::move(inner), logs);
}

std::string to_chrome_json(std::span<const TraceEvent> events, Clock::time_point origin) {
    std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
    std::uint64_t id = 0;
    const char* comma = "\n";
    const auto add = [&](const TraceEvent& e, const char* phase, Clock::time_point at) {
        out += fmt::format(
            "{}{{\"name\":\"{}\",\"cat\":\"message\",\"ph\":\"{}\",\"ts\":{},\"pid\":{},\"tid\":{},"
            "\"id\":{},\"args\":{{\"peer\":{},\"lane\":{},\"bytes\":{},\"context\":{},"
            "\"operation\":{},\"stream\":{},\"sequence\":{}}}}}",
            comma, name_of(e.kind), phase, microseconds(at, origin), e.rank,
            std::uint64_t{e.peer} << 16 | e.lane, id, e.peer, e.lane, e.bytes, e.key.context,
            e.key.operation, e.key.stream, e.key.sequence);
        comma = ",\n";
    };
    for (const TraceEvent& e : events) {
        ++id;
        if (e.kind == TraceEvent::Kind::kLaneDown || e.kind == TraceEvent::Kind::kLaneUp) {
            add(e, "i", e.completed);
            continue;
        }
        add(e, "b", e.posted);
        add(e, "e", e.completed);
    }
    return out + "\n]}\n";
}

std::string to_csv(std::span<const TraceEvent> events, Clock::time_point origin) {
    std::string out =
        "kind,rank,peer,lane,bytes,posted_ns,completed_ns,context,operation,stream,sequence\n";
    for (const TraceEvent& e : events)
        out += fmt::format("{},{},{},{},{},{},{},{},{},{},{}\n", name_of(e.kind), e.rank, e.peer,
                           e.lane, e.bytes, nanoseconds(e.posted, origin),
                           nanoseconds(e.completed, origin), e.key.context, e.key.operation,
                           e.key.stream, e.key.sequence);
    return out;
}

}  // namespace weft::live

#include "tests/support/one_bottleneck.hpp"

#include "base/check.hpp"

namespace weft {

OneBottleneck::OneBottleneck(const BottleneckOptions& o)
    : o_(o), capacity_(o.capacity), random_(o.seed, 0, "marks") {}

PathFacts OneBottleneck::path() const {
    return {.line_rate = o_.line,
            .base_rtt = o_.delay + transfer_time(o_.packet, o_.line) +
                        transfer_time(o_.packet, o_.capacity),
            .packet = o_.packet};
}

std::size_t OneBottleneck::add(std::unique_ptr<CongestionControl> cc, SimTime at) {
    Flow f;
    f.cc = std::move(cc);
    f.next_send = at;
    flows_.push_back(std::move(f));
    const auto id = static_cast<std::uint32_t>(flows_.size() - 1);
    flows_[id].send_event = at;
    post(at, Kind::kSend, id);
    return id;
}

void OneBottleneck::post(SimTime at, Kind kind, std::uint32_t flow, const Packet& packet) {
    events_.push({at, order_++, kind, flow, packet});
}

void OneBottleneck::run_until(SimTime end) {
    while (!events_.empty() && events_.top().at <= end) {
        const Event e = events_.top();
        events_.pop();
        WEFT_CHECK(e.at >= now_, "time runs back to {}", e.at.ps());
        now_ = e.at;
        handle(e);
    }
    now_ = end;
    count_queue();
}

void OneBottleneck::handle(const Event& e) {
    Flow& f = flows_[e.flow];
    switch (e.kind) {
        case Kind::kSend:
            if (f.send_event == e.at) f.send_event = SimTime::never();
            return try_send(e.flow);
        case Kind::kArrive:
            return arrive(e.flow, e.packet);
        case Kind::kServed:
            return served(e.flow, e.packet);
        case Kind::kAck:
            f.in_flight -= o_.packet;
            f.acked += o_.packet;
            f.cc->on_ack({.now = now_,
                          .rtt = now_ - e.packet.sent,
                          .acked = o_.packet,
                          .marked = e.packet.marked ? o_.packet : Bytes{0},
                          .in_flight = f.in_flight,
                          .acked_to = static_cast<std::uint64_t>(f.acked.count()),
                          .sent_to = static_cast<std::uint64_t>(f.sent.count()),
                          .hops = {&e.packet.hop, 1}});
            return after_callback(e.flow);
        case Kind::kNotify:
            f.cc->on_cnp(now_);
            return after_callback(e.flow);
        case Kind::kNack:
            f.in_flight -= o_.packet;
            f.sent -= o_.packet;
            f.cc->on_nack(now_, o_.packet);
            return after_callback(e.flow);
        case Kind::kTimer:
            if (f.timer_event == e.at) f.timer_event = SimTime::never();
            while (f.cc->timer() <= now_) f.cc->on_timer(now_);
            return after_callback(e.flow);
    }
}

void OneBottleneck::after_callback(std::uint32_t flow) {
    Flow& f = flows_[flow];
    const SimTime timer = f.cc->timer();
    if (timer != SimTime::never() && timer < f.timer_event) {
        f.timer_event = std::max(timer, now_);
        post(f.timer_event, Kind::kTimer, flow);
    }
    try_send(flow);
}

void OneBottleneck::try_send(std::uint32_t flow) {
    Flow& f = flows_[flow];
    if (f.in_flight > Bytes{0} && f.in_flight + o_.packet > f.cc->window()) return;
    if (now_ < f.next_send) {
        if (f.send_event <= f.next_send) return;
        f.send_event = f.next_send;
        return post(f.next_send, Kind::kSend, flow);
    }
    f.in_flight += o_.packet;
    f.sent += o_.packet;
    Packet p;
    p.sent = now_;
    post(now_ + transfer_time(o_.packet, o_.line) + o_.delay / 2, Kind::kArrive, flow, p);
    f.cc->sent(now_, o_.packet);
    f.next_send = now_ + transfer_time(o_.packet, std::min(o_.line, f.cc->rate()));
    after_callback(flow);
}

void OneBottleneck::arrive(std::uint32_t flow, Packet packet) {
    count_queue();
    if (o_.trim_above > Bytes{0} && queued_ + o_.packet > o_.trim_above) {
        trimmed_ += o_.packet;
        return post(now_ + o_.delay / 2, Kind::kNack, flow);
    }
    if (!o_.marking.at_dequeue) packet.marked = o_.marking.marks(queued_, random_.next());
    queued_ += o_.packet;
    most_ = std::max(most_, queued_);
    waiting_.emplace_back(flow, packet);
    if (!busy_) serve();
}

void OneBottleneck::serve() {
    auto [flow, packet] = waiting_.front();
    waiting_.pop_front();
    busy_ = true;
    left_ += o_.packet;
    packet.hop = {.at = now_, .rate = capacity_, .queue = queued_ - o_.packet, .sent = left_};
    post(now_ + transfer_time(o_.packet, capacity_), Kind::kServed, flow, packet);
}

void OneBottleneck::served(std::uint32_t flow, Packet packet) {
    Flow& f = flows_[flow];
    count_queue();
    queued_ -= o_.packet;
    least_ = std::min(least_, queued_);
    if (o_.marking.at_dequeue) packet.marked = o_.marking.marks(queued_, random_.next());
    ++packets_;
    marks_ += packet.marked ? 1 : 0;
    f.delivered += o_.packet;
    post(now_ + o_.delay / 2, Kind::kAck, flow, packet);
    if (packet.marked && now_ >= f.notify_from) {
        f.notify_from = now_ + o_.notify_every;
        post(now_ + o_.delay / 2, Kind::kNotify, flow);
    }
    busy_ = false;
    if (!waiting_.empty()) serve();
}

void OneBottleneck::count_queue() {
    area_ += static_cast<double>(queued_.count()) * static_cast<double>((now_ - counted_to_).ps());
    counted_to_ = now_;
}

OneBottleneck::Queue OneBottleneck::queue() const {
    const auto span = static_cast<double>((counted_to_ - counted_from_).ps());
    return {
        .mean = span > 0 ? area_ / span : 0,
        .least = least_,
        .most = most_,
        .marked = packets_ > 0 ? static_cast<double>(marks_) / static_cast<double>(packets_) : 0,
        .trimmed = trimmed_};
}

void OneBottleneck::clear() {
    count_queue();
    counted_from_ = now_;
    area_ = 0;
    least_ = most_ = queued_;
    trimmed_ = Bytes{0};
    packets_ = marks_ = 0;
}

double jain(const std::vector<double>& shares) {
    double sum = 0, squares = 0;
    for (const double s : shares) sum += s, squares += s * s;
    return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : 1;
}

}  // namespace weft

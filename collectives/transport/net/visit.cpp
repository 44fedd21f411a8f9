#include "collectives/transport/net/visit.hpp"

#include <algorithm>
#include <array>
#include <errno.h>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <unistd.h>

namespace weft::live::net {

namespace {

struct Call {
    Fd fd;
    std::vector<std::byte> bytes;
};

void finish(Visit& v, Call& call) {
    call.fd = Fd();
    v.report = parse_report(call.bytes);
    if (v.report && (v.report->job != v.door.job || v.report->rank != v.door.rank))
        v.report.reset();
    if (!v.report)
        v.why = call.bytes.empty() ? "its process hung up" : "it is of another version of Weft";
}

void begin(Visit& v, Call& call) {
    call.fd = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const Address to = unix_address(to_text(v.door));
    if (!call.fd || ::connect(call.fd.get(), to.get(), to.size) != 0) {
        v.why = "cannot be asked: " + words_of(errno);
        call.fd = Fd();
        return;
    }
    v.process = process_of(call.fd.get());
    if (same_user(call.fd.get()) || ::geteuid() == 0) return;
    v.refused = true;
    v.why = "belongs to another user";
    call.fd = Fd();
}

void read_some(Visit& v, Call& call) {
    std::array<std::byte, 65536> buffer;
    while (true) {
        const ssize_t n = ::recv(call.fd.get(), buffer.data(), buffer.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n > 0) call.bytes.insert(call.bytes.end(), buffer.begin(), buffer.begin() + n);
        if (n <= 0 || call.bytes.size() > kMaxReport) return finish(v, call);
    }
}

}  // namespace

std::vector<DoorName> doors_in(std::string_view table) {
    std::vector<DoorName> out;
    while (!table.empty()) {
        const std::size_t end = std::min(table.find('\n'), table.size());
        const std::string_view line = table.substr(0, end);
        table.remove_prefix(std::min(end + 1, table.size()));
        // "ffff: 00000002 00000000 00010000 0001 01 12345 @name": flags 00010000 listens.
        const std::size_t at = line.rfind(" @");
        if (at == line.npos || line.find(" 00010000 ") > at) continue;
        if (const auto name = parse_door_name(line.substr(at + 2))) out.push_back(*name);
    }
    const auto key = [](const DoorName& d) { return std::tuple(d.job, d.rank, d.random); };
    std::sort(out.begin(), out.end(),
              [&](const DoorName& a, const DoorName& b) { return key(a) < key(b); });
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

std::vector<DoorName> find_doors() {
    const std::ifstream file("/proc/net/unix");
    std::stringstream text;
    text << file.rdbuf();
    return doors_in(text.str());
}

std::vector<Visit> visit(const std::vector<DoorName>& doors, Clock::time_point deadline) {
    std::vector<Visit> visits(doors.size());
    std::vector<Call> calls(doors.size());
    for (std::size_t i = 0; i < doors.size(); ++i) {
        visits[i].door = doors[i];
        begin(visits[i], calls[i]);
    }
    while (true) {
        std::vector<pollfd> fds;
        std::vector<std::size_t> whose;
        for (std::size_t i = 0; i < calls.size(); ++i)
            if (calls[i].fd) {
                fds.push_back({calls[i].fd.get(), POLLIN, 0});
                whose.push_back(i);
            }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (fds.empty() || left.count() <= 0) break;
        (void)::poll(fds.data(), fds.size(),
                     static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
        for (std::size_t i = 0; i < fds.size(); ++i)
            if (fds[i].revents != 0) read_some(visits[whose[i]], calls[whose[i]]);
    }
    for (std::size_t i = 0; i < calls.size(); ++i)
        if (calls[i].fd) visits[i].why = "does not answer";
    return visits;
}

}  // namespace weft::live::net

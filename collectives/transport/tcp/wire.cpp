#include "collectives/transport/tcp/wire.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.hpp"
#include "collectives/transport/tcp/crc32c.hpp"

namespace weft::live::tcp {

namespace {

constexpr std::size_t kInBuffer = 16 * 1024;
// Behind payload read in place only so much is read along, since it may have to be copied.
constexpr std::size_t kReadAlong = 4 * 1024;
constexpr std::size_t kScratch = 64 * 1024;
constexpr std::size_t kMostPieces = 16;
constexpr std::size_t kWorthWaiting = 8 * 1024;
constexpr std::size_t kLongestWait = 64 * 1024;

std::size_t total(std::span<const iovec> pieces) {
    std::size_t sum = 0;
    for (const iovec& p : pieces) sum += p.iov_len;
    return sum;
}

bool is_control(FrameKind kind) {
    return kind == FrameKind::kGrant || kind == FrameKind::kAck;
}

}  // namespace

Wire::Wire(int fd, const Place& place, std::uint64_t id)
    : fd_(fd), place_(place), id_(id), in_(kInBuffer) {}

Wire::~Wire() {
    close(false);
}

void Wire::close(bool hard) {
    if (fd_ < 0) return;
    if (hard) {
        const linger now{.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    (void)::close(fd_);
    fd_ = -1;
}

void Wire::append(FrameHeader header, std::span<const std::byte> payload,
                  std::vector<std::byte>& to) {
    header.epoch = place_.epoch;
    header.progress = received_;
    reported_ = received_;
    const std::size_t at = to.size();
    to.resize(at + kHeaderSize);
    encode_header(header, std::span<std::byte, kHeaderSize>(to.data() + at, kHeaderSize));
    to.insert(to.end(), payload.begin(), payload.end());
}

void Wire::stage(FrameHeader header, std::span<const std::byte> payload) {
    header.length = static_cast<std::uint32_t>(payload.size());
    append(header, payload, busy() ? after_ : out_);
}

void Wire::stage_chunk(FrameHeader header, const SegmentCursor& from) {
    WEFT_CHECK(!busy(), "a chunk is still on its way");
    append(header, {}, out_);
    chunk_ = from;
    chunk_left_ = header.length;
    chunk_serial_ = header.serial;
}

void Wire::detach_chunk() {
    const std::size_t at = out_.size();
    out_.resize(at + chunk_left_);
    chunk_.read(std::span(out_).subspan(at));
    chunk_left_ = 0;
    out_.insert(out_.end(), after_.begin(), after_.end());
    after_.clear();
}

Wire::Flow Wire::write() {
    while (fd_ >= 0) {
        std::array<iovec, kMostPieces> pieces;
        std::size_t n = 0;
        if (out_at_ < out_.size()) pieces[n++] = {out_.data() + out_at_, out_.size() - out_at_};
        if (chunk_left_ > 0) n += chunk_.pieces(std::span(pieces).subspan(n), chunk_left_);
        if (n == 0) return Flow::kIdle;
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = n;
        const ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            writable = false;
            return Flow::kBlocked;
        }
        if (sent < 0) {
            broken(std::strerror(errno));
            return Flow::kBroken;
        }
        move_on(static_cast<std::size_t>(sent));
    }
    return Flow::kBroken;
}

void Wire::move_on(std::size_t bytes) {
    written_ += bytes;
    const std::size_t staged = std::min(bytes, out_.size() - out_at_);
    out_at_ += staged;
    chunk_.advance(bytes - staged);
    chunk_left_ -= bytes - staged;
    if (out_at_ < out_.size() || chunk_left_ > 0) return;
    out_.clear();
    out_at_ = 0;
    out_.swap(after_);
}

void Wire::land(Landing& landing, bool verify) {
    landing_ = &landing;
    landing_serial_ = landing.serial;
    verify_ = verify;
}

Landing* Wire::landed() const {
    return wants_payload() ? landing_ : nullptr;
}

std::size_t Wire::direct_pieces(std::span<iovec> out) {
    if (left_ == 0) return 0;
    if (is_control(header_.kind)) {
        out[0] = {control_.data() + control_.size() - left_, left_};
        return 1;
    }
    if (wants_payload()) return landing_->to.pieces(out, left_);
    scratch_.resize(kScratch);
    out[0] = {scratch_.data(), std::min(left_, kScratch)};
    return 1;
}

void Wire::take_direct(std::span<const iovec> pieces, std::size_t bytes) {
    left_ -= bytes;
    if (is_control(header_.kind) || !wants_payload()) return;
    landing_->to.advance(bytes);
    landing_->received += bytes;
    for (const iovec& p : pieces) {
        if (!verify_) break;
        const std::size_t size = std::min(p.iov_len, bytes);
        crc_ = crc32c({static_cast<const std::byte*>(p.iov_base), size}, crc_);
        bytes -= size;
    }
}

void Wire::deliver(std::span<const std::byte> bytes) {
    if (is_control(header_.kind)) {
        std::memcpy(control_.data() + control_.size() - left_, bytes.data(), bytes.size());
    } else if (wants_payload()) {
        landing_->to.write(bytes);
        landing_->received += bytes.size();
        if (verify_) crc_ = crc32c(bytes, crc_);
    }
    left_ -= bytes.size();
}

Wire::Flow Wire::read(Handler& handler, std::size_t budget, bool to_the_end) {
    while (fd_ >= 0) {
        if (budget == 0) return Flow::kMore;
        std::array<iovec, kMostPieces + 1> pieces;
        std::size_t n = direct_pieces(std::span(pieces).first(kMostPieces));
        const std::size_t direct = total({pieces.data(), n});
        std::size_t asked = direct;
        if (direct == left_) {
            if (in_begin_ > 0) {
                std::memmove(in_.data(), in_.data() + in_begin_, in_end_ - in_begin_);
                in_end_ -= in_begin_;
                in_begin_ = 0;
            }
            const std::size_t room = direct > 0 ? kReadAlong : in_.size() - in_end_;
            pieces[n++] = {in_.data() + in_end_, room};
            asked += room;
        }
        const ssize_t got = ::readv(fd_, pieces.data(), static_cast<int>(n));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wait_for_more();
            return Flow::kIdle;
        }
        if (got <= 0) {
            broken(got == 0 ? "closed by the peer" : std::strerror(errno));
            return Flow::kBroken;
        }
        const auto bytes = static_cast<std::size_t>(got);
        received_ += bytes;
        pulse.hear();
        const std::size_t placed = std::min(bytes, direct);
        const bool finishes = placed > 0 && placed == left_;
        take_direct({pieces.data(), n}, placed);
        in_end_ += bytes - placed;
        if (finishes && !handler.on_frame(*this, header_)) return Flow::kBroken;
        if (!parse(handler)) return Flow::kBroken;
        if (fd_ >= 0 && bytes < asked && !to_the_end) {
            wait_for_more();
            return Flow::kIdle;
        }
        budget -= std::min(budget, bytes);
    }
    return Flow::kBroken;
}

/// In the middle of a long frame nobody need wake for each packet. Only what has been announced is
/// waited for, so that no frame's end is ever held up.
void Wire::wait_for_more() {
    const int mark = left_ < kWorthWaiting ? 1 : static_cast<int>(std::min(left_, kLongestWait));
    if (mark == low_mark_) return;
    low_mark_ = mark;
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
}

bool Wire::begin_frame(Handler& handler) {
    const auto header = decode_header({in_.data() + in_begin_, in_end_ - in_begin_});
    if (!header || header->epoch != place_.epoch) {
        broken("what came is not a frame of this connection");
        return false;
    }
    in_begin_ += kHeaderSize;
    header_ = *header;
    left_ = header_.length;
    landing_ = nullptr;
    crc_ = 0;
    if (is_control(header_.kind)) control_.resize(left_);
    return handler.on_header(*this, header_);
}

bool Wire::parse(Handler& handler) {
    while (fd_ >= 0) {
        const std::size_t here = in_end_ - in_begin_;
        if (left_ > 0) {
            const std::size_t take = std::min(left_, here);
            if (take == 0) break;
            deliver({in_.data() + in_begin_, take});
            in_begin_ += take;
            if (left_ > 0) break;
        } else {
            if (here < kHeaderSize) break;
            if (!begin_frame(handler)) return false;
            if (left_ > 0) continue;
        }
        if (!handler.on_frame(*this, header_)) return false;
    }
    if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
    return true;
}

}  // namespace weft::live::tcp

// A store in a directory that all ranks can write. Files: weft-TOKEN/rank-R, /refused, /read-R.
// Each is written under another name first and linked to its own, which fails if that exists:
// readers never see half a file, and of two ranks of one number the second knows. Each ends in a
// hash keyed with the world's secret, so what others put there is not believed.
#include <algorithm>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "collectives/transport/net/card.hpp"
#include "collectives/transport/net/socket.hpp"
#include "collectives/transport/net/store.hpp"

namespace weft::live::net {

namespace {

using std::chrono::milliseconds;
using Bytes = std::vector<std::byte>;
using Tag = std::array<std::byte, 32>;

class DirectoryStore final : public Store {
  public:
    explicit DirectoryStore(const IdParts& parts) : secret_(parts.secret) {
        const Tag token = tag_of("directory", {});
        std::array<char, 33> hex{};
        sodium_bin2hex(hex.data(), hex.size(), reinterpret_cast<const unsigned char*>(token.data()),
                       16);
        directory_ = parts.place + "/weft-" + hex.data();
    }

    Outcome<std::vector<Bytes>> exchange(std::uint32_t rank, std::uint32_t ranks,
                                         std::span<const std::byte> mine,
                                         Clock::time_point deadline) override {
        Visit visit{rank, ranks, {}, std::vector<Bytes>(ranks), std::vector<bool>(ranks), 0};
        if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST)
            return error(visit, fmt::format("cannot make {}: {}", directory_, words_of(errno)));
        if (const std::string why = visit.meeting.arrive(rank, ranks, mine); !why.empty())
            return refuse(visit, why);
        Writer w;
        w.u16(kProtocol);
        w.u32(ranks);
        w.raw(mine);
        if (!write(name_of_rank(rank), w.bytes())) {
            if (errno != EEXIST)
                return error(visit,
                             fmt::format("cannot write to {}: {}", directory_, words_of(errno)));
            std::string why = fmt::format("rank {} came twice", rank);
            if (const auto other = read(name_of_rank(rank)); other && other->size() > 6)
                why = visit.meeting.arrive(rank, ranks, ByteSpan(*other).subspan(6));
            return refuse(visit, why);
        }
        visit.blobs[rank].assign(mine.begin(), mine.end());
        visit.known[rank] = true;
        visit.have = 1;
        return gather(visit, deadline);
    }

  private:
    struct Visit {
        std::uint32_t rank;
        std::uint32_t ranks;
        Meeting meeting;
        std::vector<Bytes> blobs;
        std::vector<bool> known;
        std::uint32_t have;
    };

    Outcome<std::vector<Bytes>> gather(Visit& visit, Clock::time_point deadline) {
        milliseconds pause(1);
        while (true) {
            if (const auto text = read("refused"))
                return error(visit, {reinterpret_cast<const char*>(text->data()), text->size()});
            if (const std::string why = look(visit); !why.empty()) return refuse(visit, why);
            if (visit.have == visit.ranks) break;
            if (Clock::now() >= deadline)
                return refuse(visit, fmt::format("the time of rank {} to wait is over; {}",
                                                 visit.rank, visit.meeting.missing()));
            std::this_thread::sleep_for(pause);
            pause = std::min(pause * 2, milliseconds(50));
        }
        write(name_of_reader(visit.rank), {});
        if (visit.rank == 0) clean(visit, deadline);
        return std::move(visit.blobs);
    }

    // Empty, or why there is no meeting.
    std::string look(Visit& visit) {
        for (std::uint32_t r = 0; r < visit.ranks; ++r) {
            if (visit.known[r]) continue;
            const auto file = read(name_of_rank(r));
            if (!file) continue;
            Reader in(*file);
            const std::uint16_t protocol = in.u16();
            const std::uint32_t ranks = in.u32();
            const ByteSpan blob = in.raw(in.left());
            std::string why = visit.meeting.arrive(r, ranks, blob);
            if (why.empty() && protocol != kProtocol)
                why = fmt::format("rank {} speaks protocol {}, rank {} protocol {}", r, protocol,
                                  visit.rank, kProtocol);
            if (!why.empty()) return why;
            visit.blobs[r].assign(blob.begin(), blob.end());
            visit.known[r] = true;
            ++visit.have;
        }
        return {};
    }

    void clean(const Visit& visit, Clock::time_point deadline) {
        for (std::uint32_t r = 0; r < visit.ranks; ++r) {
            while (!read(name_of_reader(r))) {
                if (Clock::now() >= deadline) return;  // somebody may still read
                std::this_thread::sleep_for(milliseconds(2));
            }
        }
        for (std::uint32_t r = 0; r < visit.ranks; ++r) {
            ::unlink(path(name_of_rank(r)).c_str());
            ::unlink(path(name_of_reader(r)).c_str());
        }
        ::rmdir(directory_.c_str());
    }

    LiveError refuse(const Visit& visit, const std::string& why) {
        write("refused", std::as_bytes(std::span(why.data(), why.size())));
        return error(visit, why);
    }
    static LiveError error(const Visit& visit, const std::string& why) {
        return {.what = why, .rank = static_cast<int>(visit.rank)};
    }

    static std::string name_of_rank(std::uint32_t r) { return fmt::format("rank-{}", r); }
    static std::string name_of_reader(std::uint32_t r) { return fmt::format("read-{}", r); }
    [[nodiscard]] std::string path(const std::string& name) const {
        return directory_ + "/" + name;
    }

    [[nodiscard]] Tag tag_of(const std::string& name, ByteSpan bytes) const {
        Tag out;
        crypto_generichash_state state;
        const auto* key = reinterpret_cast<const unsigned char*>(secret_.data());
        crypto_generichash_init(&state, key, secret_.size(), out.size());
        crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(name.c_str()),
                                  name.size() + 1);
        crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(bytes.data()),
                                  bytes.size());
        crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(out.data()), out.size());
        return out;
    }

    /// False with errno: EEXIST if a file of that name is there.
    bool write(const std::string& name, ByteSpan bytes) {
        Bytes all(bytes.begin(), bytes.end());
        const Tag tag = tag_of(name, bytes);
        all.insert(all.end(), tag.begin(), tag.end());
        const std::string draft =
            path(fmt::format(".{}-{}-{:08x}", name, ::getpid(), randombytes_random()));
        const Fd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!fd) return false;
        std::size_t done = 0;
        int failed = 0;
        while (done < all.size() && failed == 0) {
            const ssize_t n = ::write(fd.get(), all.data() + done, all.size() - done);
            if (n > 0) done += static_cast<std::size_t>(n);
            if (n < 0 && errno != EINTR) failed = errno;
        }
        if (failed == 0 && ::link(draft.c_str(), path(name).c_str()) != 0) failed = errno;
        ::unlink(draft.c_str());
        errno = failed;
        return failed == 0;
    }

    [[nodiscard]] std::optional<Bytes> read(const std::string& name) const {
        const Fd fd(::open(path(name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
        if (!fd) return std::nullopt;
        Bytes in(kMaxBlob + 1024);
        std::size_t have = 0;
        while (have < in.size()) {
            const ssize_t n = ::read(fd.get(), in.data() + have, in.size() - have);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            have += static_cast<std::size_t>(n);
        }
        if (have < sizeof(Tag)) return std::nullopt;
        in.resize(have);
        const ByteSpan body = ByteSpan(in).first(have - sizeof(Tag));
        const Tag tag = tag_of(name, body);
        if (sodium_memcmp(tag.data(), in.data() + body.size(), tag.size()) != 0)
            return std::nullopt;
        in.resize(body.size());
        return in;
    }

    Secret secret_;
    std::string directory_;
};

}  // namespace

std::unique_ptr<Store> open_directory_store(const IdParts& parts) {
    return std::make_unique<DirectoryStore>(parts);
}

}  // namespace weft::live::net

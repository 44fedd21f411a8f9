#pragma once
// Hears from the kernel (rtnetlink, group link) when an interface of this host loses or regains its
// carrier, so that a lane whose cable is pulled is out within milliseconds instead of by silence.
// Needs no privilege. A host without netlink, or an interface without a name, is only not watched.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weft::live::tcp {

struct LinkChange {
    int interface = 0;  // the kernel's index
    bool carrier = false;
    bool operator==(const LinkChange&) const = default;
};
/// The changes in a message of the kernel; what is not one of interest is skipped.
[[nodiscard]] std::vector<LinkChange> parse_link_changes(std::span<const std::byte> message);

class LinkWatch {
  public:
    LinkWatch();
    ~LinkWatch();
    LinkWatch(const LinkWatch&) = delete;
    LinkWatch& operator=(const LinkWatch&) = delete;
    [[nodiscard]] int fd() const { return fd_; }  // -1: nothing to watch
    /// What has come since; does not block.
    [[nodiscard]] std::vector<LinkChange> read();

  private:
    int fd_ = -1;
};

}  // namespace weft::live::tcp

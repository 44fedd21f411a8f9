#pragma once
// Control: what the ranks of a world know of each other besides data. Who is there, who has begun
// which operation, who gave up, who is gone. One object per rank, usable by any of its threads.
// Two implementations: `inproc`'s board in memory, and `net` (processes, authenticated
// connections, any rank may die). Leaves out: data (Endpoint), choice of Plans, deadlines of
// operations (runtime).
//
// Agreement. Data messages carry their operation's digest, so the common case costs nothing here.
// An operation that gets nowhere is inquired about: members that have begun it with another head
// raise an alarm, members that have not begun it say where they are.
// Alarms reach every rank that is alive, adjacent or not, within milliseconds. They stay.
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "collectives/transport/message.hpp"

namespace weft::live {

/// Why a communicator cannot go on.
struct Alarm {
    enum class Kind : std::uint8_t {
        kAborted,       // a rank gave up an operation: `what` says why
        kRevoked,       // a rank revoked the communicator
        kDisagreement,  // `rank` and `peer` run different operations under one number
        kRankLost,      // `rank` died, or left without saying so: all its communicators
        kCountedOut,    // the same, but it may live: others agreed to go on without it
    };
    Kind kind = Kind::kAborted;
    ContextId context = 0;
    std::uint32_t rank = 0;
    std::uint32_t peer = 0;      // kDisagreement
    OperationHead ours, theirs;  // kDisagreement: of `rank`, of `peer`
    std::string what;
    bool operator==(const Alarm&) const = default;
};
/// Whether it concerns all communicators of the rank.
[[nodiscard]] constexpr bool ends_rank(Alarm::Kind kind) {
    return kind == Alarm::Kind::kRankLost || kind == Alarm::Kind::kCountedOut;
}

/// A member that keeps an operation waiting, and why, as far as is known: it has not begun it, or
/// it has and its process is silent, dead or gone. Leaving in order is no alarm: what was finished
/// stays finished; only operations that the member has not begun find it here.
struct Absent {
    enum class Why : std::uint8_t {
        kUnknown,    // has not been heard of yet
        kLate,       // alive, in no operation: in compute, or late
        kElsewhere,  // alive, in another operation: `head`
        kSilent,     // its process answers nothing: stopped, or unreachable
        kLeft,       // it has finalized
        kDead,       // its process is gone
    };
    std::uint32_t rank = 0;
    Why why = Why::kUnknown;
    OperationHead head;  // kElsewhere: the operation it is in; kLate: the last it began
    double seconds = 0;  // for how long it has been so
    std::string where;   // kElsewhere: what it waits for there, in words
    bool operator==(const Absent&) const = default;
};
[[nodiscard]] const char* name_of(Absent::Why w);

class Control {
  public:
    virtual ~Control() = default;
    [[nodiscard]] virtual std::uint32_t rank() const = 0;
    [[nodiscard]] virtual std::uint32_t ranks() const = 0;

    /// This rank begins or has finished an operation. Called for each: no system call, no lock that
    /// is held for long. Heads of the last 256 operations of a communicator are remembered.
    virtual void began(const OperationHead& head) = 0;
    virtual void finished(ContextId context, std::uint64_t operation) = 0;
    /// In words, what this rank's operation waits for; shown to those that ask where it is.
    virtual void waits_for(ContextId context, const std::string& what) = 0;

    /// Tells every living rank. The first alarm of a communicator counts.
    virtual void raise(const Alarm& alarm) = 0;
    /// Rises with every alarm that comes in: look at alarm() only when it has changed.
    [[nodiscard]] virtual std::uint64_t alarms() const = 0;
    /// The first alarm that concerns the communicator of these world ranks: raised by one of them
    /// for this context, or the loss of one of them.
    [[nodiscard]] virtual std::optional<Alarm> alarm(
        ContextId context, std::span<const std::uint32_t> members) const = 0;

    /// Asks the members about an operation that this rank has begun. Does not block. A difference
    /// comes as an alarm, at once or when a late member begins; who is absent shows in absent().
    virtual void inquire(const OperationHead& head, std::span<const std::uint32_t> members) = 0;
    /// What is known now (inquire() first, then give the answers some milliseconds).
    [[nodiscard]] virtual std::vector<Absent> absent(
        const OperationHead& head, std::span<const std::uint32_t> members) const = 0;

    /// Called from another thread whenever alarms() rises; must not block. For waking a sleeper.
    virtual void on_alarm(std::function<void()> wake) = 0;
};

}  // namespace weft::live

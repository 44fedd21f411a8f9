#include "collectives/transport/fault/fault.hpp"

#include <utility>

#include "base/check.hpp"
#include "collectives/transport/fault/endpoint.hpp"

namespace weft::live {

namespace {

class FaultTransport final : public Transport {
  public:
    FaultTransport(std::unique_ptr<Transport> inner, FaultPlan plan,
                   std::vector<FaultCounts>* counts)
        : inner_(std::move(inner)), plan_(std::move(plan)), counts_(counts) {}
    [[nodiscard]] Outcome<Member> open(std::uint32_t rank, Clock::time_point deadline) override {
        auto member = inner_->open(rank, deadline);
        if (!member) return member;
        FaultCounts* mine = counts_ ? &counts_->at(rank) : nullptr;
        member.value().endpoint = with_faults(std::move(member.value().endpoint), plan_, mine);
        return member;
    }
    [[nodiscard]] bool opens_alone() const override { return inner_->opens_alone(); }

  private:
    std::unique_ptr<Transport> inner_;
    FaultPlan plan_;
    std::vector<FaultCounts>* counts_;
};

}  // namespace

std::uint64_t FaultPlan::share() const {
    return std::uint64_t{delay} + reorder + sent_late + received_late + duplicate + late + healed +
           drop + corrupt + cut;
}

std::unique_ptr<Endpoint> with_faults(std::unique_ptr<Endpoint> inner, const FaultPlan& plan,
                                      FaultCounts* counts) {
    WEFT_CHECK(plan.share() <= 1'000'000, "faults of {} messages in a million", plan.share());
    for (const LaneFault& f : plan.lanes)
        WEFT_CHECK(f.kind == LaneFault::Kind::kCut || f.bytes_per_second > 0,
                   "a lane without rate");
    return std::make_unique<fault::FaultEndpoint>(std::move(inner), plan, counts);
}

std::unique_ptr<Transport> with_faults(std::unique_ptr<Transport> inner, const FaultPlan& plan,
                                       std::vector<FaultCounts>* counts) {
    return std::make_unique<FaultTransport>(std::move(inner), plan, counts);
}

}  // namespace weft::live

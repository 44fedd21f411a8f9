#include "collectives/runtime/communicator.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace weft::live {

namespace {

std::vector<std::uint32_t> everybody(std::uint32_t ranks) {
    std::vector<std::uint32_t> all(ranks);
    std::iota(all.begin(), all.end(), 0U);
    return all;
}

}  // namespace

Communicator::Communicator(Engine& engine)
    : Communicator(engine, 0, everybody(engine.endpoint().ranks())) {}

Communicator::Communicator(Engine& engine, ContextId context, std::vector<std::uint32_t> members)
    : engine_(engine), context_(context), members_(std::move(members)) {
    const auto self = std::find(members_.begin(), members_.end(), engine.endpoint().rank());
    WEFT_CHECK(self != members_.end(), "rank {} is no member", engine.endpoint().rank());
    rank_ = static_cast<std::uint32_t>(self - members_.begin());
}

Communicator::Communicator(Communicator& whole, ContextId context,
                           std::vector<std::uint32_t> members)
    : Communicator(whole.engine_, context, std::move(members)) {
    whole_ = &whole.whole();
}

Communicator::~Communicator() {
    engine_.forget(*this);
}

Status Communicator::run(const PreparedPlan& plan, const Call& call) {
    return engine_.run(*this, plan, call);
}

Handle Communicator::start(const PreparedPlan& plan, const Call& call) {
    return engine_.start(*this, plan, call);
}

std::optional<LiveError> Communicator::broken() const {
    return engine_.error_of(*this);
}

}  // namespace weft::live

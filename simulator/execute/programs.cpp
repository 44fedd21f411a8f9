#include "simulator/execute/programs.hpp"

#include <tuple>

namespace weft {
namespace {

class Compiler {
  public:
    explicit Compiler(const Workload& w) { out_.source = &w; }

    CompiledWorkload run() {
        find_sets();
        for (const Program& p : out_.source->programs) compile_program(p);
        return std::move(out_);
    }

  private:
    static SetKey set_key(const Op& op) {
        if (const auto* c = std::get_if<CollectiveOp>(&op.what)) return {c->family, 0};
        const auto& m = std::get<P2pOp>(op.what);
        return {m.family, m.send ? m.offset : -m.offset};
    }

    /// Sets in the order of their keys, so that nothing depends on the order of programs.
    void find_sets() {
        for (const Program& p : out_.source->programs)
            for (const Op& op : p.ops)
                if (!std::holds_alternative<ComputeOp>(op.what)) set_of_[set_key(op)] = 0;
        for (auto& [key, index] : set_of_) {
            index = static_cast<std::uint32_t>(out_.sets.size());
            out_.sets.push_back(key);
        }
    }

    std::uint32_t exchange(const Op& op) {
        const std::uint32_t set = set_of_.at(set_key(op));
        const auto* c = std::get_if<CollectiveOp>(&op.what);
        const Collective kind = c != nullptr ? c->kind : Collective::kSendRecv;
        const Bytes size = c != nullptr ? c->size : std::get<P2pOp>(op.what).size;
        const auto next = static_cast<std::uint32_t>(out_.exchanges.size());
        const auto [slot, fresh] = exchange_of_.try_emplace({set, kind, size.count()}, next);
        if (fresh) out_.exchanges.push_back({.set = set, .kind = kind, .size = size});
        return slot->second;
    }

    CompiledOp compile_op(const Op& op) {
        using Kind = CompiledOp::Kind;
        CompiledOp c;
        c.next = kNoOp;
        c.waits_for = static_cast<std::uint32_t>(op.after.size());
        if (const auto* compute = std::get_if<ComputeOp>(&op.what)) {
            c.time = compute->time;
            return c;
        }
        const auto* message = std::get_if<P2pOp>(&op.what);
        const bool receive = message != nullptr && !message->send;
        c.kind = message == nullptr ? Kind::kCollective : receive ? Kind::kReceive : Kind::kSend;
        c.exchange = exchange(op);
        c.queue = queue_of_set(set_of_.at(set_key(op)), receive);
        return c;
    }

    void compile_program(const Program& p) {
        CompiledProgram& out = out_.programs.emplace_back();
        const std::size_t queues = 1 + 2 * out_.sets.size();
        out.queue_heads.assign(queues, kNoOp);
        std::vector<std::uint32_t> last(queues, kNoOp);
        for (std::uint32_t i = 0; i < p.ops.size(); ++i) {
            out.ops.push_back(compile_op(p.ops[i]));
            const std::uint32_t q = out.ops.back().queue;
            (last[q] == kNoOp ? out.queue_heads[q] : out.ops[last[q]].next) = i;
            last[q] = i;
            for (const std::uint32_t a : p.ops[i].after) ++out.ops[a].followers;
        }
        std::uint32_t first = 0;
        for (CompiledOp& op : out.ops) {
            op.first_follower = first;
            first += op.followers;
            op.followers = 0;
        }
        out.followers.resize(first);
        for (std::uint32_t i = 0; i < p.ops.size(); ++i)
            for (const std::uint32_t a : p.ops[i].after) {
                CompiledOp& before = out.ops[a];
                out.followers[before.first_follower + before.followers++] = i;
            }
        out_.ops += p.ops.size();
    }

    CompiledWorkload out_;
    std::map<SetKey, std::uint32_t> set_of_;
    std::map<std::tuple<std::uint32_t, Collective, std::int64_t>, std::uint32_t> exchange_of_;
};

}  // namespace

CompiledWorkload compile(const Workload& w) {
    return Compiler(w).run();
}

}  // namespace weft

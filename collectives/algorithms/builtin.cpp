#include <utility>

#include "collectives/algorithms/algorithm.hpp"

namespace weft {

// The builders, one file each.
namespace algorithms {
PlanTemplate ring_allreduce(const GroupShape&, const AlgorithmParams&);
PlanTemplate hierarchical_allreduce(const GroupShape&, const AlgorithmParams&);
PlanTemplate nvls_allreduce(const GroupShape&, const AlgorithmParams&);
PlanTemplate nvls_tree_allreduce(const GroupShape&, const AlgorithmParams&);
PlanTemplate nvls_allgather(const GroupShape&, const AlgorithmParams&);
PlanTemplate nvls_reducescatter(const GroupShape&, const AlgorithmParams&);
PlanTemplate tree_allreduce(const GroupShape&, const AlgorithmParams&);
PlanTemplate ring_allgather(const GroupShape&, const AlgorithmParams&);
PlanTemplate ring_reducescatter(const GroupShape&, const AlgorithmParams&);
PlanTemplate direct_alltoall(const GroupShape&, const AlgorithmParams&);
PlanTemplate rail_alltoall(const GroupShape&, const AlgorithmParams&);
PlanTemplate chain_broadcast(const GroupShape&, const AlgorithmParams&);
PlanTemplate tree_broadcast(const GroupShape&, const AlgorithmParams&);
PlanTemplate direct_sendrecv(const GroupShape&, const AlgorithmParams&);
PlanTemplate chain_reduce(const GroupShape&, const AlgorithmParams&);
PlanTemplate tree_reduce(const GroupShape&, const AlgorithmParams&);
PlanTemplate direct_gather(const GroupShape&, const AlgorithmParams&);
PlanTemplate tree_gather(const GroupShape&, const AlgorithmParams&);
PlanTemplate direct_scatter(const GroupShape&, const AlgorithmParams&);
PlanTemplate tree_scatter(const GroupShape&, const AlgorithmParams&);
}  // namespace algorithms

namespace {

namespace a = algorithms;
using C = Collective;

class Rows {
  public:
    void operator()(const char* name, const char* sentence, const char* paper, C collective,
                    const char* steps, const char* bytes, const char* time, BuildPlan build,
                    bool on_request = false) {
        all_.add({name,
                  sentence,
                  paper,
                  {{"channels", "", "0",
                    "parallel rings or cuts of the data; 0 is the algorithm's own choice"}}},
                 {collective, steps, bytes, time, build, on_request});
    }
    [[nodiscard]] Registry<Algorithm> take() { return std::move(all_); }

  private:
    Registry<Algorithm> all_{"algorithm"};
};

/// Every rank has an input and an output.
void add_symmetric(Rows& row) {
    row("allreduce/ring", "Reduce-scatter, then all-gather, around rail-aligned rings.",
        "Patarasuk and Yuan, JPDC 2009", C::kAllReduce, "2(n-1)", "2(n-1)/n S",
        "2(n-1) alpha + 2(n-1)/n S beta", a::ring_allreduce);
    row("allreduce/hierarchical",
        "Reduce-scatter inside hosts, rings on the rails, all-gather inside hosts, overlapped.",
        "Jia et al., arXiv:1807.11205", C::kAllReduce, "2[g>1] + 2(k-1)",
        "2(g-1)/g S scale-up, 2(k-1)/(kg) S on the rail",
        "2k alpha + max(2(g-1)/g S beta_up, 2(k-1)/(kg) S beta)", a::hierarchical_allreduce);
    row("allreduce/tree", "Up and down two binary trees over hosts, on rails, chains in the hosts.",
        "NCCL, src/graph/trees.cc; Sanders, Speck, Traeff, Parallel Computing 35(12), 2009",
        C::kAllReduce, "2(g-1 + ceil(log2 k))", "2(g-1)/g S scale-up, up to 2/g S on the rail",
        "2(g-1 + ceil(log2 k)) alpha + max(2(g-1)/g S beta_up, 2/g S beta)", a::tree_allreduce,
        true);
    row("allreduce/nvls",
        "The scale-up switch reduces and multicasts inside hosts, rings on the rails between.",
        "NCCL, src/transport/nvls.cc", C::kAllReduce, "2[g>1] + 2(k-1)",
        "(g+1)/g S scale-up, 2(k-1)/(kg) S on the rail",
        "2k alpha + max((g+1)/g S beta_up, 2(k-1)/(kg) S beta)", a::nvls_allreduce, true);
    row("allreduce/nvls-tree",
        "The scale-up switch reduces and multicasts inside hosts, double trees on the rails.",
        "NCCL, src/transport/nvls.cc", C::kAllReduce, "2[g>1] + 2 ceil(log2 k)",
        "(g+1)/g S scale-up, up to 2/g S on the rail",
        "2(1 + ceil(log2 k)) alpha + max((g+1)/g S beta_up, 2/g S beta)", a::nvls_tree_allreduce,
        true);
    row("allgather/ring", "Each block travels once around rail-aligned rings.",
        "Chan et al., CCPE 19(13), 2007", C::kAllGather, "n-1", "(n-1)/n S",
        "(n-1) alpha + (n-1)/n S beta", a::ring_allgather);
    row("allgather/nvls", "Rings on the rails, then the scale-up switch multicasts in the host.",
        "NCCL, src/transport/nvls.cc", C::kAllGather, "[g>1] + k-1",
        "S/g scale-up (S received), (k-1)/n S on the rail",
        "k alpha + max(S beta_up, (k-1)/n S beta)", a::nvls_allgather, true);
    row("reducescatter/ring", "Each block's partial sum travels once around rail-aligned rings.",
        "Chan et al., CCPE 19(13), 2007", C::kReduceScatter, "n-1", "(n-1)/n S",
        "(n-1) alpha + (n-1)/n S beta", a::ring_reducescatter);
    row("reducescatter/nvls", "The scale-up switch reduces in the host, then rings on the rails.",
        "NCCL, src/transport/nvls.cc", C::kReduceScatter, "[g>1] + k-1",
        "S scale-up (S/g received), (k-1)/n S on the rail",
        "k alpha + max(S beta_up, (k-1)/n S beta)", a::nvls_reducescatter, true);
    row("alltoall/direct", "Every rank sends every other its block, nearest rank first.",
        "Thakur, Rabenseifner, Gropp, IJHPCA 2005", C::kAllToAll, "[n>1]", "(n-1)/n S",
        "alpha + (n-1)/n S beta", a::direct_alltoall);
    row("alltoall/rail", "Blocks change rail inside the host, then cross the network on it.",
        "NVIDIA, Doubling all2all performance with NCCL 2.12, 2022", C::kAllToAll, "[g>1] + [k>1]",
        "(g-1)/g S scale-up, (k-1)/k S on the rail",
        "2 alpha + max((g-1)/g S beta_up, (k-1)/k S beta)", a::rail_alltoall);
}

void add_rooted(Rows& row) {
    row("broadcast/chain", "Slices flow from the root along the ranks in order.",
        "Sanders, Speck, Traeff, Parallel Computing 35(12), 2009", C::kBroadcast, "n-1",
        "S, the last rank 0", "(n-1) alpha + S beta", a::chain_broadcast);
    row("broadcast/tree", "Slices flow from the root down a complete binary tree.",
        "Sanders, Speck, Traeff, Parallel Computing 35(12), 2009", C::kBroadcast, "floor(log2 n)",
        "2 S at inner ranks", "floor(log2 n) alpha + 2 S beta", a::tree_broadcast);
    row("sendrecv/direct", "The root's vector goes to the next rank.", "none needed", C::kSendRecv,
        "[n>1]", "S", "alpha + S beta", a::direct_sendrecv);
    row("reduce/chain", "Slices are reduced along the ranks in order toward the root.",
        "Sanders, Speck, Traeff, Parallel Computing 35(12), 2009", C::kReduce, "n-1",
        "S, the root 0", "(n-1) alpha + S beta", a::chain_reduce);
    row("reduce/tree", "Slices are reduced up a complete binary tree toward the root.",
        "Sanders, Speck, Traeff, Parallel Computing 35(12), 2009", C::kReduce, "floor(log2 n)",
        "S, inner ranks receive 2 S", "floor(log2 n) alpha + 2 S beta", a::tree_reduce);
    row("gather/direct", "Every rank sends the root its block.",
        "Thakur, Rabenseifner, Gropp, IJHPCA 2005", C::kGather, "[n>1]", "S/n, the root 0",
        "alpha + (n-1)/n S beta", a::direct_gather);
    row("gather/tree", "Blocks of subtrees travel together up a binomial tree.",
        "Chan et al., CCPE 19(13), 2007", C::kGather, "ceil(log2 n)", "up to S/2, the root 0",
        "ceil(log2 n) alpha + (n-1)/n S beta", a::tree_gather);
    row("scatter/direct", "The root sends every rank its block.",
        "Thakur, Rabenseifner, Gropp, IJHPCA 2005", C::kScatter, "[n>1]", "(n-1)/n S, the others 0",
        "alpha + (n-1)/n S beta", a::direct_scatter);
    row("scatter/tree", "Blocks of subtrees travel together down a binomial tree.",
        "Chan et al., CCPE 19(13), 2007", C::kScatter, "ceil(log2 n)",
        "(n-1)/n S, others up to S/2", "ceil(log2 n) alpha + (n-1)/n S beta", a::tree_scatter);
}

Registry<Algorithm> make_registry() {
    Rows row;
    add_symmetric(row);
    add_rooted(row);
    return row.take();
}

}  // namespace

const Registry<Algorithm>& builtin_algorithms() {
    static const Registry<Algorithm> registry = make_registry();
    return registry;
}

const Registry<Algorithm>::Row& find_algorithm(Collective c, const std::string& name) {
    const Registry<Algorithm>& all = builtin_algorithms();
    std::vector<std::string> names;
    for (const auto& row : all.rows()) {
        if (row.make.collective != c) continue;
        const std::string prefix = std::string(name_of(c)) + "/";
        if (name.empty() || row.info.name == name || row.info.name == prefix + name) return row;
        names.push_back(row.info.name.substr(prefix.size()));
    }
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = std::string("algorithm of ") + name_of(c),
                       .found = printable(name),
                       .expected = "one of " + suggest(name, names),
                       .example = names.front()});
}

PlanTemplate build_plan(Collective c, const std::string& name, const GroupShape& shape,
                        const AlgorithmParams& params) {
    if (params.root >= shape.n)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "root",
                           .found = std::to_string(params.root),
                           .expected = "a rank below " + std::to_string(shape.n),
                           .example = "0"});
    return find_algorithm(c, name).make.build(shape, params);
}

Collective parse_collective(const std::string& text) {
    std::string plain;
    for (const char c : text)
        if (c != '-' && c != '_') plain.push_back(c);
    std::vector<std::string> names;
    for (const C c : kCollectives) {
        if (plain == name_of(c)) return c;
        names.emplace_back(name_of(c));
    }
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "collective",
                       .found = printable(text),
                       .expected = "one of " + suggest(plain, names),
                       .example = "allreduce"});
}

}  // namespace weft

#include "simulator/endpoint/fitted.hpp"

#include <catch2/catch.hpp>

using namespace weft;

namespace {

MachineProfile lab() {
    MachineProfile m = nccl_tuning_profile();
    m.name = "lab";
    const auto ran = [](Collective c, std::uint32_t hosts, std::int64_t size) {
        return Ran{c, hosts, Bytes{size}};
    };
    add_fitted(m, ran(Collective::kAllReduce, 1, 1024), ran(Collective::kAllReduce, 1, 1 << 20));
    add_fitted(m, ran(Collective::kAllReduce, 2, 4096), ran(Collective::kAllReduce, 2, 1 << 20));
    add_fitted(m, ran(Collective::kAllReduce, 4, 8192), ran(Collective::kAllReduce, 4, 1 << 24));
    add_fitted(m, ran(Collective::kAllToAll, 1, 1024), ran(Collective::kAllToAll, 1, 2048));
    return m;
}

std::string beyond(Collective c, std::uint32_t hosts, std::int64_t size) {
    return beyond_fit(lab(), {{c, hosts, Bytes{size}}});
}

}  // namespace

TEST_CASE("what lies inside the fitted ranges is not told", "[unit]") {
    CHECK(lab().fitted.size() == 3);  // one host and several apart
    CHECK(beyond(Collective::kAllReduce, 1, 512).empty());
    CHECK(beyond(Collective::kAllReduce, 3, 1 << 25).empty());
    CHECK(beyond(Collective::kSendRecv, 3, 0).empty());
    CHECK(beyond_fit(nccl_tuning_profile(), {{Collective::kSendRecv, 999, Bytes{1}}}).empty());
}

TEST_CASE("more hosts, other sizes and collectives than fitted are named", "[unit]") {
    CHECK(beyond(Collective::kAllReduce, 5, 4096) == "allreduce on 5 hosts (fitted on 2 to 4)");
    CHECK(beyond(Collective::kAllReduce, 1, 511) == "allreduce of 511 B (fitted from 1 KiB)");
    CHECK(beyond(Collective::kAllReduce, 1, (1 << 21) + 2) ==
          "allreduce of 2 MiB (fitted up to 1 MiB)");
    CHECK(beyond(Collective::kAllToAll, 2, 1024) == "alltoall on 2 hosts (fitted on 1)");
    CHECK(beyond(Collective::kBroadcast, 1, 1024) == "broadcast (not fitted)");
    CHECK(beyond_fit(lab(), {{Collective::kAllReduce, 8, Bytes{8}},
                             {Collective::kAllReduce, 16, Bytes{1 << 30}}}) ==
          "allreduce on 16 hosts (fitted on 2 to 4), allreduce of 8 B (fitted from 4 KiB), "
          "allreduce of 1 GiB (fitted up to 16 MiB)");
}

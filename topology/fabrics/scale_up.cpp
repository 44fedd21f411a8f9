// One scale-up domain: N GPUs, one link each to one switch, no NIC. Also the plainest fabric there
// is
// ("one switch at 50e9 B/s") for checks against arithmetic.
#include "topology/fabrics/fabrics.hpp"

namespace weft {

Fabric make_scale_up(const Parameters& p) {
    HostTemplate host;
    host.gpus = p.count("gpus", 1, 65536);
    host.nics = 0;
    host.scale_up = p.rate("rate");
    host.scale_up_latency = p.duration("latency");
    FabricBuilder b{"scale-up"};
    b.parameters(p.resolved());
    add_host(b, host, {.host = 0, .domain = 0});
    b.assume("The switch itself never limits: each GPU's link does.");
    return b.build();
}

}  // namespace weft

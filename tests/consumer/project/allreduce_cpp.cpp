// The same through the C++ header, one rank.
#include <cstdio>
#include <weft.hpp>

int main() {
    const weft::UniqueId id = weft::UniqueId::make();
    weft::Communicator comm(1, weft::UniqueId::from_text(id.text()), 0);
    double in = 4;
    double out = 0;
    weft::Group group;
    comm.send(&in, 1, 0);
    comm.recv(&out, 1, 0);
    group.end();
    in = out;
    comm.start_allreduce(&in, &out, 1).wait();
    std::printf("sum: %g\n", out);
}

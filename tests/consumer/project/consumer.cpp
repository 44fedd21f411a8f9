// Ten lines of a stranger's program on an installed weft.
#include <cstdio>
#include <weft/base/units.hpp>

int main() {
    using namespace weft::literals;
    const auto time = weft::transfer_time(4_MiB, 400_Gbps);
    std::printf("%s for %s\n", to_string(time).c_str(), to_string(4_MiB).c_str());
}

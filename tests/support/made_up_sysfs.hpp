#pragma once
// A tree of files in the form of /sys, for tests of discovery. Gone when the object ends.
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <stdexcept>
#include <string>

namespace weft::tests {

class MadeUpSysfs {
  public:
    MadeUpSysfs() {
        std::string name = (std::filesystem::temp_directory_path() / "weft-sysfs-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make " + name);
        root_ = name;
    }
    ~MadeUpSysfs() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    MadeUpSysfs(const MadeUpSysfs&) = delete;
    MadeUpSysfs& operator=(const MadeUpSysfs&) = delete;
    [[nodiscard]] std::string root() const { return root_.string(); }

    void file(const std::string& path, const std::string& text) {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path, std::ios::binary) << text;
    }
    void link(const std::string& path, const std::string& target) {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::filesystem::create_symlink(target, root_ / path);
    }
    /// `way`: from the root complex; empty: a virtual NIC.
    void nic(const std::string& name, const std::string& way, const std::string& driver,
             const std::string& speed, int numa = -1) {
        const std::string at = "class/net/" + name + "/";
        file(at + "type", "1\n");
        file(at + "flags", "0x1003\n");
        file(at + "carrier", "1\n");
        file(at + "speed", speed + "\n");
        file(at + "uevent", "INTERFACE=" + name + "\n");
        if (way.empty()) return;
        file("devices/" + way + "/numa_node", fmt::format("{}\n", numa));
        if (!driver.empty())
            link("devices/" + way + "/driver", "../../../bus/pci/drivers/" + driver);
        link(at + "device", (root_ / "devices" / way).string());
    }
    void device(const std::string& way, int vendor, int model, const std::string& cls) {
        const std::string at = "devices/" + way + "/";
        file(at + "class", cls + "\n");
        file(at + "vendor", fmt::format("{:#06x}\n", vendor));
        file(at + "device", fmt::format("{:#06x}\n", model));
        link("bus/pci/devices/" + way.substr(way.rfind('/') + 1),
             (root_ / "devices" / way).string());
    }
    void gpu(const std::string& way, int vendor, int model, int numa = -1) {
        device(way, vendor, model, "0x030200");
        const std::string at = "devices/" + way + "/";
        file(at + "numa_node", fmt::format("{}\n", numa));
        file(at + "max_link_speed", "32.0 GT/s PCIe\n");
        file(at + "max_link_width", "16\n");
    }

  private:
    std::filesystem::path root_;
};

}  // namespace weft::tests

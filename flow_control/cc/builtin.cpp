#include "flow_control/cc/congestion_control.hpp"

namespace weft {

// One per file.
CongestionRegistry::Row fixed_rate_row();
CongestionRegistry::Row window_row();
CongestionRegistry::Row dcqcn_row();
CongestionRegistry::Row hpcc_row();
CongestionRegistry::Row swift_row();
CongestionRegistry::Row dctcp_row();
CongestionRegistry::Row timely_row();
CongestionRegistry::Row nscc_row();

const CongestionRegistry& congestion_controls() {
    static const CongestionRegistry all = [] {
        CongestionRegistry r("congestion control");
        for (const auto row : {fixed_rate_row, window_row, dcqcn_row, hpcc_row, swift_row,
                               dctcp_row, timely_row, nscc_row}) {
            CongestionRegistry::Row made = row();
            r.add(std::move(made.info), made.make);
        }
        return r;
    }();
    return all;
}

ChosenCongestion choose_congestion(const std::string& text) {
    const std::size_t colon = text.find(':');
    const CongestionRegistry::Row& row = congestion_controls().at(text.substr(0, colon));
    std::vector<std::string> settings;
    for (std::size_t at = colon; at != std::string::npos;) {
        const std::size_t comma = text.find(',', at + 1);
        settings.push_back(text.substr(at + 1, comma - at - 1));
        at = comma;
    }
    return {&row,
            Parameters(row.info, parse_settings(settings), "congestion control " + row.info.name)};
}

}  // namespace weft

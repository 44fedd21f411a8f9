#pragma once
// Small pieces of HTML and SVG that the sections share. Everything that comes from a trace or a
// fabric goes through escaped().
#include <string>

#include "tools/report/report.hpp"

namespace weft::tools::html {

[[nodiscard]] std::string escaped(const std::string& text);
/// <rect> with a tooltip.
[[nodiscard]] std::string rect(double x, double y, double w, double h, const std::string& fill,
                               const std::string& tooltip = {});
/// <text>; `anchor` is start, middle or end.
[[nodiscard]] std::string text(double x, double y, const std::string& words,
                               const std::string& anchor = "start",
                               const std::string& css = "label");
[[nodiscard]] std::string svg(double w, double h, const std::string& body,
                              const std::string& description);
/// A section with a heading and one line that says how to read it.
[[nodiscard]] std::string section(const std::string& heading, const std::string& how,
                                  const std::string& body);
/// Light to dark for 0..1, readable in grey; and the text colour that stands out on it.
[[nodiscard]] std::string heat(double share);
[[nodiscard]] std::string on_heat(double share);
/// "12.3 %".
[[nodiscard]] std::string percent(double share);

/// The whole page; `trust` is its first line, `marked` where it is a warning.
[[nodiscard]] std::string page(const std::string& title, const std::string& subtitle,
                               const std::string& trust, bool marked, const std::string& sections);

// The sections, one file each; empty when there is nothing to show.
[[nodiscard]] std::string headline(const Report& r);
[[nodiscard]] std::string timeline(const Result& r);
[[nodiscard]] std::string exposure(const Result& r);
[[nodiscard]] std::string fabric(const Result& r);
[[nodiscard]] std::string links(const Result& r);
[[nodiscard]] std::string collectives(const Result& r);
[[nodiscard]] std::string rank_splits(const Result& r);
[[nodiscard]] std::string seeds(const Result& r);
[[nodiscard]] std::string notes(const Report& r);
[[nodiscard]] std::string packet_queues(const PacketSummary& p);
[[nodiscard]] std::string packet_completions(const PacketSummary& p);
[[nodiscard]] std::string packet_pauses(const PacketSummary& p);
/// The three above.
[[nodiscard]] std::string packets(const PacketSummary& p);

}  // namespace weft::tools::html

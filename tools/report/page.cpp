#include "tools/report/html.hpp"
#include "tools/report/report.hpp"

namespace weft::tools {
namespace {

constexpr const char* kStyle = R"(
:root{--ink:#1f2933;--soft:#52606d;--line:#d9e2ec;--paper:#ffffff;--wash:#f5f7fa;--mark:#0072b2}
*{box-sizing:border-box}
body{margin:0;background:var(--wash);color:var(--ink);
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
header h1{font-size:24px;margin:0 0 2px;font-weight:650}
header p{margin:0;color:var(--soft)}
section{background:var(--paper);border:1px solid var(--line);border-radius:10px;
 padding:18px 22px 20px;margin-top:18px}
h2{font-size:16px;margin:0;font-weight:650}
.how{margin:0 0 12px;color:var(--soft);font-size:13px}
svg{display:block;width:100%;height:auto}
svg text{font-family:inherit;fill:var(--ink)}
.label{font-size:12px}.small{font-size:10.5px}.onDark{font-size:11px;fill:#fff!important}
.onLight{font-size:11px}svg .soft{fill:var(--soft);font-size:11px}
.axis{stroke:var(--line);stroke-width:1}
.big{display:flex;flex-wrap:wrap;gap:12px 34px;margin:6px 0 14px}
.big div{min-width:110px}.big b{display:block;font-size:25px;font-weight:650;line-height:1.2}
.big span{color:var(--soft);font-size:13px}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 0;padding:0;list-style:none;
 font-size:13px}
.key i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px;
 border:1px solid rgba(0,0,0,.12)}
.limit{margin:14px 0 0;padding:10px 14px;background:#eef6fc;border-left:4px solid var(--mark);
 border-radius:4px}
.trust{margin:12px 0 0;padding:10px 14px;background:var(--paper);border:1px solid var(--line);
 border-radius:4px}
.marked{background:#fdecea;border:2px solid #8a2d00;color:#8a2d00;font-weight:600}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px}
th,td{padding:5px 8px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:600}th.t,td.t{text-align:left}
td.bar{min-width:80px}td.bar div{background:var(--wash);border-radius:3px}
td.bar i{display:block;height:11px;border-radius:3px}
td code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:12px}
.dot{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:7px}
ul.notes{margin:0;padding-left:20px}ul.notes li{margin:3px 0}
ul.warn li{color:#8a2d00}
.columns{display:grid;grid-template-columns:1fr 1fr;gap:0 34px}
h3{font-size:13px;margin:10px 0 4px;color:var(--soft);font-weight:600}
@media (max-width:760px){.columns{grid-template-columns:1fr}}
@media print{body{background:#fff}section{break-inside:avoid}}
)";

}  // namespace

std::string html::page(const std::string& title, const std::string& subtitle,
                       const std::string& trust, bool marked, const std::string& sections) {
    std::string out =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>";
    out += escaped(title) + "</title><style>" + kStyle + "</style></head><body><main>\n";
    out += "<header><h1>" + escaped(title) + "</h1><p>" + escaped(subtitle) + "</p>";
    if (!trust.empty())
        out += std::string("<p class=\"trust") + (marked ? " marked" : "") + "\">" +
               escaped(trust) + "</p>";
    return out + "</header>\n" + sections + "</main></body></html>\n";
}

std::string html_report(const Report& r) {
    const Result& result = *r.result;
    return html::page(r.title, r.subtitle, r.trust, r.marked,
                      html::headline(r) + html::seeds(result) + html::timeline(result) +
                          html::exposure(result) + html::fabric(result) + html::links(result) +
                          html::packets(result.packets) + html::collectives(result) +
                          html::rank_splits(result) + html::notes(r));
}

}  // namespace weft::tools

#include "traces/kineto/kineto.hpp"
#include "traces/load.hpp"
#include "traces/simai/simai.hpp"
#include "traces/weft_yaml/weft_yaml.hpp"

namespace weft {

const Registry<TraceFormat>& trace_formats() {
    static const Registry<TraceFormat> formats = [] {
        Registry<TraceFormat> r("trace format");
        r.add({"simai",
               "SimAI / AICB workload text: the layers of one pipeline stage, run by all",
               "SimAI (NSDI 2025), AICB's workload generator; ASTRA-sim 1.0 text workloads",
               {}},
              {simai::recognises, simai::read});
        r.add({"kineto",
               "PyTorch profiler (Kineto) Chrome trace of one rank: kernels, collectives, steps",
               "PyTorch, Kineto output_json",
               {}},
              {kineto::recognises, kineto::read});
        r.add({"weft-yaml",
               "Weft's own workload: groups by rule, stages, ops with units, written by a person",
               "traces/README.md",
               {}},
              {weft_yaml::recognises, weft_yaml::read});
        return r;
    }();
    return formats;
}

}  // namespace weft

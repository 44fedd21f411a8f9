#!/usr/bin/env python3
"""The layer check accepts what the arrows allow and names what they forbid."""
import pathlib
import unittest

import layers

P = pathlib.PurePosixPath


class Arrows(unittest.TestCase):
    def test_a_room_may_include_itself_and_what_lies_below(self):
        self.assertIsNone(layers.own_fault(P("simulator/flow/a.cpp"), "topology/fabric.hpp"))
        self.assertIsNone(layers.own_fault(P("simulator/flow/a.cpp"), "simulator/scenario.hpp"))
        self.assertIsNone(layers.own_fault(P("topology/a.cpp"), "base/units.hpp"))

    def test_runtime_and_simulator_never_see_each_other(self):
        self.assertIn("may not include", layers.own_fault(
            P("collectives/runtime/a.cpp"), "simulator/scenario.hpp"))
        self.assertIn("may not include", layers.own_fault(
            P("simulator/a.cpp"), "collectives/runtime/a.hpp"))

    def test_nothing_points_up(self):
        for path, target in [("base/a.hpp", "topology/fabric.hpp"),
                             ("topology/a.cpp", "collectives/plan/plan.hpp"),
                             ("collectives/plan/a.cpp", "collectives/algorithms/ring.hpp"),
                             ("flow_control/a.cpp", "simulator/engine.hpp"),
                             ("simulator/a.cpp", "tools/report/report.hpp")]:
            self.assertIsNotNone(layers.own_fault(P(path), target), path)

    def test_a_path_outside_the_rooms_is_a_fault(self):
        self.assertIn("no room", layers.own_fault(P("base/a.cpp"), "units.hpp"))

    def test_a_third_party_header_has_one_home(self):
        self.assertIsNone(layers.system_fault(P("topology/graph.hpp"), "boost/graph/bfs.hpp"))
        self.assertIsNotNone(layers.system_fault(P("simulator/a.cpp"), "boost/graph/bfs.hpp"))
        self.assertIsNotNone(layers.system_fault(P("simulator/a.cpp"), "nlohmann/json.hpp"))
        self.assertIsNone(layers.system_fault(P("simulator/io/a.cpp"), "nlohmann/json.hpp"))
        self.assertIsNotNone(layers.system_fault(P("base/a.cpp"), "CLI/CLI.hpp"))
        self.assertIsNone(layers.system_fault(P("base/a.cpp"), "vector"))
        self.assertIn("no home", layers.system_fault(P("base/a.cpp"), "eigen/dense"))


if __name__ == "__main__":
    unittest.main()

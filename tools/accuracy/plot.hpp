#pragma once
// Plot: points and lines on two logarithmic axes, as one small SVG file.
//
// Models nothing. Dots of one colour are one path of zero-length strokes: a dozen bytes each. No
// script, no font, no network; a white ground, so that it reads on dark pages too.
#include <string>
#include <utility>
#include <vector>

#include "tools/report/axes.hpp"

namespace weft::tools {

class Plot {
  public:
    struct Axis {
        double low = 1;
        double high = 2;
        std::string title;
        std::vector<std::pair<double, std::string>> ticks;
    };
    using Points = std::vector<std::pair<double, double>>;
    struct Style {
        std::string colour;
        bool dashed = false;
    };

    Plot(std::string title, Axis x, Axis y, double height);

    /// Shaded from y = low to y = high over the whole width.
    void zone(double low, double high);
    /// The line y = factor x (or y = factor, when flat).
    void guide(double factor, bool flat, bool strong);
    void line(const Points& points, const Style& style, const std::string& name);
    void dots(const Points& points, const Style& style);
    /// A row of the key, beside the plot.
    void key(const Style& style, const std::string& name);
    [[nodiscard]] std::string svg() const;

  private:
    [[nodiscard]] double x_of(double x) const;
    [[nodiscard]] double y_of(double y) const;
    [[nodiscard]] std::string frame() const;

    std::string title_;
    Axis x_, y_;
    double height_;
    std::string body_;
    std::string key_;
    int keys_ = 0;
};

}  // namespace weft::tools

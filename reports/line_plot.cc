#include "reports/line_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "reports/render.h"

namespace tnb {
namespace {

constexpr double kWidth = 720, kHeight = 460, kLeft = 70, kRight = 150, kTop = 40, kBottom = 55;
// Okabe and Ito's colors, which color-blind readers can tell apart.
constexpr std::array kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};

struct Range {
  double least = INFINITY, most = -INFINITY;
  void Add(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  // A little air; a single value becomes a range around it.
  Range Widened() const {
    const double extent = most > least ? most - least : std::max(std::abs(most), 1.0);
    return {least - 0.03 * extent, most + 0.03 * extent};
  }
};

struct Axes {
  Range x, y;
  double X(double value) const {
    return kLeft + (value - x.least) / (x.most - x.least) * (kWidth - kLeft - kRight);
  }
  double Y(double value) const {
    return kHeight - kBottom - (value - y.least) / (y.most - y.least) * (kHeight - kTop - kBottom);
  }
};

Axes AxesOf(const LinePlot& plot) {
  Range x, y;
  for (const PlotSeries& series : plot.series) {
    if (series.x.size() != series.y.size()) {
      throw Error(ErrorKind::kInternal, "series '" + series.name + "' of a plot has not as many x as y");
    }
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (!std::isfinite(series.x[i]) || !std::isfinite(series.y[i])) continue;
      x.Add(series.x[i]);
      y.Add(series.y[i]);
    }
  }
  if (!(x.most >= x.least)) throw Error(ErrorKind::kInternal, "a plot without points");
  return {x.Widened(), y.Widened()};
}

std::string Ticks(const Axes& axes) {
  std::string svg;
  const double bottom = kHeight - kBottom, right = kWidth - kRight;
  for (const double tick : RoundTicks(axes.x.least, axes.x.most, 8)) {
    svg += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"#ddd\"/>"
        "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4:.6g}</text>\n",
        axes.X(tick), kTop, bottom, bottom + 18, tick);
  }
  for (const double tick : RoundTicks(axes.y.least, axes.y.most, 8)) {
    svg += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}H{2:.1f}\" stroke=\"#ddd\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.6g}</text>\n",
        kLeft, axes.Y(tick), right, kLeft - 8, axes.Y(tick) + 4, tick);
  }
  return svg +
         fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#444\"/>\n",
                     kLeft, kTop, right - kLeft, bottom - kTop);
}

std::string Drawn(const PlotSeries& series, const Axes& axes, const char* color) {
  std::string svg, path;
  bool pen_down = false;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.x[i]) || !std::isfinite(series.y[i])) {
      pen_down = false;
      continue;
    }
    const double x = axes.X(series.x[i]), y = axes.Y(series.y[i]);
    if (series.marks) {
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"none\" stroke=\"{}\"/>\n", x, y,
                         color);
    } else {
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x, y);
      pen_down = true;
    }
  }
  if (!path.empty())
    svg += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", path, color);
  return svg;
}

}  // namespace

std::vector<double> RoundTicks(double least, double most, int count) {
  if (!(most > least) || count < 1) return {least};
  const double rough = (most - least) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough) step = factor * power;
  }
  std::vector<double> ticks;
  constexpr double kRounding =
      1e-9;  // of a step, so that the ends of the range are ticks when they are round
  const double last = std::floor(most / step + kRounding);
  for (double i = std::ceil(least / step - kRounding); i <= last; ++i) {
    ticks.push_back(i == 0 ? 0 : i * step);
  }
  return ticks;
}

std::string RenderSvg(const LinePlot& plot) {
  const Axes axes = AxesOf(plot);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"13\">\n"
      "<title>{2}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"{3}\" y=\"24\" font-size=\"15\">{2}</text>\n"
      "<text x=\"{4:.1f}\" y=\"{5:.1f}\" text-anchor=\"middle\">{6}</text>\n"
      "<text transform=\"translate(18 {7:.1f}) rotate(-90)\" text-anchor=\"middle\">{8}</text>\n",
      kWidth, kHeight, EscapeXml(plot.title), kLeft, (kLeft + kWidth - kRight) / 2, kHeight - 12,
      EscapeXml(plot.x_label), (kTop + kHeight - kBottom) / 2, EscapeXml(plot.y_label));
  svg += Ticks(axes);
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    const char* color = kColors[i % kColors.size()];
    const double x = kWidth - kRight + 14, y = kTop + 12 + 20 * static_cast<double>(i);
    svg += Drawn(series, axes, color);
    svg += series.marks
               ? fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"4\" fill=\"none\" stroke=\"{}\"/>\n", x + 10, y,
                             color)
               : fmt::format("<path d=\"M{} {}h20\" stroke=\"{}\" stroke-width=\"2\"/>\n", x, y, color);
    svg += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", x + 27, y + 4, EscapeXml(series.name));
  }
  return svg + "</svg>\n";
}

}  // namespace tnb

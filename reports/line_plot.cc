#include "reports/line_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "reports/render.h"

namespace tnb {
namespace {

constexpr double kWidth = 720, kHeight = 460, kLeft = 70, kTop = 40, kBottom = 55;
constexpr double kBeside = 150, kAir = 20;  // right of the axes: with the legend there, and without
constexpr double kLineHeight = 20;          // of the legend
// Characters of a name that fit beside the axes, and on a line below them.
constexpr size_t kNameBeside = 15, kNameBelow = 80;
// Okabe and Ito's colors, which color-blind readers can tell apart; their black is white on a dark screen.
constexpr std::array kColors = {"#0072b2", "#d55e00", "#009e73",     "#cc79a7",
                                "#e69f00", "#56b4e9", "currentColor"};
// Ink and paper by the reader's screen. Names begin with tnb: styles of a drawing within a page hold for all
// of it.
constexpr char kStyle[] =
    "<style>.tnb-plot{color:#000}.tnb-paper{fill:#fff}"
    "@media(prefers-color-scheme:dark){.tnb-plot{color:#ddd}.tnb-paper{fill:#1b1b1b}}</style>\n";

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
  double right = 0;  // where the x axis ends
  double X(double value) const { return kLeft + (value - x.least) / (x.most - x.least) * (right - kLeft); }
  double Y(double value) const {
    return kHeight - kBottom - (value - y.least) / (y.most - y.least) * (kHeight - kTop - kBottom);
  }
};

Axes AxesOf(const LinePlot& plot, bool beside) {
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
  return {x.Widened(), y.Widened(), kWidth - (beside ? kBeside : kAir)};
}

std::string Ticks(const Axes& axes) {
  std::string svg;
  const double bottom = kHeight - kBottom, right = axes.right;
  for (const double tick : RoundTicks(axes.x.least, axes.x.most, 8)) {
    svg += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"currentColor\" stroke-opacity=\"0.15\"/>"
        "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4:.6g}</text>\n",
        axes.X(tick), kTop, bottom, bottom + 18, tick);
  }
  for (const double tick : RoundTicks(axes.y.least, axes.y.most, 8)) {
    svg += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}H{2:.1f}\" stroke=\"currentColor\" stroke-opacity=\"0.15\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.6g}</text>\n",
        kLeft, axes.Y(tick), right, kLeft - 8, axes.Y(tick) + 4, tick);
  }
  return svg + fmt::format(
                   "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"currentColor\" "
                   "stroke-opacity=\"0.7\"/>\n",
                   kLeft, kTop, right - kLeft, bottom - kTop);
}

// How every series is drawn: its color, and when the colors have been used up dots.
std::vector<std::string> Strokes(const LinePlot& plot) {
  std::vector<std::string> strokes;
  size_t color = 0;  // of the next series with a name
  for (const PlotSeries& series : plot.series) {
    if (!series.name.empty() || color == 0) ++color;
    std::string stroke = fmt::format("fill=\"none\" stroke=\"{}\"", kColors.at((color - 1) % kColors.size()));
    if (!series.marks) stroke += " stroke-width=\"2\"";
    if (series.dashed) {
      stroke += " stroke-dasharray=\"7 4\"";
    } else if (color > kColors.size() && !series.marks) {
      stroke += " stroke-dasharray=\"2 3\"";
    }
    strokes.push_back(stroke);
  }
  return strokes;
}

std::string Drawn(const PlotSeries& series, const Axes& axes, const std::string& stroke) {
  std::string svg, path;
  bool pen_down = false;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.x[i]) || !std::isfinite(series.y[i])) {
      pen_down = false;
      continue;
    }
    const double x = axes.X(series.x[i]), y = axes.Y(series.y[i]);
    if (series.marks) {
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" {}/>\n", x, y, stroke);
    } else {
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x, y);
      pen_down = true;
    }
  }
  if (!path.empty()) svg += fmt::format("<path d=\"{}\" {}/>\n", path, stroke);
  return svg;
}

// A name in lines of at most `width` characters, broken between the parts of a method where there are any.
std::vector<std::string> Lines(const std::string& name, size_t width) {
  std::vector<std::string> lines;
  size_t begin = 0;
  while (name.size() - begin > width) {
    size_t end = name.find_last_of(" ,:+@", begin + width - 1);
    if (end == std::string::npos || end < begin + width / 2) {
      end = begin + width - 1;
      // Not within a character of UTF-8.
      while (end > begin && (static_cast<unsigned char>(name[end + 1]) & 0xc0) == 0x80) --end;
    }
    lines.push_back(name.substr(begin, end + 1 - begin));
    begin = end + 1;
  }
  lines.push_back(name.substr(begin));
  return lines;
}

struct Legend {
  std::string svg;
  double bottom = 0;
};

Legend LegendOf(const LinePlot& plot, const std::vector<std::string>& strokes, bool beside) {
  Legend legend;
  const double x = beside ? kWidth - kBeside + 14 : kLeft;
  double y = beside ? kTop + 12 : kHeight + 8;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    if (plot.series[i].name.empty()) continue;
    legend.svg += plot.series[i].marks
                      ? fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"4\" {}/>\n", x + 10, y, strokes[i])
                      : fmt::format("<path d=\"M{} {}h20\" {}/>\n", x, y, strokes[i]);
    for (const std::string& line : Lines(plot.series[i].name, beside ? kNameBeside : kNameBelow)) {
      legend.svg += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", x + 27, y + 4, EscapeXml(line));
      y += kLineHeight;
    }
  }
  legend.bottom = y;
  return legend;
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
  const bool beside = std::all_of(plot.series.begin(), plot.series.end(),
                                  [](const PlotSeries& series) { return series.name.size() <= kNameBeside; });
  const Axes axes = AxesOf(plot, beside);
  const std::vector<std::string> strokes = Strokes(plot);
  const Legend legend = LegendOf(plot, strokes, beside);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tnb-plot\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" color=\"#000\" fill=\"currentColor\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "{9}<title>{2}</title>\n<rect class=\"tnb-paper\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"{3}\" y=\"24\" font-size=\"15\">{2}</text>\n"
      "<text x=\"{4:.1f}\" y=\"{5:.1f}\" text-anchor=\"middle\">{6}</text>\n"
      "<text transform=\"translate(18 {7:.1f}) rotate(-90)\" text-anchor=\"middle\">{8}</text>\n",
      kWidth, std::max(kHeight, legend.bottom), EscapeXml(plot.title), kLeft, (kLeft + axes.right) / 2,
      kHeight - 12, EscapeXml(plot.x_label), (kTop + kHeight - kBottom) / 2, EscapeXml(plot.y_label), kStyle);
  svg += Ticks(axes);
  for (size_t i = 0; i < plot.series.size(); ++i) svg += Drawn(plot.series[i], axes, strokes[i]);
  return svg + legend.svg + "</svg>\n";
}

}  // namespace tnb

#include "reports/line_plot.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_CASE("ticks are round numbers within the range") {
  CHECK(RoundTicks(0, 1, 5) == std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1});
  CHECK(RoundTicks(-3, 9, 4) == std::vector<double>{0, 5});
  CHECK(RoundTicks(1e-9, 9e-9, 8).size() == 9);
  CHECK(RoundTicks(2, 2, 8) == std::vector<double>{2});
}

TEST_CASE("a plot shows its series, escapes text, and breaks lines at what is not finite") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  LinePlot plot{.title = "a < b & c", .x_label = "x", .y_label = "\"y\""};
  plot.series.push_back({.name = "line", .x = {0, 1, 2, 3, 4}, .y = {0, 1, nan, 1, 0}});
  plot.series.push_back({.name = "marks", .x = {0, 4}, .y = {1, INFINITY}, .marks = true});
  const std::string svg = RenderSvg(plot);
  CHECK(svg.find("<svg ") == 0);
  CHECK(svg.substr(svg.size() - 7) == "</svg>\n");
  CHECK_THAT(svg, Contains("a &lt; b &amp; c") && Contains("&quot;y&quot;") && Contains(">line</text>"));
  CHECK_THAT(svg, !Contains("nan") && !Contains("inf"));
  CHECK(Count(svg, "<circle") == 2);  // one mark that is finite, one in the legend
  // The line of 5 points is two pieces: from the lower left corner up, then down again.
  const size_t start = svg.find("\" fill=\"none\" stroke=\"#0072b2\" stroke-width=\"2\"/>");
  REQUIRE(start != std::string::npos);
  const std::string path = svg.substr(svg.rfind("\"M", start) + 1, start - svg.rfind("\"M", start) - 1);
  CHECK(Count(path, "M") == 2);
  CHECK(Count(path, "L") == 2);
}

TEST_CASE("a legend with long names stands below the axes, in lines that fit") {
  const std::string name =
      "svd:keep=0.6,whiten=fisher+heal:lr=1e-03,tokens=2000000,kd=0.9,temperature=2+int8@all" +
      std::string(100, 'x') + "\u00b1";
  LinePlot plot{.title = "t"};
  plot.series.push_back({.name = "short", .x = {0, 1}, .y = {0, 1}});
  const std::string beside = RenderSvg(plot);
  CHECK_THAT(beside, Contains("height=\"460\"") && Contains("x=\"611\""));
  plot.series.push_back({.name = name, .x = {0, 1}, .y = {1, 0}, .dashed = true});
  const std::string below = RenderSvg(plot);
  CHECK_THAT(below, Contains("<text x=\"97\" y=\"472\">short</text>") && Contains("y=\"492\">svd:keep=0.6") &&
                        Contains("y=\"512\">") && Contains("y=\"532\">") && Contains("height=\"548\""));
  CHECK(Count(below, "stroke-dasharray=\"7 4\"") == 2);  // the line and its sample
  // Nothing is lost, and no character of UTF-8 is cut.
  std::string joined;
  for (size_t at = below.find("<text x=\"97\" y=\"492\">"); at != std::string::npos;
       at = below.find("<text x=\"97\"", at + 1)) {
    const size_t begin = below.find('>', at) + 1;
    joined += below.substr(begin, below.find('<', begin) - begin);
  }
  CHECK(joined == name);
}

TEST_CASE("a series without a name belongs to the one before") {
  LinePlot plot{.title = "t"};
  for (const std::string name : {"a", "", "b"})
    plot.series.push_back({.name = name, .x = {0, 1}, .y = {0, 1}});
  const std::string svg = RenderSvg(plot);
  CHECK(Count(svg, "stroke=\"#0072b2\"") == 3);  // two lines and a sample
  CHECK(Count(svg, "stroke=\"#d55e00\"") == 2);
  CHECK(Count(svg, "x=\"611\"") == 2);
}

TEST_CASE("more series than colors differ in their dashes") {
  LinePlot plot{.title = "t"};
  for (int i = 0; i < 9; ++i) plot.series.push_back({.name = "s", .x = {0, 1}, .y = {0, 1.0 * i}});
  CHECK(Count(RenderSvg(plot), "stroke-dasharray=\"2 3\"") == 2 * 2);
}

TEST_CASE("constant series and single points have a range") {
  const std::string svg =
      RenderSvg({.title = "t", .series = {{.name = "s", .x = {5}, .y = {0}, .marks = true}}});
  CHECK_THAT(svg, !Contains("nan") && Contains("cx=\"320.0\"") && Contains("cy=\"222.5\""));  // the middle
}

TEST_CASE("a plot without points is refused") {
  CHECK_THROWS_AS(RenderSvg({.title = "t"}), Error);
  CHECK_THROWS_AS(RenderSvg({.title = "t", .series = {{.name = "s", .x = {1, 2}, .y = {1}}}}), Error);
}

}  // namespace
}  // namespace tnb

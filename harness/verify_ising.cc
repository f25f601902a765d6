#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "harness/verification.h"
#include "reports/line_plot.h"
#include "reports/numbers.h"
#include "verify/kicked_ising.h"

namespace tnb {
namespace {

struct VerifyIsingOptions {
  int qubits = 127, steps = 5;
  std::vector<int> chi = {2, 4, 8, 16, 32};
  std::optional<int> site;
  int threads = 0;
  std::string plot;
};

struct Curves {
  std::string observable;
  std::vector<std::vector<IsingPoint>> points;  // [chi][angle]
  std::optional<IsingReference> reference;

  // What the values of a bond dimension are measured by: the published ones, else those of the largest one.
  double Truth(int m) const { return reference ? reference->values[m] : points.back()[m].value; }
  double LargestDifference(const std::vector<IsingPoint>& curve) const {
    double largest = 0;
    for (const IsingPoint& point : curve) {
      const double difference = std::abs(point.value - Truth(point.m));
      if (std::isnan(difference)) return difference;
      largest = std::max(largest, difference);
    }
    return largest;
  }
};

Cell Number(double value, int decimals) { return {.text = FormatFixed(value, decimals), .value = value}; }

Table CurveTable(const VerifyIsingOptions& options, const Curves& curves) {
  Table table;
  table.caption = curves.observable + " after " + std::to_string(options.steps) + " steps on " +
                  std::to_string(options.qubits) + " qubits";
  table.columns.push_back({.title = "theta", .alignment = Alignment::kLeft, .key = "theta"});
  for (const int chi : options.chi) {
    table.columns.push_back({.title = std::string("chi ") + std::to_string(chi),
                             .key = std::string("chi_") + std::to_string(chi)});
  }
  if (curves.reference) table.columns.push_back({.title = "published", .key = "published"});
  for (int m = 0; m < kIsingAngles; ++m) {
    std::vector<Cell> row = {{.text = std::to_string(m) + " pi/32", .value = IsingAngle(m)}};
    for (const auto& curve : curves.points) row.push_back(Number(curve[m].value, 12));
    if (curves.reference) row.push_back(Number(curves.reference->values[m], 12));
    table.rows.push_back(row);
  }
  if (curves.reference) table.notes.push_back("published: " + curves.reference->source);
  return table;
}

Table ConvergenceTable(const VerifyIsingOptions& options, const Curves& curves) {
  Table table;
  const std::string truth =
      curves.reference ? "published" : std::string("chi ") + std::to_string(curves.points.back()[0].chi);
  table.caption = "convergence in the bond dimension chi";
  table.columns = {{.title = "chi", .key = "chi"},
                   {.title = "largest difference to " + truth, .key = "largest_difference"},
                   {.title = "largest bond", .key = "largest_bond"},
                   {.title = "largest discarded weight", .key = "largest_discarded"},
                   {.title = "longest angle [s]", .key = "seconds_longest"},
                   {.title = "all angles [s]", .key = "seconds"}};
  for (size_t i = 0; i < curves.points.size(); ++i) {
    int bond = 0;
    double discarded = 0, longest = 0, seconds = 0;
    for (const IsingPoint& point : curves.points[i]) {
      bond = std::max(bond, point.largest_bond);
      discarded = std::max(discarded, point.largest_discarded);
      longest = std::max(longest, point.seconds);
      seconds += point.seconds;
    }
    const auto plain = [](double value) { return Cell{.text = FormatNumber(value), .value = value}; };
    table.rows.push_back({{.text = std::to_string(options.chi[i]), .value = options.chi[i]},
                          plain(curves.LargestDifference(curves.points[i])),
                          {.text = std::to_string(bond), .value = bond},
                          plain(discarded),
                          plain(longest),
                          plain(seconds)});
  }
  table.notes.push_back("times are those of one thread");
  return table;
}

LinePlot PlotOf(const VerifyIsingOptions& options, const Curves& curves) {
  LinePlot plot{
      .title = CurveTable(options, curves).caption, .x_label = "theta / pi", .y_label = curves.observable};
  const auto add = [&](const std::string& name, bool marks, const std::function<double(int)>& value) {
    PlotSeries series{.name = name, .marks = marks};
    for (int m = 0; m < kIsingAngles; ++m) {
      series.x.push_back(m / 32.0);
      series.y.push_back(value(m));
    }
    plot.series.push_back(series);
  };
  for (size_t i = 0; i < curves.points.size(); ++i) {
    add(std::string("chi ") + std::to_string(options.chi[i]), false,
        [&](int m) { return curves.points[i][m].value; });
  }
  if (curves.reference) add("published", true, [&](int m) { return curves.reference->values[m]; });
  return plot;
}

// One row a bond dimension. Only where the simulation is exact its difference has a limit.
std::vector<MeasurementRow> RowsOf(const VerifyIsingOptions& options, const Curves& curves) {
  std::vector<MeasurementRow> rows;
  const auto& reference = curves.reference;
  for (const auto& curve : curves.points) {
    const int chi = curve[0].chi;
    MeasurementRow row{.subject = curves.observable + ", " + std::to_string(options.qubits) + " qubits",
                       .name = std::string("chi ") + std::to_string(chi),
                       .settings = {{"qubits", options.qubits}, {"steps", options.steps}, {"chi", chi}},
                       .value = curves.LargestDifference(curve),
                       .unit = "1",
                       .detail = {{"reference", reference ? reference->source : "the largest chi"},
                                  {"n", curve.size()},
                                  {"of", "angles"},
                                  {"values", Json::array()},
                                  {"seconds", Json::array()}}};
    if (reference && reference->exact_chi > 0 && chi >= reference->exact_chi)
      row.tolerance = reference->tolerance;
    for (const IsingPoint& point : curve) {
      row.detail["values"].push_back(point.value);
      row.detail["seconds"].push_back(point.seconds);
    }
    rows.push_back(row);
  }
  return rows;
}

Findings Verify(VerifyIsingOptions options) {
  const Lattice lattice = HeavyHexOf(options.qubits);
  if (options.site && *options.site >= lattice.sites) {
    throw Error(ErrorKind::kUsage, {"no such qubit", std::string("0 to ") + std::to_string(lattice.sites - 1),
                                    std::to_string(*options.site), "--site", ""});
  }
  std::sort(options.chi.begin(), options.chi.end());
  const int threads = options.threads > 0
                          ? options.threads
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  Curves curves;
  curves.observable = options.site ? std::string("Z_") + std::to_string(*options.site) : "M_z";
  curves.reference = FindIsingReference(options.qubits, options.steps, options.site);
  Progress progress("kicked Ising", static_cast<int64_t>(options.chi.size()) * kIsingAngles, "points");
  curves.points =
      RunKickedIsing(lattice, options.steps, options.chi, options.site, threads, [&] { progress.Advance(); });
  progress.Finish();
  if (!options.plot.empty()) WriteFileAtomically(options.plot, RenderSvg(PlotOf(options, curves)));
  const std::string reference =
      curves.reference ? "the published values" : std::string("the values at the largest chi");
  return {.protocol = "Deviations are |differences| from " + reference + " at the angles 0 to pi/2.",
          .rows = RowsOf(options, curves),
          .tables = {CurveTable(options, curves), ConvergenceTable(options, curves)}};
}

}  // namespace

Verification DeclareIsing(OptionList& command) {
  auto options = std::make_shared<VerifyIsingOptions>();
  command.Add("--qubits", options->qubits, "heavy-hexagon lattice: 23, 65, 127, 433, 1121 ...").ShowDefault();
  command.Add("--steps", options->steps, "steps of the circuit; up to 5 are exact at chi 2^steps")
      .Between(1, 100)
      .ShowDefault();
  command.Add("--chi", options->chi, "bond dimensions, a list")
      .CommaSeparated()
      .Between(1, 1024)
      .ShowDefault();
  command.Add("--site", options->site, "<Z> of this qubit instead of the mean over all").NonNegative();
  command.Add("--threads", options->threads, "points computed at a time (default: the processors)")
      .Positive();
  command.Add("--plot", options->plot, "also write the curves to this file, as SVG");
  return [options] { return Verify(*options); };
}

}  // namespace tnb

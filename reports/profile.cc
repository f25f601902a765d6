#include "reports/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "reports/numbers.h"
#include "reports/statistics/ranks.h"

namespace tnb {
namespace {

constexpr std::array kShades = {" ", "░", "▒", "▓", "█"};
constexpr double kNormal95 = 1.959963984540054;

// In the order in which they come first.
std::vector<std::string> Distinct(const LayerProfile& profile, std::string ProfilePoint::*member) {
  std::vector<std::string> values;
  for (const ProfilePoint& point : profile.points) {
    if (std::count(values.begin(), values.end(), point.*member) == 0) values.push_back(point.*member);
  }
  return values;
}

std::string Shade(double loss, double least, double most) {
  if (!(loss > 0) || !(most > least)) return kShades.front();
  if (std::isinf(loss)) return kShades.back();
  const double place = std::log(loss / least) / std::log(most / least);
  const auto step = static_cast<int>(place * static_cast<double>(kShades.size()));
  return kShades[static_cast<size_t>(std::clamp(step, 0, static_cast<int>(kShades.size()) - 1))];
}

std::string LossText(const ProfilePoint& point) {
  if (!point.loss) return point.failure.empty() ? "not measured" : point.failure;
  if (!point.se) return FormatNumber(*point.loss);
  return fmt::format("{} ± {}", FormatNumber(*point.loss), FormatNumber(*point.se));
}

std::vector<std::string> ProxyNames(const LayerProfile& profile) {
  std::set<std::string> names;
  for (const ProfilePoint& point : profile.points) {
    for (const auto& [name, value] : point.proxies) names.insert(name);
  }
  return {names.begin(), names.end()};
}

std::string LossTitle(const LayerProfile& profile) {
  return profile.unit.empty() ? profile.measure : profile.measure + " [" + profile.unit + "]";
}

Cell CorrelationCell(const LayerProfile& profile, const std::string& proxy, const std::string& method) {
  std::vector<double> losses, proxies;
  for (const ProfilePoint& point : profile.points) {
    const auto found = point.proxies.find(proxy);
    if (!point.loss || found == point.proxies.end() || (!method.empty() && point.method != method)) continue;
    losses.push_back(*point.loss);
    proxies.push_back(found->second);
  }
  const std::optional<double> correlation = Spearman(proxies, losses);
  if (!correlation) return {.text = "not defined"};
  return {.text = fmt::format("{} (n = {})", FormatFixed(*correlation, 2, true), losses.size()),
          .value = *correlation};
}

}  // namespace

Table HeatMap(const LayerProfile& profile) {
  double least = INFINITY, most = 0;
  for (const ProfilePoint& point : profile.points) {
    if (!point.loss || !(*point.loss > 0) || std::isinf(*point.loss)) continue;
    least = std::min(least, *point.loss);
    most = std::max(most, *point.loss);
  }
  Table table{.caption = "sensitivity of " + profile.model + ": " + LossTitle(profile) +
                         " with one place compressed and everything else dense"};
  table.columns = {{.title = "method", .alignment = Alignment::kLeft, .key = "method"},
                   {.title = "block", .key = "block"}};
  const std::vector<std::string> kinds = Distinct(profile, &ProfilePoint::kind);
  for (const std::string& kind : kinds) {
    const std::string title = kind.empty() ? "the block's linears" : kind;
    table.columns.push_back({.title = title, .key = title});
  }
  for (const std::string& method : Distinct(profile, &ProfilePoint::method)) {
    std::set<int64_t> blocks;
    for (const ProfilePoint& point : profile.points) {
      if (point.method == method) blocks.insert(point.block);
    }
    for (const int64_t block : blocks) {
      std::vector<Cell> row = {{.text = method}, {.text = block < 0 ? "all" : std::to_string(block)}};
      for (const std::string& kind : kinds) {
        const auto found = std::find_if(profile.points.begin(), profile.points.end(), [&](const auto& point) {
          return point.method == method && point.block == block && point.kind == kind;
        });
        if (found == profile.points.end()) {
          row.push_back({.text = ""});
          continue;
        }
        const std::string shade = found->loss ? Shade(*found->loss, least, most) : " ";
        row.push_back({.text = LossText(*found) + " " + shade, .value = found->loss, .se = found->se});
      }
      table.rows.push_back(row);
    }
  }
  table.notes = profile.notes;
  return table;
}

Table PointTable(const LayerProfile& profile) {
  Table table{.caption = "single places"};
  table.columns = {{.title = "place", .alignment = Alignment::kLeft, .key = "place"},
                   {.title = "method", .alignment = Alignment::kLeft, .key = "method"},
                   {.title = "run", .key = "run"},
                   {.title = "kept", .key = "kept"},
                   {.title = LossTitle(profile), .key = profile.measure},
                   {.title = "95 % interval", .key = "interval"}};
  const std::vector<std::string> proxies = ProxyNames(profile);
  for (const std::string& name : proxies) table.columns.push_back({.title = name, .key = name});
  for (const ProfilePoint& point : profile.points) {
    const double kept = static_cast<double>(point.parameters) / static_cast<double>(point.dense_parameters);
    std::string interval;
    if (point.loss && point.se) {
      interval = fmt::format("[{}, {}]", FormatNumber(*point.loss - kNormal95 * *point.se),
                             FormatNumber(*point.loss + kNormal95 * *point.se));
    }
    std::vector<Cell> row = {{.text = point.place},
                             {.text = point.method},
                             {.text = std::to_string(point.run_id)},
                             {.text = point.dense_parameters > 0 ? FormatFixed(kept, 3) : "", .value = kept},
                             {.text = LossText(point), .value = point.loss, .se = point.se},
                             {.text = interval}};
    if (point.dense_parameters == 0) row[3].value.reset();
    for (const std::string& name : proxies) {
      const auto found = point.proxies.find(name);
      row.push_back(found == point.proxies.end()
                        ? Cell{.text = "not known"}
                        : Cell{.text = FormatNumber(found->second), .value = found->second});
    }
    table.rows.push_back(row);
  }
  return table;
}

Table ProxyTable(const LayerProfile& profile) {
  Table table{.caption = "do proxies foretell it? Spearman's rank correlation with " + profile.measure};
  table.columns = {{.title = "proxy", .alignment = Alignment::kLeft, .key = "proxy"}};
  const std::vector<std::string> methods = Distinct(profile, &ProfilePoint::method);
  for (const std::string& method : methods) table.columns.push_back({.title = method, .key = method});
  if (methods.size() > 1) table.columns.push_back({.title = "all points", .key = "all"});
  for (const std::string& name : ProxyNames(profile)) {
    std::vector<Cell> row = {{.text = name}};
    for (const std::string& method : methods) row.push_back(CorrelationCell(profile, name, method));
    if (methods.size() > 1) row.push_back(CorrelationCell(profile, name, ""));
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace tnb

#include "harness/quality_metrics.h"

#include <optional>

#include "base/hash.h"
#include "harness/phase.h"
#include "tasks/family.h"

namespace tnb {
namespace {

Json NumberOrNull(const std::optional<double>& value) { return value ? NumberToJson(*value) : Json(nullptr); }

Json MetricMessage(const TaskMetric& metric, const std::string& task, const Json& protocol) {
  return {{"type", "metric"},
          {"name", metric.name},
          {"task", task},
          {"filter", metric.filter},
          {"value", NumberToJson(metric.value)},
          {"unit", metric.unit},
          {"n", metric.n},
          {"se", NumberOrNull(metric.se)},
          {"lo", NumberOrNull(metric.lo)},
          {"hi", NumberOrNull(metric.hi)},
          {"main", metric.main},
          {"protocol", protocol}};
}

void ReportGroup(const std::string& group, const std::vector<std::string>& tasks,
                 const std::map<std::string, FinishedTask>& finished, const MessageSink& send) {
  std::vector<std::vector<TaskMetric>> metrics;
  Json protocols = Json::object();
  for (const std::string& task : tasks) {
    metrics.push_back(finished.at(task).metrics);
    protocols[task] = finished.at(task).protocol_hash;
  }
  const Json protocol = {{"name", group + " " + finished.at(tasks.at(0)).shots},
                         {"content", GroupProtocol(group, protocols)}};
  for (const TaskMetric& metric : AggregateGroup(metrics)) send(MetricMessage(metric, group, protocol));
}

}  // namespace

FinishedTask ReportTask(const Task& task, const Json& protocol, const std::vector<Scores>& scores,
                        const MessageSink& send) {
  const TaskSpec& spec = task.spec();
  const Dataset& dataset = task.dataset();
  FinishedTask finished = {.metrics = Aggregate(spec, scores),
                           .protocol_hash = Sha256Hex(protocol.dump()),
                           .shots = std::to_string(task.num_fewshot()) + "-shot"};
  for (const TaskMetric& metric : finished.metrics) {
    Json message =
        MetricMessage(metric, spec.name, {{"name", spec.name + " " + finished.shots}, {"content", protocol}});
    message["dataset"] = {{"hash", dataset.sha256},
                          {"name", spec.name},
                          {"split", spec.split},
                          {"source", dataset.path},
                          {"items", dataset.documents.size()}};
    send(message);
  }
  return finished;
}

void ReportGroups(const Json& settings, const std::map<std::string, FinishedTask>& finished,
                  const MessageSink& send) {
  static const char kWhere[] = "the settings of the quality phase";
  for (const Json& group : Optional<Json>(settings, "groups", Json::array(), kWhere)) {
    ReportGroup(Require<std::string>(group, "group", kWhere),
                Require<std::vector<std::string>>(group, "tasks", kWhere), finished, send);
  }
}

}  // namespace tnb

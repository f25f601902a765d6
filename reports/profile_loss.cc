#include "reports/profile_loss.h"

#include "reports/paired_items.h"
#include "reports/statistics/paired.h"

namespace tnb {
namespace {

// The rows of a phase of a run, when it is finished; else why not.
std::optional<int64_t> FinishedPhase(const Store& store, int64_t run_id, const std::string& name,
                                     std::string* failure) {
  for (const PhaseRow& phase : store.Phases(run_id)) {
    if (phase.name != name) continue;
    if (phase.status == PhaseStatus::kOk) return phase.data_id;
    *failure = ToString(phase.status);
    return std::nullopt;
  }
  *failure = "no " + name;
  return std::nullopt;
}

std::optional<MetricRow> MainMetric(const Store& store, int64_t data_id, const std::string& task) {
  for (const MetricRow& row : store.Metrics(data_id)) {
    if (row.main && row.task == task) return row;
  }
  return std::nullopt;
}

std::string SourceOf(const Store& store, const MetricRow& row) {
  std::string text = "n=" + std::to_string(row.n);
  if (!row.protocol_id) return text;
  const ProtocolRow protocol = store.Protocol(*row.protocol_id);
  text += ", protocol " + protocol.name + " " + protocol.hash.substr(0, 12);
  return text;
}

}  // namespace

ProfileLoss DriftLoss(const Store& store, int64_t run_id) {
  ProfileLoss result{.measure = "kld_mean", .unit = "nats"};
  const auto phase = FinishedPhase(store, run_id, "drift", &result.failure);
  if (!phase) return result;
  for (const MetricRow& row : store.Metrics(*phase)) {
    if (row.name != result.measure) continue;
    result.loss = row.value;
    result.se = row.se;
    result.unit = row.unit;
    result.source = SourceOf(store, row);
  }
  if (!result.loss) result.failure = "no " + result.measure;
  return result;
}

ProfileLoss TaskLoss(const Store& store, int64_t base_run, int64_t run_id, const std::string& task,
                     const MetricShapes& shapes) {
  ProfileLoss result{.measure = task};
  const auto base = FinishedPhase(store, base_run, "quality", &result.failure);
  if (!base) {
    result.failure = "base: " + result.failure;
    return result;
  }
  const auto own = FinishedPhase(store, run_id, "quality", &result.failure);
  if (!own) return result;
  const auto metric = MainMetric(store, *base, task);
  if (!metric || !metric->protocol_id) {
    result.failure = "no metric of " + task;
    return result;
  }
  const MetricShape shape = shapes(metric->name);
  result.measure = "loss of " + task + " " + metric->name;
  result.unit = shape.ratio ? "nats" : metric->unit;
  result.source = SourceOf(store, *metric);
  const PairedItems items = PairItems({&store, *base}, {&store, *own}, *metric,
                                      store.Protocol(*metric->protocol_id).content, shape);
  if (!items.refusal.empty()) {
    result.failure = items.refusal;
    return result;
  }
  const PairedSample sample = MakePairedSample(items.first, items.second, items.weights, items.clusters);
  // Ratios are paired by negative log-likelihoods: more of them is worse.
  const double sign = shape.ratio || !shape.higher_is_better ? 1 : -1;
  result.loss = sign * sample.estimate();
  if (sample.sums.size() > 1) result.se = ClusterStandardError(sample);
  return result;
}

}  // namespace tnb

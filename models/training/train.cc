#include "models/training/train.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/stopwatch.h"

namespace tnb {
namespace {

// A quantity of a point, by name.
struct Column {
  const char* name;
  double (*get)(const CurvePoint&);
  void (*set)(CurvePoint&, double);
  bool last;   // of several points the last one counts, else their mean
  bool whole;  // an integer
};

template <auto Member>
Column Of(const char* name, bool last) {
  using Type = std::remove_cvref_t<decltype(CurvePoint().*Member)>;
  return {name, [](const CurvePoint& point) { return static_cast<double>(point.*Member); },
          [](CurvePoint& point, double value) { point.*Member = static_cast<Type>(value); }, last,
          std::is_integral_v<Type>};
}

template <double StepReport::*Member>
Column OfReport(const char* name) {
  return {name, [](const CurvePoint& point) { return point.report.*Member; },
          [](CurvePoint& point, double value) { point.report.*Member = value; }, false, false};
}

const std::vector<Column>& Columns() {
  static const std::vector<Column> columns = {
      Of<&CurvePoint::step>("step", true),
      Of<&CurvePoint::tokens>("tokens", true),
      OfReport<&StepReport::loss>("loss"),
      OfReport<&StepReport::cross_entropy>("cross_entropy"),
      OfReport<&StepReport::divergence>("divergence"),
      OfReport<&StepReport::hidden>("hidden"),
      OfReport<&StepReport::learning_rate>("learning_rate"),
      OfReport<&StepReport::gradient_norm>("gradient_norm"),
      Of<&CurvePoint::data_seconds>("data_seconds", false),
      OfReport<&StepReport::forward_seconds>("forward_seconds"),
      OfReport<&StepReport::backward_seconds>("backward_seconds"),
      OfReport<&StepReport::optimizer_seconds>("optimizer_seconds"),
      Of<&CurvePoint::seconds>("seconds", true),
      Of<&CurvePoint::peak_bytes>("peak_bytes", true),
  };
  return columns;
}

std::vector<CurvePoint> CurveFromJson(const Json& json, const std::string& where) {
  std::vector<CurvePoint> curve(Require<std::vector<double>>(json, "step", where).size());
  for (const Column& column : Columns()) {
    const auto values = Require<std::vector<double>>(json, column.name, where);
    if (values.size() != curve.size())
      throw Error(ErrorKind::kData, {"a curve's lists differ in length", "", "", where, ""});
    for (size_t i = 0; i < curve.size(); ++i) column.set(curve[i], values[i]);
  }
  return curve;
}

}  // namespace

Json CurveToJson(const std::vector<CurvePoint>& curve, size_t most) {
  const size_t stride = std::max<size_t>(1, (curve.size() + most - 1) / most);
  Json json = Json::object();
  for (const Column& column : Columns()) {
    Json& list = json[column.name] = Json::array();
    for (size_t begin = 0; begin < curve.size(); begin += stride) {
      const size_t end = std::min(curve.size(), begin + stride);
      double sum = 0;
      for (size_t i = begin; i < end; ++i) sum += column.get(curve[i]);
      const double value = column.last ? column.get(curve[end - 1]) : sum / static_cast<double>(end - begin);
      list.push_back(column.whole ? Json(std::llround(value)) : Json(value));
    }
  }
  return json;
}

int64_t StepsFor(int64_t tokens, int64_t step_tokens) {
  return std::max<int64_t>(1, (tokens + step_tokens / 2) / step_tokens);
}

std::vector<CurvePoint> Train(Trainer& trainer, const TrainingPlan& plan) {
  std::vector<CurvePoint> curve;
  const std::string where = plan.checkpoint.string();
  if (!plan.checkpoint.empty()) {
    if (const auto note = trainer.LoadCheckpoint(plan.checkpoint, plan.key)) {
      curve = CurveFromJson(Require<Json>(*note, "curve", where), where);
    }
  }
  const auto save = [&] {
    if (plan.checkpoint.empty()) return;
    trainer.SaveCheckpoint(plan.checkpoint, plan.key, {{"curve", CurveToJson(curve, curve.size() + 1)}});
  };
  const double before = curve.empty() ? 0 : curve.back().seconds;
  const Clock::time_point start = Clock::now();
  Clock::time_point saved = start;
  const int64_t begun = trainer.step();
  while (trainer.step() < plan.steps) {
    CurvePoint point;
    const Clock::time_point begin = Clock::now();
    const std::vector<TrainingBatch> batches = plan.batches(trainer.step());
    point.data_seconds = SecondsSince(begin);
    try {
      point.report = trainer.Step(batches);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData || plan.checkpoint.empty()) throw;
      save();
      ErrorDetail detail = error.detail();
      detail.hint +=
          (detail.hint.empty() ? "" : "; ") + std::string("the state before this step is kept in ") + where;
      throw Error(error.kind(), detail);
    }
    point.step = trainer.step();
    point.tokens = curve.empty() ? 0 : curve.back().tokens;
    for (const TrainingBatch& batch : batches) point.tokens += batch.inputs.numel();
    point.seconds = before + SecondsSince(start);
    if (plan.on_step) plan.on_step(point);
    curve.push_back(point);
    if (SecondsSince(saved) >= plan.checkpoint_seconds) {
      save();
      saved = Clock::now();
    }
  }
  if (plan.keep_last && trainer.step() > begun) save();
  return curve;
}

}  // namespace tnb

#include "methods/factorize/svd.h"

#include "methods/calibrated.h"
#include "methods/factorize/chain.h"
#include "methods/factorize/factorizer.h"

namespace tnb {
namespace {

// The low-rank product is the two-core MPO with legs (m, 1) x (1, n).
std::unique_ptr<Stage> MakeLowRank(FactorizerOptions options) {
  options.forms = [](const LinearSlot&, int64_t rows, int64_t cols) {
    return Chains({{{rows, 1}, {1, cols}}}, {.closing = 1, .sweeps = 0, .size_name = "rank"});
  };
  return MakeFactorizer(std::move(options));
}

std::unique_ptr<Stage> MakeSvd(const StageValues& values) { return MakeLowRank(OptionsFrom(values, "rank")); }

template <MetricKind metric>
std::unique_ptr<Stage> MakeCalibrated(const StageValues& values) {
  FactorizerOptions options = OptionsFrom(values, "rank");
  options.metric.kind = metric;
  if (metric == MetricKind::kWeightGradients) {
    options.metric.gradients.moments = Moments::kWeightGradients;
    options.metric.gradients.model_labels = false;
  }
  return MakeLowRank(std::move(options));
}

StageDescription DescribeCalibrated(const std::string& name, const std::string& summary,
                                    const std::string& reference) {
  StageDescription description = DescribeFactorization(name, summary, "rank", reference);
  description.takes_embedding = false;  // it has no inputs to be calibrated on
  AddAllocation(description.parameters);
  AddCalibration(description.parameters, "");
  return description;
}

}  // namespace

StageEntry SvdEntry() {
  StageDescription description =
      DescribeFactorization("svd", "truncated singular value decomposition, W ~ A B", "rank",
                            "Eckart and Young 1936; whiten=fisher: both factors of K-FAC, arXiv 1503.05671");
  AddWhitening(description.parameters);
  return {description, &MakeSvd};
}

StageEntry AsvdEntry() {
  StageDescription description = DescribeCalibrated(
      "asvd", "low rank after scaling columns by their mean absolute input", "ASVD, arXiv 2312.05821");
  description.parameters.push_back(
      {"alpha", ParameterDescription::Type::kReal, "0.5", "power of the mean absolute input", 0, 2, {}});
  return {description, &MakeCalibrated<MetricKind::kMeanAbsolute>};
}

StageEntry FwsvdEntry() {
  return {DescribeCalibrated("fwsvd", "low rank after scaling columns by their Fisher information",
                             "FWSVD, arXiv 2207.00112"),
          &MakeCalibrated<MetricKind::kWeightGradients>};
}

StageEntry SvdLlmEntry() {
  StageDescription description = DescribeCalibrated(
      "svd-llm", "low rank with the least output error on the calibration text", "SVD-LLM, arXiv 2403.07378");
  description.parameters.push_back({"ridge",
                                    ParameterDescription::Type::kReal,
                                    "1e-04",
                                    "added to the input covariance, in means of its diagonal",
                                    0,
                                    10,
                                    {}});
  return {description, &MakeCalibrated<MetricKind::kInputs>};
}

}  // namespace tnb

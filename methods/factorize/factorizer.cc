#include "methods/factorize/factorizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "methods/factorize/mpo.h"
#include "methods/factorize/whitening.h"

namespace tnb {
namespace {

// What the metric needs of one linear; undefined: the identity.
struct Covariances {
  at::Tensor output, input;
};

// What the allocation gave to one linear.
struct Share {
  bool dense = false;
  int64_t bond = 0;
  Legs legs;
};

class Factorizer : public Stage {
 public:
  explicit Factorizer(FactorizerOptions options) : options_(std::move(options)) {
    if (options_.allocation != Allocation::kUniform && options_.amount.keep <= 0) {
      throw Error(ErrorKind::kUsage,
                  {"an allocation shares a budget", "keep=", options_.rank_name + " or error", "alloc",
                   "leave alloc out to give every matrix the same"});
    }
  }

  void Prepare(const StageContext& context) override {
    Fetch(context);
    if (options_.allocation != Allocation::kUniform) ShareOut(context);
  }

  Json Report() const override {
    Json report = report_;
    for (const auto& statistics : {inputs_, gradients_}) {
      if (statistics) report["statistics"].push_back(statistics->About());
    }
    return report;
  }

  at::Tensor InputCovariance(const LinearSlot& slot) const override {
    return inputs_ ? inputs_->FindInputCovariance(slot) : at::Tensor();
  }

  LinearReport Apply(LinearSlot& slot) const override {
    Share share;
    if (options_.allocation != Allocation::kUniform) {
      const auto found = shares_.find(slot.name);
      if (found == shares_.end())
        throw Error(ErrorKind::kInternal, "a stage was not prepared for " + slot.name);
      share = found->second;
      if (share.dense) return {0.0, {{"dense", true}}};
    }
    const at::Tensor w = slot.linear->Rebuild();
    const Covariances covariances = CovariancesOf(slot);
    if (share.legs.out.empty()) share.legs = Choose(w, covariances).legs;
    const Amount amount = share.bond > 0 ? Amount{.rank = share.bond} : options_.amount;
    const LegWhitening whitening = Whitening(covariances, share.legs);
    MpoResult result = DecomposeMpo(w, share.legs, amount, whitening.none() ? nullptr : &whitening);
    result.linear->set_bias(slot.linear->bias());
    slot.linear = std::move(result.linear);
    LinearReport report;
    report.discarded_weight = result.discarded_weight;
    if (options_.rank_name == "rank") {
      report.detail["rank"] = result.bonds[0];
    } else {
      report.detail = {
          {"bonds", result.bonds}, {"exact_bonds", ExactBonds(share.legs)}, {"legs", ToString(share.legs)}};
    }
    if (!whitening.none()) {
      report.detail["whitened_loss"] = result.discarded_squares;
      // Larger than asked for only where a covariance was not positive definite.
      if (whitening.ridge > options_.ridge) report.detail["ridge"] = whitening.ridge;
      if (whitening.output_ridge > options_.output_ridge)
        report.detail["output_ridge"] = whitening.output_ridge;
    }
    return report;
  }

 private:
  void Fetch(const StageContext& context) {
    const Metric metric = options_.metric;
    if (metric == Metric::kFrobenius) return;
    if (context.statistics == nullptr) {
      throw Error(ErrorKind::kUnsupported, "a stage needs calibration statistics, and there are none here",
                  "compress a model with tnbench run");
    }
    const auto get = [&](StatisticsRequest request) {
      request.down = context.down;
      return context.statistics->Get(request);
    };
    if (metric != Metric::kWeightGradients) inputs_ = get(options_.inputs);
    if (metric == Metric::kFisher || metric == Metric::kWeightGradients) gradients_ = get(options_.gradients);
  }

  Covariances CovariancesOf(const LinearSlot& slot) const {
    const Metric metric = options_.metric;
    if (metric == Metric::kFrobenius) return {};
    if (!inputs_ && !gradients_) throw Error(ErrorKind::kInternal, "a calibrated stage was not prepared");
    const auto diagonal = [](const at::Tensor& values) { return at::diag(values.to(at::kDouble)); };
    switch (metric) {
      case Metric::kMeanAbsolute:
        return {{}, diagonal((inputs_->MeanAbsoluteInput(slot).pow(options_.alpha) + 1e-6).square())};
      case Metric::kWeightGradients:
        return {{}, diagonal(gradients_->WeightGradients(slot))};
      case Metric::kInputs:
        return {{}, inputs_->InputCovariance(slot)};
      default:
        return {gradients_->OutputCovariance(slot), inputs_->InputCovariance(slot)};
    }
  }

  LegWhitening Whitening(const Covariances& covariances, const Legs& legs) const {
    return WhitenLegs(covariances.output, options_.output_ridge, covariances.input, options_.ridge, legs);
  }

  // |Rᵀ (W - W') L|^2, in the metric itself and not in what of it splits over the legs.
  double TrueLoss(const at::Tensor& difference, const Covariances& covariances) const {
    const Legs whole{{difference.size(0), 1}, {1, difference.size(1)}};
    const LegWhitening whitening = Whitening(covariances, whole);
    return Whiten(difference, whole, whitening).to(at::kDouble).square().sum().item<double>();
  }

  // The legs with the least true loss, and how much larger it is than the discarded squares say.
  struct Chosen {
    Legs legs;
    double ratio = 1;
  };
  Chosen Choose(const at::Tensor& w, const Covariances& covariances) const {
    const std::vector<Legs> candidates = options_.legs(w.size(0), w.size(1));
    if (candidates.size() == 1) return {candidates[0], 1};
    Chosen best;
    double least = INFINITY;
    for (const Legs& legs : candidates) {
      if (options_.amount.rank == 0 && options_.amount.error == 0 &&
          static_cast<double>(MpoParameters(legs, 1)) >
              options_.amount.keep * static_cast<double>(w.numel())) {
        continue;
      }
      const LegWhitening whitening = Whitening(covariances, legs);
      const MpoResult result =
          DecomposeMpo(w, legs, options_.amount, whitening.none() ? nullptr : &whitening);
      const double loss = TrueLoss(w - result.linear->Rebuild(), covariances);
      if (loss < least) {
        least = loss;
        best = {legs, result.discarded_squares > 0 ? loss / result.discarded_squares : 1};
      }
    }
    if (best.legs.out.empty()) {
      // Nothing is small enough: an allocation leaves the matrix dense, anything else cannot be done.
      if (options_.allocation == Allocation::kUniform) BondFor(options_.amount, candidates[0], w.numel());
      best.legs = candidates[0];
    }
    return best;
  }

  RateCurve CurveOf(const LinearSlot& slot, Legs& legs) const {
    const at::Tensor w = slot.linear->Rebuild();
    const Covariances covariances = CovariancesOf(slot);
    const Chosen chosen = Choose(w, covariances);
    legs = chosen.legs;
    const LegWhitening whitening = Whitening(covariances, legs);
    const at::Tensor matrix = whitening.none() ? w : Whiten(w, legs, whitening);
    RateCurve curve;
    curve.name = slot.name;
    // What a bond dimension discards at all cuts together (an upper bound for more than two cores).
    std::vector<at::Tensor> tails;
    int64_t largest = 1;
    for (const at::Tensor& squares : CutSpectra(matrix, legs)) {
      tails.push_back(squares.flip(0).cumsum(0).flip(0).contiguous());  // tails[k]: squares from k on
      largest = std::max(largest, squares.size(0));
      curve.total = std::max(curve.total, chosen.ratio * tails.back()[0].item<double>());
    }
    for (int64_t bond = 1; bond <= largest; ++bond) {
      const int64_t parameters = MpoParameters(legs, bond);
      if (parameters >= w.numel()) break;
      double loss = 0;
      for (const at::Tensor& tail : tails) {
        if (bond < tail.size(0)) loss += tail.const_data_ptr<double>()[bond];
      }
      curve.parameters.push_back(parameters);
      curve.loss.push_back(chosen.ratio * loss);
    }
    curve.parameters.push_back(w.numel());
    curve.loss.push_back(0);
    return curve;
  }

  void ShareOut(const StageContext& context) {
    std::vector<RateCurve> curves;
    std::vector<Legs> legs;
    int64_t dense = 0;
    context.for_each([&](const LinearSlot& slot) {
      legs.emplace_back();
      curves.push_back(CurveOf(slot, legs.back()));
      dense += curves.back().parameters.back();
      if (context.progress) context.progress("spectra", static_cast<int64_t>(curves.size()));
    });
    const auto budget = static_cast<int64_t>(options_.amount.keep * static_cast<double>(dense));
    const std::vector<size_t> choice = Allocate(options_.allocation, curves, budget);
    int64_t parameters = 0, kept_dense = 0;
    double loss = 0;
    for (size_t i = 0; i < curves.size(); ++i) {
      Share share;
      share.dense = choice[i] + 1 == curves[i].parameters.size();
      share.bond = static_cast<int64_t>(choice[i]) + 1;
      share.legs = legs[i];
      parameters += curves[i].parameters[choice[i]];
      loss += curves[i].loss[choice[i]];
      kept_dense += share.dense ? 1 : 0;
      shares_[curves[i].name] = std::move(share);
    }
    report_["allocation"] = {{"budget", budget},
                             {"parameters", parameters},
                             {"dense_linears", kept_dense},
                             {"predicted_loss", loss}};
  }

  FactorizerOptions options_;
  std::shared_ptr<const Statistics> inputs_, gradients_;
  std::map<std::string, Share> shares_;
  Json report_ = Json::object();
};

}  // namespace

std::unique_ptr<Stage> MakeFactorizer(FactorizerOptions options) {
  return std::make_unique<Factorizer>(std::move(options));
}

}  // namespace tnb

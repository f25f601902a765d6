#include "methods/factorize/factorizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/hash.h"
#include "methods/factorize/alternating.h"
#include "methods/factorize/permutation.h"

namespace tnb {
namespace {

// A sketched loss is at most 20 % above the real one; forms that lose this many times the least sketched loss
// are not cut for real.
constexpr double kSketchMargin = 1.3;

// What the allocation gave to one linear.
struct Share {
  bool dense = false;
  int64_t parameters = 0;
  std::shared_ptr<const Form> form;
};

class Factorizer : public Stage {
 public:
  explicit Factorizer(FactorizerOptions options)
      : options_(std::move(options)), amount_(options_.amount), metric_(options_.metric) {
    const bool fixed = amount_.rank > 0 || amount_.error > 0 || !amount_.profile.empty();
    if (options_.allocation != Allocation::kUniform && fixed) {
      throw Error(ErrorKind::kUsage, {"an allocation shares a budget", "keep=, budget= or budget_bytes=",
                                      options_.rank_name + ", error or profile", "alloc",
                                      "alloc=uniform takes them as they are"});
    }
  }

  void Prepare(const StageContext& context) override {
    metric_.Prepare(context);
    if (!amount_.profile.empty()) {
      ReadProfile(context);
    } else if (Shared()) {
      ShareOut(context);
    }
  }

  Json Report() const override {
    Json report = report_;
    metric_.Report(report);
    return report;
  }

  at::Tensor InputCovariance(const LinearSlot& slot) const override { return metric_.InputCovariance(slot); }

  LinearReport Apply(LinearSlot& slot) const override {
    Share share;
    if (Shared()) {
      const auto found = shares_.find(slot.name);
      if (found == shares_.end())
        throw Error(ErrorKind::kInternal, "a stage was not prepared for " + slot.name);
      share = found->second;
      if (share.dense) return {0.0, {{"dense", true}}};
    }
    const auto [w, covariances, permutation] = Seen(slot);
    const Amount amount = share.parameters > 0 ? Amount{.parameters = share.parameters} : amount_;
    const at::Tensor smooth = Smooth(w);
    if (!share.form) share.form = Choose(slot, smooth, covariances, amount, false).form;
    const Legs& legs = share.form->legs();
    const LegWhitening whitening = metric_.Whitening(covariances, legs);
    const Amount rest = NetworkAmount(amount, w);
    NetworkCut cut = options_.sparse.superweights > 0 ? CutWhitened(*share.form, smooth, whitening, rest)
                                                      : CutOf(*share.form, slot, w, whitening, rest);
    LinearReport report;
    report.detail = std::move(cut.detail);
    std::unique_ptr<Linear> linear = LinearOf(cut.cores, legs);
    if (const int64_t stored = SparseCount(options_.sparse, w.size(0), w.size(1)); stored > 0) {
      linear = AddSparse(options_.sparse, std::move(linear), w, Importance(covariances));
      const auto squares = [&](const at::Tensor& t) {
        return SquaredNorm(whitening.none() ? t : Whiten(t, legs, whitening));
      };
      cut.loss = squares(w - linear->Rebuild());
      cut.total = squares(w);  // with its superweights
      report.detail["sparse_elements"] = stored;
    }
    report.discarded_weight = cut.total > 0 ? cut.loss / cut.total : 0;
    if (!permutation.none())
      linear = MakePermutedLinear(std::move(linear), permutation.rows, permutation.columns);
    linear->set_bias(slot.linear->bias());
    slot.linear = std::move(linear);
    if (!whitening.none()) {
      report.detail["whitened_loss"] = cut.loss;
      metric_.Report(whitening, report.detail);
    }
    return report;
  }

 private:
  // A matrix and its metric in the order in which its rows and columns are factored into legs.
  struct Problem {
    at::Tensor w;
    Covariances covariances;
    Permutation permutation;
  };
  Problem Seen(const LinearSlot& slot) const {
    Problem problem{slot.linear->Rebuild(), metric_.Of(slot), {}};
    problem.permutation = ChoosePermutation(options_.permute, problem.w);
    problem.w = Permuted(problem.w, problem.permutation);
    problem.covariances.output = PermutedCovariance(problem.covariances.output, problem.permutation.rows);
    problem.covariances.input = PermutedCovariance(problem.covariances.input, problem.permutation.columns);
    return problem;
  }

  // A network that is one of this form already is cut core by core, where no metric asks for the matrix.
  NetworkCut CutOf(const Form& form, const LinearSlot& slot, const at::Tensor& w,
                   const LegWhitening& whitening, const Amount& amount) const {
    if (whitening.none() && options_.permute == "none") {
      if (std::optional<NetworkCut> rounded = form.Round(*slot.linear, amount)) {
        rounded->total = SquaredNorm(w);
        BalanceBonds(rounded->cores);
        return *std::move(rounded);
      }
    }
    return CutWhitened(form, w, whitening, amount);
  }

  // What the network is made of: w without its superweights.
  at::Tensor Smooth(const at::Tensor& w) const {
    const at::Tensor kept = Superweights(options_.sparse, w);
    return kept.defined() ? w.masked_fill(kept, 0) : w;
  }

  // What of an amount is left for the network. Error{kUsage} when the sparse part alone is more.
  Amount NetworkAmount(const Amount& amount, const at::Tensor& w) const {
    const int64_t sparse = SparseCount(options_.sparse, w.size(0), w.size(1));
    if (sparse == 0 || amount.rank > 0 || amount.error > 0) return amount;
    const double budget = amount.BudgetOf(w.numel());
    const auto left = static_cast<int64_t>(budget) - sparse;
    if (left <= 0) {
      const auto dense = static_cast<double>(w.numel());
      throw Error(ErrorKind::kUsage,
                  {"the sparse part alone is more than what is to be kept",
                   "keep above " + std::to_string(static_cast<double>(sparse) / dense),
                   std::to_string(budget / dense), "", "a larger keep, or a smaller density"});
    }
    return {.parameters = left};
  }

  // How much an error of every element costs, by the diagonals of the metric [rows, cols]; undefined: alike.
  static at::Tensor Importance(const Covariances& covariances) {
    at::Tensor importance;
    if (covariances.input.defined())
      importance = covariances.input.diagonal().clamp_min(0).sqrt().unsqueeze(0);
    if (covariances.output.defined()) {
      const at::Tensor rows = covariances.output.diagonal().clamp_min(0).sqrt().unsqueeze(1);
      importance = importance.defined() ? importance * rows : rows;
    }
    return importance;
  }

  // The form with the least true loss, and how much larger it is than the form's own loss says.
  struct Chosen {
    std::shared_ptr<const Form> form;
    double ratio = 1;
  };
  Chosen Choose(const LinearSlot& slot, const at::Tensor& w, const Covariances& covariances,
                const Amount& amount, bool ratio_wanted) const {
    const std::vector<std::shared_ptr<const Form>> candidates = options_.forms(slot, w.size(0), w.size(1));
    // A form's own loss is the true one where the metric splits over its legs.
    if (candidates.size() == 1 && (!ratio_wanted || metric_.SplitsOver(candidates[0]->legs())))
      return {candidates[0], 1};
    const int64_t sparse = SparseCount(options_.sparse, w.size(0), w.size(1));
    const bool sized = amount.rank > 0 || amount.error > 0;
    const LegWhitening whole = metric_.WholeWhitening(covariances, w);
    struct Trial {
      std::shared_ptr<const Form> form;
      double loss = INFINITY, ratio = 1;
    };
    const auto tried = [&](const std::shared_ptr<const Form>& form, CutKind kind) {
      const NetworkCut cut =
          CutWhitened(*form, w, metric_.Whitening(covariances, form->legs()), NetworkAmount(amount, w), kind);
      const double loss = Metric::TrueLoss(w - LinearOf(cut.cores, form->legs())->Rebuild(), whole);
      return Trial{form, loss, cut.loss > 0 ? loss / cut.loss : 1};
    };
    // A sketch of each says which ones come near the best.
    std::vector<Trial> trials;
    double nearest = INFINITY;
    for (const auto& form : candidates) {
      if (!sized && static_cast<double>(form->LeastParameters() + sparse) > amount.BudgetOf(w.numel()))
        continue;
      trials.push_back(candidates.size() > 1 ? tried(form, CutKind::kSketch) : Trial{form});
      nearest = std::min(nearest, trials.back().loss);
    }
    std::erase_if(trials, [&](const Trial& trial) { return trial.loss > kSketchMargin * nearest; });
    if (trials.size() == 1 && (!ratio_wanted || metric_.SplitsOver(trials[0].form->legs())))
      return {trials[0].form, 1};
    Chosen best;
    double least = INFINITY;
    for (const Trial& trial : trials) {
      const Trial real = tried(trial.form, CutKind::kReal);
      if (real.loss < least) {
        least = real.loss;
        best = {real.form, real.ratio};
      }
    }
    // Nothing is small enough: an allocation leaves the matrix dense, anything else fails with the reason.
    if (!best.form) best.form = candidates[0];
    return best;
  }

  RateCurve CurveOf(const LinearSlot& slot, std::shared_ptr<const Form>& form) const {
    const Problem problem = Seen(slot);
    const at::Tensor w = Smooth(problem.w);
    const Covariances& covariances = problem.covariances;
    const Chosen chosen = Choose(slot, w, covariances, amount_, options_.allocation != Allocation::kUniform);
    form = chosen.form;
    const LegWhitening whitening = metric_.Whitening(covariances, form->legs());
    const at::Tensor matrix = whitening.none() ? w : Whiten(w, form->legs(), whitening);
    RateCurve curve;
    if (options_.allocation == Allocation::kUniform) {
      curve.parameters = form->Sizes(matrix);
      curve.loss.resize(curve.parameters.size());
    } else {
      curve = form->Curve(matrix);
    }
    curve.name = slot.name;
    curve.total *= chosen.ratio;
    for (double& loss : curve.loss) loss *= chosen.ratio;
    // The sparse part comes on top of every size; what it saves is not foreseen.
    for (int64_t& parameters : curve.parameters)
      parameters += SparseCount(options_.sparse, w.size(0), w.size(1));
    while (!curve.parameters.empty() && curve.parameters.back() >= w.numel()) {
      curve.parameters.pop_back();
      curve.loss.pop_back();
    }
    curve.parameters.push_back(w.numel());
    curve.loss.push_back(0);
    return curve;
  }

  // Every linear has a share of its own, found out beforehand.
  bool Shared() const {
    return options_.allocation != Allocation::kUniform || amount_.budget > 0 || amount_.budget_bytes > 0 ||
           !amount_.profile.empty();
  }

  void ReadProfile(const StageContext& context) {
    const std::string text = context.read_file(amount_.profile);
    const Json profile = ParseJson(text, amount_.profile);
    int64_t linears = 0;
    context.for_each([&](const LinearSlot& slot) {
      const auto keep = Require<double>(profile, slot.name, amount_.profile);
      if (!(keep > 0)) {
        throw Error(ErrorKind::kData, {"a profile's fraction to keep is out of range", "above 0; 1: dense",
                                       std::to_string(keep), amount_.profile + ": " + slot.name, ""});
      }
      Share& share = shares_[slot.name];
      share.dense = keep >= 1;
      const int64_t rows = slot.linear->out_features(), cols = slot.linear->in_features();
      share.parameters = static_cast<int64_t>(keep * static_cast<double>(rows * cols));
      ++linears;
    });
    report_["profile"] = {{"file", amount_.profile}, {"sha256", Sha256Hex(text)}, {"linears", linears}};
  }

  // One linear of every shape, to see what later stages make of it.
  struct Sample {
    std::string name;
    LinearKind kind;
    int64_t block;
    at::Tensor w;
  };
  using Shape = std::pair<int64_t, int64_t>;
  struct Samples {
    std::map<Shape, Sample> of;
    std::vector<Shape> shapes;  // of every curve
  };

  // A matrix cut to `parameters`, in no metric: for its sizes.
  std::unique_ptr<Linear> Sampled(const at::Tensor& w, const Form& form, int64_t parameters) const {
    const NetworkCut cut = CutWhitened(form, w, {}, NetworkAmount({.parameters = parameters}, w));
    return AddSparse(options_.sparse, LinearOf(cut.cores, form.legs()), w, {});
  }

  // Bytes a parameter of a sample after all later stages, factorized to `parameters` (0: dense).
  double BytesAParameter(const StageContext& context, const Sample& sample, const Form& form,
                         int64_t parameters) const {
    LinearSlot slot;
    slot.name = sample.name;
    slot.kind = sample.kind;
    slot.block = sample.block;
    slot.linear =
        parameters == 0 ? MakeDenseLinear(MakeDenseWeight(sample.w)) : Sampled(sample.w, form, parameters);
    const auto count = static_cast<double>(slot.linear->size().parameters);
    context.apply_later_stages(slot);
    return static_cast<double>(slot.linear->size().bytes) / count;
  }

  void ShareOut(const StageContext& context) {
    OtherLinears others;
    int64_t dense = 0;
    const bool whole = amount_.budget > 0 || amount_.budget_bytes > 0;
    if (whole) {
      others = context.others();
      context.for_each(
          [&](const LinearSlot& slot) { dense += slot.linear->out_features() * slot.linear->in_features(); });
      // Legs are searched at about the right size; bytes are those of fp32 at first.
      const double wanted = amount_.budget > 0
                                ? amount_.budget * static_cast<double>(others.dense_parameters) -
                                      static_cast<double>(others.size.parameters)
                                : (2 * amount_.budget_bytes * static_cast<double>(others.dense_parameters) -
                                   static_cast<double>(others.size.bytes)) /
                                      4;
      amount_.keep = std::clamp(wanted / static_cast<double>(std::max<int64_t>(1, dense)), 1e-6, 1.0);
    }
    std::vector<RateCurve> curves;
    std::vector<std::shared_ptr<const Form>> forms;
    Samples samples;
    dense = 0;
    context.for_each([&](const LinearSlot& slot) {
      forms.emplace_back();
      curves.push_back(CurveOf(slot, forms.back()));
      dense += curves.back().parameters.back();
      const std::pair shape(slot.linear->out_features(), slot.linear->in_features());
      samples.shapes.push_back(shape);
      if (amount_.budget_bytes > 0 && samples.of.count(shape) == 0) {
        samples.of[shape] = {slot.name, slot.kind, slot.block, slot.linear->Rebuild()};
      }
      if (context.progress) context.progress("spectra", static_cast<int64_t>(curves.size()));
    });
    if (curves.empty()) return;
    std::vector<size_t> choice;
    auto budget = static_cast<int64_t>(amount_.keep * static_cast<double>(dense));
    if (whole) CheckReach(others, curves, dense);
    if (amount_.budget_bytes > 0) {
      choice = ForBytes(context, others, curves, forms, samples, budget);
    } else {
      choice = Allocate(options_.allocation, curves, budget);
    }
    Take(curves, forms, choice, budget);
    if (whole) report_["allocation"]["other_parameters"] = others.size.parameters;
  }

  // A budget of the whole model that the other linears alone exceed, or that nothing reaches.
  void CheckReach(const OtherLinears& others, const std::vector<RateCurve>& curves, int64_t dense) const {
    if (amount_.budget <= 0) return;
    int64_t least = others.size.parameters;
    for (const RateCurve& curve : curves) least += curve.parameters.front();
    const auto share = [&](int64_t parameters) {
      return static_cast<double>(parameters) / static_cast<double>(others.dense_parameters);
    };
    const double low = share(least), high = share(others.size.parameters + dense);
    if (amount_.budget >= low && amount_.budget <= high) return;
    throw Error(ErrorKind::kUsage,
                {"the budget of the whole model cannot be met by these linears",
                 std::to_string(low) + " to " + std::to_string(high), std::to_string(amount_.budget), "",
                 "another selector, or another stage"});
  }

  // Parameters are worth different numbers of bytes after later stages: what they are worth is measured on
  // samples and corrected until the total fits.
  std::vector<size_t> ForBytes(const StageContext& context, const OtherLinears& others,
                               const std::vector<RateCurve>& curves,
                               const std::vector<std::shared_ptr<const Form>>& forms, const Samples& samples,
                               int64_t& budget) {
    const double wanted = 2 * amount_.budget_bytes * static_cast<double>(others.dense_parameters) -
                          static_cast<double>(others.size.bytes);
    int64_t least = 0, dense = 0;
    for (const RateCurve& curve : curves) {
      least += curve.parameters.front();
      dense += curve.parameters.back();
    }
    std::vector<size_t> choice;
    double bytes = 0;
    for (int round = 0; round < 5; ++round) {
      budget = std::clamp(budget, least, dense);
      choice = Allocate(options_.allocation, curves, budget);
      bytes = 0;
      std::map<std::pair<Shape, bool>, double> worth;  // bytes a parameter; factorized, or dense
      for (size_t i = 0; i < curves.size(); ++i) {
        const bool is_dense = choice[i] + 1 == curves[i].parameters.size();
        double& value = worth[{samples.shapes[i], is_dense}];
        if (value == 0) {
          value = BytesAParameter(context, samples.of.at(samples.shapes[i]), *forms[i],
                                  is_dense ? 0 : curves[i].parameters[choice[i]]);
        }
        bytes += value * static_cast<double>(curves[i].parameters[choice[i]]);
      }
      if (std::abs(bytes - wanted) < 1e-3 * std::abs(wanted)) break;
      budget = static_cast<int64_t>(static_cast<double>(budget) * wanted / bytes);
    }
    const auto sixteen_bits = 2 * static_cast<double>(others.dense_parameters);
    if (std::abs(bytes - wanted) > 0.01 * sixteen_bits * amount_.budget_bytes) {
      throw Error(
          ErrorKind::kUsage,
          {"the budget in bytes cannot be met by these linears",
           "the others alone take " + std::to_string(static_cast<double>(others.size.bytes) / sixteen_bits),
           std::to_string(amount_.budget_bytes), "", "another selector, or int8 or fp16 for the others"});
    }
    report_["predicted_bytes"] = static_cast<int64_t>(bytes) + others.size.bytes;
    return choice;
  }

  void Take(const std::vector<RateCurve>& curves, const std::vector<std::shared_ptr<const Form>>& forms,
            const std::vector<size_t>& choice, int64_t budget) {
    int64_t parameters = 0, kept_dense = 0;
    double loss = 0;
    for (size_t i = 0; i < curves.size(); ++i) {
      Share share;
      share.dense = choice[i] + 1 == curves[i].parameters.size();
      share.parameters = curves[i].parameters[choice[i]];
      share.form = forms[i];
      parameters += curves[i].parameters[choice[i]];
      loss += curves[i].loss[choice[i]];
      kept_dense += share.dense ? 1 : 0;
      shares_[curves[i].name] = std::move(share);
    }
    report_["allocation"] = {{"budget", budget}, {"parameters", parameters}, {"dense_linears", kept_dense}};
    if (options_.allocation != Allocation::kUniform) report_["allocation"]["predicted_loss"] = loss;
  }

  FactorizerOptions options_;
  Amount amount_;
  Metric metric_;
  std::map<std::string, Share> shares_;
  Json report_ = Json::object();
};

}  // namespace

std::unique_ptr<Stage> MakeFactorizer(FactorizerOptions options) {
  return std::make_unique<Factorizer>(std::move(options));
}

}  // namespace tnb

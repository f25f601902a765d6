// methods/ says how a model is compressed: one small file pair per stage, one list (registry.cc) that
// registers them all. A method is a recipe of stages, "mpo:keep=0.6+int8"; recipe.h reads and canonicalizes
// it. methods/ may use models/ and base/, nothing else.
//
// A Stage changes linears (factorizations) or weights (storage formats), one after the other, so that a large
// model streams through linear by linear. What a stage has to know beforehand, statistics of a calibration
// text or how a budget is shared among all linears, it finds out in Prepare.
// A RewritingStage makes another checkpoint of the model before the first linear is read. A WholeModelStage
// changes the whole compressed model at once: from the first one on, the model is held in memory. A
// CacheStage changes how keys and values are stored while the model decodes.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/engine/model.h"
#include "models/engine/statistics.h"
#include "models/training/batch.h"

namespace tnb {

// One parameter of a stage as `tnbench list methods` prints it and as values are checked against it.
struct ParameterDescription {
  enum class Type { kInteger, kReal, kChoice, kText };
  std::string name;
  Type type = Type::kText;
  std::string fallback;  // default value as text; empty: no default (optional parameter)
  std::string help;
  double least = 0, most = 0;        // kInteger, kReal: legal range, both inclusive
  std::vector<std::string> choices;  // kChoice
  // "whiten=input|fisher": the parameter (and its fallback) exists only beside one of these values;
  // "lora!=0": only beside another one. A name may be described several times, each time with another
  // condition.
  std::string when = {};
  std::string omitted = {};  // the value that means the same as none; left out of the canonical form
  // Of the parameters of one such set at most one is given, and a default stands only when none is.
  std::string alternatives = {};
};

struct StageDescription {
  std::string name;
  std::string group;    // "storage" | "factorize" | ...
  std::string summary;  // one line
  std::vector<ParameterDescription> parameters;
  std::string selector;            // default selector
  bool takes_embedding = false;    // may be applied to the embedding matrix
  bool embedding_by_name = false;  // and is only where the selector says embed: "all" does not mean it
  std::string reference;           // paper or release it follows
};

// Values of one stage of a recipe: checked, defaults filled in, sorted by name.
class StageValues {
 public:
  explicit StageValues(std::vector<std::pair<std::string, std::string>> values)
      : values_(std::move(values)) {}
  bool Has(const std::string& name) const;
  const std::string& Text(const std::string& name) const;
  int64_t Integer(const std::string& name) const;
  double Real(const std::string& name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return values_; }

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

// What a stage reports of one linear, besides sizes and the relative error, which the driver measures.
struct LinearReport {
  std::optional<double> discarded_weight;  // sum of discarded squared singular values / |W|^2
  Json detail = Json::object();            // bond dimensions, legs, predicted error ...
  // sqrt(E|Δy|² / E|y|²) on calibration data; measured by the driver when InputCovariance says how.
  std::optional<double> output_error = {};
};

// What a model is besides the linears that one stage changes: as the other stages of the recipe leave it,
// without norms.
struct OtherLinears {
  int64_t dense_parameters = 0;  // of the whole model as it comes, these linears and the others
  WeightSize size;               // of the others
};

// What a stage may look at before it is applied.
struct StageContext {
  StatisticsService* statistics = nullptr;  // null: there is no calibration here
  // The same for a stage that cannot do without: Error{kUnsupported}.
  StatisticsService& Calibration() const;
  bool down = false;  // the stage will be applied to some down projection
  // Calls `visit` with every linear that the stage will be applied to, in order, as the stages before it
  // leave it.
  std::function<void(const std::function<void(const LinearSlot&)>& visit)> for_each;
  std::function<void(const std::string& title, int64_t done)> progress;  // linears; may be empty
  // Goes through the model block by block (statistics.h), as the stages before leave it, and calls `change`
  // with every linear that the stage will be applied to, and `finish`, which may be empty, after each block;
  // what they change, later blocks see. What was visited, for the record.
  std::function<Json(const StatisticsRequest& request,
                     const std::function<void(LinearSlot& slot, const Statistics& inputs)>& change,
                     const std::function<void(const ChangedBlock& block, const Statistics& inputs)>& finish)>
      walk;
  // For budgets of the whole model. Stages that come later have not been prepared: Error{kUnsupported} when
  // one of them is calibrated.
  std::function<OtherLinears()> others;
  std::function<void(LinearSlot& slot)> apply_later_stages;
  // Contents of a file that a parameter named.
  std::function<std::string(const std::string& name)> read_file;
};

class Stage {
 public:
  virtual ~Stage() = default;
  // Called once before the first Apply by whoever compresses a model. A stage that cannot do without says so
  // in Apply (Error{kInternal}).
  virtual void Prepare(const StageContext&) {}
  // What Prepare found, for the record: calibration texts, budget.
  virtual Json Report() const { return Json::object(); }
  // Changes slot.linear (replaces it, or replaces its weights). Deterministic. Errors name the legal range.
  virtual LinearReport Apply(LinearSlot& slot) const = 0;
  // E[x xᵀ] of the inputs of a linear when the stage knows it, else undefined: what output errors are
  // reported in.
  virtual at::Tensor InputCovariance(const LinearSlot&) const { return {}; }
  // Whether the stage moves factors between norms and linears, so that inputs of linears are others after it.
  virtual bool MovesFactors() const { return false; }
  // Changes the gain of a norm (fp32) where the stage moves factors into it; `name` as in a checkpoint.
  virtual void ApplyToNorm(const std::string& name, at::Tensor& gain) const;
  // What a matrix [out, in] that stands for the linear after this stage was before factors moved: for the
  // errors that are reported.
  virtual at::Tensor WithFactorsBack(const LinearSlot&, const at::Tensor& w) const { return w; }
};

// A stage that makes another checkpoint of the whole model, and changes no linear by itself. Such stages
// stand at the beginning of a recipe and take no selector.
class RewritingStage : public Stage {
 public:
  virtual std::shared_ptr<const Checkpoint> Rewrite(std::shared_ptr<const Checkpoint> source) const = 0;
  LinearReport Apply(LinearSlot&) const final { return {}; }
};

// A stage that changes no linear but the format of the key-value cache, which is a part of the artefact. A
// recipe has one at most; it takes no selector.
class CacheStage : public Stage {
 public:
  virtual CacheCodecPtr Codec(const ModelConfig& config) const = 0;
  LinearReport Apply(LinearSlot&) const final { return {}; }
};

// sqrt(tr(D H Dᵀ) / tr(W H Wᵀ)): how much of a linear's output an error D of its matrix W [out, in] is, by
// the covariance H = E[x xᵀ] of its inputs.
double RelativeOutputError(const at::Tensor& difference, const at::Tensor& w, const at::Tensor& covariance);

// A text to train on, as the model's tokenizer reads it.
struct TrainingText {
  std::vector<TrainingDocument> documents;
  Json identity;  // for the record: name, hashes of text and tokenizer, documents, tokens
};

// What a stage may use that changes the whole model.
struct WholeModelContext {
  ModelParts original;  // the uncompressed model, as the rewriting stages made it
  std::function<TrainingText(const std::string& name)> text;
  std::function<bool(const LinearSlot& slot)> selected;  // by the stage's selector
  // Call with every linear whose stored form has changed in kind or size, and what it was as a matrix
  // [out, in], for the record; may be empty.
  std::function<void(const LinearSlot& slot, const at::Tensor& before)> changed;
  // What the stage's result depends on besides the model at hand, its own values and the text: the original.
  std::string identity;
  std::filesystem::path checkpoint;     // where an unfinished training is kept; empty: nowhere
  double checkpoint_seconds = 120;      // how often
  std::function<int64_t()> peak_bytes;  // of this process; may be empty
  std::function<void(const std::string& title, int64_t done, int64_t total, const std::string& unit)>
      progress;
};

// A stage that changes the whole model, as the stages before left it. Any stages may follow; those with
// statistics see the changed model.
class WholeModelStage : public Stage {
 public:
  // Returns what it did, for the record.
  virtual Json ApplyToModel(Model& model, const WholeModelContext& context) const = 0;
  LinearReport Apply(LinearSlot&) const final { return {}; }
};

// The maker of a stage that is constructed from its values.
template <typename T>
std::unique_ptr<Stage> MakeStage(const StageValues& values) {
  return std::make_unique<T>(values);
}

// Name, description and maker of a stage: one entry of the list in registry.cc.
struct StageEntry {
  StageDescription description;
  std::unique_ptr<Stage> (*make)(const StageValues& values);
};

const std::vector<StageEntry>& StageRegistry();
// Error{kUsage} with the nearest names.
const StageEntry& FindStage(const std::string& name);

}  // namespace tnb

// methods/ says how a model is compressed: one small file pair per stage, one list (registry.cc) that
// registers them all. A method is a recipe of stages, "mpo:keep=0.6+int8"; recipe.h reads and canonicalizes
// it. methods/ may use models/ and base/, nothing else.
//
// A Stage changes linears (factorizations) or weights (storage formats). Most are local: each linear is
// compressed without looking at the rest of the model, so that a large model streams through linear by
// linear. A RewritingStage makes another checkpoint of the model before the first linear is read.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/engine/model.h"

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
};

struct StageDescription {
  std::string name;
  std::string group;    // "storage" | "factorize" | ...
  std::string summary;  // one line
  std::vector<ParameterDescription> parameters;
  std::string selector;          // default selector
  bool takes_embedding = false;  // may be applied to the embedding matrix
  bool rewrites = false;         // a RewritingStage
  std::string reference;         // paper or release it follows
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
};

class Stage {
 public:
  virtual ~Stage() = default;
  // Changes slot.linear (replaces it, or replaces its weights). Deterministic. Errors name the legal range.
  virtual LinearReport Apply(LinearSlot& slot) const = 0;
};

// A stage that makes another checkpoint of the whole model, and changes no linear by itself. Such stages
// stand at the beginning of a recipe and take no selector.
class RewritingStage : public Stage {
 public:
  virtual std::shared_ptr<const Checkpoint> Rewrite(std::shared_ptr<const Checkpoint> source) const = 0;
  LinearReport Apply(LinearSlot&) const final { return {}; }
};

// Name, description and maker of a stage: one entry of the list in registry.cc.
struct StageEntry {
  StageDescription description;
  std::unique_ptr<Stage> (*make)(const StageValues& values);
};

const std::vector<StageEntry>& StageRegistry();
// Error{kUsage} with the nearest names.
const StageEntry& FindStage(const std::string& name);

}  // namespace tnb

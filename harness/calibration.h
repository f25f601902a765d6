// Calibration texts and the statistics made of them: found by name, known by hash, computed once and kept
// beside the artefacts, so that several methods share them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "harness/phase.h"
#include "methods/stage.h"
#include "models/engine/statistics.h"

namespace tnb {

struct CalibrationText {
  std::string name;    // as the method says it
  std::string path;    // absolute
  std::string sha256;  // of the file
};

// A file by name: a path, or relative to `data_dir`, the folder of fetched data or the current folder.
// Error{kIo} with a hint when it is missing.
CalibrationText FindCalibrationText(const std::string& name, const std::filesystem::path& data_dir);
// The files that a method (canonical or not) asks for, texts and layer profiles, in order; empty for a method
// without calibration.
std::vector<CalibrationText> CalibrationTexts(const std::string& method,
                                              const std::filesystem::path& data_dir);

// Those in a worker's spec.
std::vector<CalibrationText> CalibrationTextsOf(const Json& spec);

// The first `count` windows of `length` tokens of a text, tokenized once, without BOS. Error{kData} when the
// text is too short.
std::vector<TokenIds> CalibrationWindows(const CalibrationText& text, const Tokenizer& tokenizer,
                                         int64_t count, int64_t length);

// Computes statistics with the worker's progress, or reads those kept in `folder`
// ("statistics-HASH.safetensors", about 4 bytes an element of every covariance).
class CalibrationService : public StatisticsService {
 public:
  // `rewritten`: the stages that made `parts` out of the model of `source`; empty without.
  CalibrationService(ModelParts parts, ModelSource source, std::string rewritten,
                     std::vector<CalibrationText> texts, std::filesystem::path folder, Emitter& emit);
  std::shared_ptr<const Statistics> Get(const StatisticsRequest& request) override;
  Json Visit(const StatisticsRequest& request, const Walk& walk) override;
  std::string FileContents(const std::string& name) override;
  // The same text to train on (harness/training_text.h).
  TrainingText Training(const std::string& name);
  // The same texts for a model that was made of this one; `model`: what tells it from all others.
  CalibrationService For(ModelParts parts, const std::string& model) const;

 private:
  const CalibrationText& Text(const std::string& name) const;
  const Tokenizer& tokenizer();

  ModelParts parts_;
  ModelSource source_;
  std::string rewritten_;
  std::vector<CalibrationText> texts_;
  std::filesystem::path folder_;
  Emitter& emit_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace tnb

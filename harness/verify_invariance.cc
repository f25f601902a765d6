// The log-probabilities of some random token sequences, computed one sequence after the other in one piece,
// and again in other batches, through the cache in pieces and token by token, and with one thread.
//
// Dense linears promise the same bits whatever the way (models/engine/decoder.h). Factorized ones choose
// between contracting and rebuilding by the number of tokens, which rounds in other places: with fp32 cores
// that is the noise of fp32 arithmetic, with coarser activations (bf16, int8) it is the rounding of the
// activations, which only the contracted way does.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <random>

#include "base/error.h"
#include "harness/cell.h"
#include "harness/command.h"
#include "harness/verification.h"
#include "harness/weight_supply.h"
#include "models/engine/codebook.h"
#include "models/engine/decoder.h"
#include "models/engine/parallel.h"
#include "models/known.h"

namespace tnb {
namespace {

// Odd lengths around the sizes that kernels treat in one piece (16, 32, 64).
constexpr int64_t kLengths[] = {1, 2, 15, 33, 65, 100};
// In nats: the rounding of fp32 through all blocks, and that of activations. Found for mpo on stories260K:
// 4e-5 with fp32 cores, 0.23 with bf16, 0.94 with int8 ones.
constexpr double kFloatTolerance = 1e-3, kCoarseTolerance = 1;

// `count` tokens of a sequence that are computed now.
struct Piece {
  size_t sequence = 0;
  int64_t count = 0;
};
// Batches one after the other.
using Schedule = std::vector<std::vector<Piece>>;

class Prober {
 public:
  Prober(const Model& model, int64_t seed)
      : decoder_(model), cache_(model.config, Capacity(model.config), at::kCPU, model.cache) {
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    std::uniform_int_distribution<TokenId> any(0, static_cast<TokenId>(model.config.vocabulary_size - 1));
    for (const int64_t length : kLengths) {
      sequences_.emplace_back(static_cast<size_t>(std::min(length, model.config.context_length)));
      for (TokenId& token : sequences_.back()) token = any(random);
    }
  }

  size_t count() const { return sequences_.size(); }
  int64_t length(size_t sequence) const { return static_cast<int64_t>(sequences_[sequence].size()); }

  // Log-probabilities [tokens of all sequences, vocabulary] after every token, sequence by sequence.
  at::Tensor Run(const Schedule& schedule) {
    const c10::InferenceMode mode;
    std::vector<std::vector<at::Tensor>> rows(count());
    std::vector<std::vector<CacheSpan>> past(count());
    std::vector<int64_t> fed(count(), 0);
    for (const std::vector<Piece>& batch : schedule) {
      std::vector<TokenRun> runs;
      for (const Piece& piece : batch) {
        TokenRun run;
        const auto first = sequences_[piece.sequence].begin() + fed[piece.sequence];
        run.tokens.assign(first, first + piece.count);
        run.past = past[piece.sequence];
        run.own = cache_.Allocate(piece.count);
        past[piece.sequence].insert(past[piece.sequence].end(), run.own.begin(), run.own.end());
        fed[piece.sequence] += piece.count;
        runs.push_back(std::move(run));
      }
      std::vector<int64_t> all;
      for (const Piece& piece : batch) {
        for (int64_t i = 0; i < piece.count; ++i) all.push_back(static_cast<int64_t>(all.size()));
      }
      const at::Tensor logits = decoder_.Logits(decoder_.Forward(runs, cache_, all));
      int64_t begin = 0;
      for (const Piece& piece : batch) {
        rows[piece.sequence].push_back(logits.narrow(0, begin, piece.count));
        begin += piece.count;
      }
    }
    std::vector<at::Tensor> sequences;
    for (size_t i = 0; i < count(); ++i) {
      cache_.Release(past[i]);
      if (fed[i] != length(i)) throw Error(ErrorKind::kInternal, "a schedule left tokens out");
      sequences.push_back(at::cat(rows[i]));
    }
    return at::log_softmax(at::cat(sequences), 1);
  }

 private:
  static int64_t Capacity(const ModelConfig& config) {
    int64_t sum = 0;
    for (const int64_t length : kLengths) sum += std::min(length, config.context_length);
    return sum;
  }

  Decoder decoder_;
  KvCache cache_;
  std::vector<TokenIds> sequences_;
};

Schedule Alone(const Prober& prober) {
  Schedule schedule;
  for (size_t i = 0; i < prober.count(); ++i) schedule.push_back({{i, prober.length(i)}});
  return schedule;
}

Schedule Together(const Prober& prober) {
  Schedule schedule(1);
  for (size_t i = 0; i < prober.count(); ++i) schedule[0].push_back({i, prober.length(i)});
  return schedule;
}

// Pieces of 1, 2, 3 ... tokens of all sequences together: prompts and single tokens share batches, and the
// cache holds every sequence in many places.
Schedule Pieces(const Prober& prober) {
  Schedule schedule;
  std::vector<int64_t> left(prober.count());
  for (size_t i = 0; i < left.size(); ++i) left[i] = prober.length(i);
  for (int64_t step = 0; *std::max_element(left.begin(), left.end()) > 0; ++step) {
    std::vector<Piece> batch;
    for (size_t i = 0; i < left.size(); ++i) {
      const int64_t count = std::min<int64_t>(left[i], 1 + (step + 5 * static_cast<int64_t>(i)) % 23);
      if (count > 0) batch.push_back({i, count});
      left[i] -= count;
    }
    schedule.push_back(batch);
  }
  return schedule;
}

// One token a batch.
Schedule OneByOne(const Prober& prober) {
  Schedule schedule;
  for (size_t i = 0; i < prober.count(); ++i) {
    for (int64_t token = 0; token < prober.length(i); ++token) schedule.push_back({{i, 1}});
  }
  return schedule;
}

// One token of every sequence that has one left.
Schedule StepByStep(const Prober& prober) {
  Schedule schedule;
  for (int64_t token = 0;; ++token) {
    std::vector<Piece> batch;
    for (size_t i = 0; i < prober.count(); ++i) {
      if (token < prober.length(i)) batch.push_back({i, 1});
    }
    if (batch.empty()) return schedule;
    schedule.push_back(batch);
  }
}

double Tolerance(const Model& model) {
  double tolerance = 0;
  for (const LinearSlot* slot : model.Slots()) {
    for (int64_t i = 0; i < slot->linear->weight_count(); ++i) {
      const Weight& weight = *slot->linear->weight(i);
      if (!slot->linear->factorized() && !MultipliesByTables(weight)) continue;
      const bool coarse = weight.activation() != Activation::kF32;
      tolerance = std::max(tolerance, coarse ? kCoarseTolerance : kFloatTolerance);
    }
  }
  return tolerance;
}

struct VerifyInvarianceOptions {
  std::string models = kDefaultModel, methods = "fp32,bf16,int8,int4", weights = "checkpoint";
  int64_t seed = 0;
  int threads = 0;
};

std::vector<MeasurementRow> VerifyModel(const Model& model, const std::string& subject,
                                        const VerifyInvarianceOptions& options) {
  const int most = options.threads > 0 ? options.threads : std::max(2, Threads());
  const double tolerance = Tolerance(model);
  Prober prober(model, options.seed);
  std::vector<MeasurementRow> rows;
  SetThreads(most);
  const at::Tensor whole = prober.Run(Alone(prober)), best = whole.argmax(1);
  const auto check = [&](const char* name, int threads, const Schedule& schedule) {
    SetThreads(threads);
    const at::Tensor other = prober.Run(schedule);
    rows.push_back({.subject = subject,
                    .name = name,
                    .settings = {{"threads", threads}, {"threads_of_base", most}, {"seed", options.seed}},
                    .value = (other - whole).abs().max().item<double>(),
                    .unit = "nats",
                    .tolerance = tolerance,
                    .detail = {{"n", whole.size(0)},
                               {"of", "tokens"},
                               {"values", whole.numel()},
                               {"values_changed", other.ne(whole).sum().item<int64_t>()},
                               {"greedy_changed", other.argmax(1).ne(best).sum().item<int64_t>()}}});
  };
  check("threads", 1, Alone(prober));
  check("batch", most, Together(prober));
  check("pieces", most, Pieces(prober));
  check("decode", most, OneByOne(prober));
  check("batched decode", most, StepByStep(prober));
  SetThreads(most);
  return rows;
}

Findings VerifyInvariance(const VerifyInvarianceOptions& options) {
  RunRequest request = {.methods = options.methods, .phases = {"compress"}};
  request.models = SplitList(options.models, "--model");
  request.seed = options.seed;
  request.random_weights = options.weights == "random";
  request.base.clear();
  const Plan plan = ExpandCells(request);
  for (const PlannedCell& cell : plan.cells) {
    if (!DataNames(ParseRecipe(cell.method)).empty()) {
      throw Error(ErrorKind::kUnsupported, cell.label + " needs a calibration text, which is not read here",
                  "the linears that it makes are those of the same method without calibration");
    }
  }
  std::vector<MeasurementRow> rows;
  for (const PlannedCell& cell : plan.cells) {
    Recipe recipe = ParseRecipe(cell.method);
    const Subject& subject = *cell.subject;
    const WeightSupply supply(subject.config,
                              {.name = subject.name,
                               .path = subject.path,
                               .hash = subject.hash,
                               .tokenizer = {},
                               .random_weights = subject.random},
                              static_cast<uint64_t>(options.seed), recipe);
    const Model model = CompressInMemory(supply, recipe);
    const std::string text = subject.name + (subject.random ? " (random weights) " : " ") + cell.label;
    for (MeasurementRow& row : VerifyModel(model, text, options)) {
      row.detail["method"] = cell.method;
      row.detail["model_hash"] = subject.hash;
      rows.push_back(std::move(row));
    }
  }
  return {.protocol =
              "Deviations are |differences| of the log-probabilities of all words of the vocabulary after a "
              "token, from those of each sequence alone in one piece; " +
              std::to_string(std::size(kLengths)) + " sequences of 1 to " +
              std::to_string(kLengths[std::size(kLengths) - 1]) + " random tokens, seed " +
              std::to_string(options.seed) + ".",
          .rows = std::move(rows),
          .tables = {}};
}

}  // namespace

Verification DeclareInvariance(OptionList& command) {
  auto options = std::make_shared<VerifyInvarianceOptions>();
  command.Add("--model", options->models, "names or paths, comma-separated").ShowDefault();
  command.Add("--method", options->methods, "methods without calibration, comma-separated").ShowDefault();
  command.Add("--weights", options->weights, "checkpoint, or random weights in the model's shape")
      .OneOf({"checkpoint", "random"})
      .ShowDefault();
  command.Add("--seed", options->seed, "of token ids and random weights").ShowDefault();
  command.Add("--threads", options->threads, "compared with one; 0: one a logical core, at least 2")
      .Between(0, 4096)
      .ShowDefault();
  return [options] { return VerifyInvariance(*options); };
}

}  // namespace tnb

#include "models/engine/beam_search.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <list>
#include <memory>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "models/engine/generation.h"
#include "models/engine/ops.h"

namespace tnb {
namespace {

// Tokens that one or several beams have fed; the slots go back when no beam needs them any more.
struct Node {
  KvCache* cache = nullptr;
  std::shared_ptr<Node> parent;
  std::vector<CacheSpan> spans;

  Node(KvCache* owner, std::shared_ptr<Node> before, int64_t count)
      : cache(owner), parent(std::move(before)), spans(owner->Allocate(count)) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node() {
    cache->Release(spans);
    // One after the other: a chain as long as the answer would recurse as deep.
    while (parent != nullptr && parent.use_count() == 1) parent = std::exchange(parent->parent, nullptr);
  }
};

struct Beam {
  std::shared_ptr<Node> fed;  // null before the prompt was fed
  TokenIds next;              // to be fed
  TokenIds generated;
  double score = 0;  // summed log-likelihood
};

struct Finished {
  TokenIds tokens;
  double score = 0;  // by token
  std::string how;
};

struct Search {
  size_t index = 0;
  const GenerateRequest* request = nullptr;
  std::vector<Beam> beams;         // running, best first
  std::vector<Finished> finished;  // best first
};

struct Candidate {
  size_t beam;
  TokenId token;
  double score;
};

class BeamSearch {
 public:
  BeamSearch(const Decoder& decoder, const Tokenizer& tokenizer, KvCache& cache,
             const DecoderModelOptions& options, const std::vector<GenerateRequest>& requests,
             const std::vector<size_t>& order, const GenerateSink& sink)
      : decoder_(decoder),
        tokenizer_(tokenizer),
        cache_(cache),
        options_(options),
        requests_(requests),
        order_(order),
        sink_(sink),
        ends_(tokenizer.EndOfGeneration()) {}

  void Run() {
    while (waiting_ < order_.size() || !active_.empty()) {
      Admit();
      Step();
    }
  }

 private:
  void Admit() {
    int64_t tokens = 0, beams = 0;
    for (const Search& search : active_) beams += search.request->beams;
    while (waiting_ < order_.size()) {
      const GenerateRequest& request = requests_[order_[waiting_]];
      const auto length = static_cast<int64_t>(request.prompt.size());
      if (length == 0 || request.max_new_tokens < 1 ||
          length + request.max_new_tokens > options_.context_length ||
          SlotsNeeded(request) > cache_.capacity()) {
        throw Error(ErrorKind::kInternal, "a beam search does not fit: prompt of " + std::to_string(length) +
                                              " tokens, " + std::to_string(request.max_new_tokens) +
                                              " new ones, " + std::to_string(request.beams) +
                                              " beams, cache of " + std::to_string(cache_.capacity()));
      }
      const bool crowded = beams + request.beams > options_.sequences ||
                           reserved_ + SlotsNeeded(request) > cache_.capacity() ||
                           (tokens > 0 && tokens + length > options_.batch_tokens);
      if (crowded && !active_.empty()) return;
      reserved_ += SlotsNeeded(request);
      tokens += length;
      beams += request.beams;
      Search search;
      search.index = order_[waiting_++];
      search.request = &request;
      search.beams.push_back({nullptr, request.prompt, {}, 0});
      active_.push_back(std::move(search));
    }
  }

  void Step() {
    std::vector<TokenRun> runs;
    std::vector<int64_t> rows;
    int64_t row = 0;
    for (Search& search : active_) {
      for (Beam& beam : search.beams) {
        TokenRun run;
        run.tokens = beam.next;
        for (const Node* node = beam.fed.get(); node != nullptr; node = node->parent.get()) {
          run.past.insert(run.past.begin(), node->spans.begin(), node->spans.end());
        }
        const auto count = static_cast<int64_t>(beam.next.size());
        beam.fed = std::make_shared<Node>(&cache_, std::move(beam.fed), count);
        run.own = beam.fed->spans;
        row += count;
        rows.push_back(row - 1);
        runs.push_back(std::move(run));
      }
    }
    const at::Tensor logits = decoder_.Logits(decoder_.Forward(runs, cache_, rows)).to(at::kCPU);
    int64_t first = 0;
    for (auto search = active_.begin(); search != active_.end();) {
      const auto beams = static_cast<int64_t>(search->beams.size());
      if (Advance(*search, logits.narrow(0, first, beams))) {
        Report(*search);
        search = active_.erase(search);
      } else {
        ++search;
      }
      first += beams;
    }
  }

  bool IsEnd(TokenId token) const { return std::find(ends_.begin(), ends_.end(), token) != ends_.end(); }

  // The best continuations of all beams, best first; of equal ones the earlier beam and the smaller token.
  std::vector<Candidate> Rank(const Search& search, const at::Tensor& logits) const {
    const auto keep = static_cast<size_t>(search.request->beams) * std::max<size_t>(2, 1 + ends_.size());
    const bool may_end =
        static_cast<int64_t>(search.beams[0].generated.size()) >= search.request->min_new_tokens;
    const int64_t wanted = std::min<int64_t>(logits.size(1), static_cast<int64_t>(keep + ends_.size()));
    const std::vector<RowSummary> summaries = Summarize(logits);
    const auto [values, tokens] = logits.topk(wanted, 1);
    const auto value = values.accessor<float, 2>();
    const auto token = tokens.accessor<int64_t, 2>();
    std::vector<Candidate> candidates;
    for (size_t b = 0; b < search.beams.size(); ++b) {
      const auto row = static_cast<int64_t>(b);
      for (int64_t i = 0; i < wanted; ++i) {
        const auto id = static_cast<TokenId>(token[row][i]);
        if (!may_end && IsEnd(id)) continue;
        candidates.push_back(
            {b, id, search.beams[b].score + double{value[row][i]} - summaries[b].log_sum_exp});
      }
    }
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& x, const Candidate& y) {
      return std::tuple(-x.score, x.beam, x.token) < std::tuple(-y.score, y.beam, y.token);
    });
    if (candidates.size() > keep) candidates.resize(keep);
    return candidates;
  }

  // How a continuation ends; "" when it does not.
  std::string Ending(const GenerateRequest& request, const TokenIds& tokens) const {
    if (IsEnd(tokens.back())) return "eos";
    if (!request.stop.empty()) {
      StopWatch watch(tokenizer_, request);
      if (watch.AddAll(tokens)) return "stop";
    }
    return static_cast<int64_t>(tokens.size()) >= request.max_new_tokens ? "length" : "";
  }

  // True when the search is over.
  bool Advance(Search& search, const at::Tensor& logits) {
    const auto width = static_cast<size_t>(search.request->beams);
    const std::vector<Candidate> candidates = Rank(search, logits);
    std::vector<Beam> next;
    for (size_t i = 0; i < candidates.size() && (i < width || next.size() < width); ++i) {
      const Candidate& candidate = candidates[i];
      const Beam& parent = search.beams[candidate.beam];
      TokenIds tokens = parent.generated;
      tokens.push_back(candidate.token);
      const std::string ending = Ending(*search.request, tokens);
      if (ending.empty()) {
        if (next.size() < width) next.push_back({parent.fed, {candidate.token}, tokens, candidate.score});
      } else if (i < width) {
        const double score = candidate.score / static_cast<double>(tokens.size());
        search.finished.push_back({std::move(tokens), score, ending});
      }
    }
    std::stable_sort(search.finished.begin(), search.finished.end(),
                     [](const Finished& x, const Finished& y) { return x.score > y.score; });
    if (search.finished.size() > width) search.finished.resize(width);
    search.beams = std::move(next);
    return search.finished.size() >= width || search.beams.empty();
  }

  void Report(Search& search) {
    search.beams.clear();
    reserved_ -= SlotsNeeded(*search.request);
    if (search.finished.empty()) throw Error(ErrorKind::kInternal, "a beam search ended without an answer");
    Finished& best = search.finished.front();
    StopWatch watch(tokenizer_, *search.request);
    TokenIds spoken = best.tokens;
    if (best.how == "eos") spoken.pop_back();
    watch.AddAll(spoken);
    sink_(search.index, {watch.Text(), best.tokens, best.how});
  }

  const Decoder& decoder_;
  const Tokenizer& tokenizer_;
  KvCache& cache_;
  const DecoderModelOptions& options_;
  const std::vector<GenerateRequest>& requests_;
  const std::vector<size_t>& order_;
  const GenerateSink& sink_;
  const std::vector<TokenId> ends_;
  std::list<Search> active_;
  size_t waiting_ = 0;
  int64_t reserved_ = 0;
};

}  // namespace

void BeamSearchAll(const Decoder& decoder, const Tokenizer& tokenizer, KvCache& cache,
                   const DecoderModelOptions& options, const std::vector<GenerateRequest>& requests,
                   const std::vector<size_t>& order, const GenerateSink& sink) {
  BeamSearch(decoder, tokenizer, cache, options, requests, order, sink).Run();
}

}  // namespace tnb

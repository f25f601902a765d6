#include "models/engine/scorer.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "models/engine/generation.h"
#include "models/engine/ops.h"

namespace tnb {
namespace {

// Rows of logits made at a time: 64 rows of 49,152 values are 13 MB, which stay in the last-level cache.
constexpr int64_t kLogitRows = 64;

// A stretch of tokens that one or several requests share: a node of the prefix tree, in depth-first order.
struct Node {
  int64_t parent = -1;
  int64_t depth = 0;  // tokens before it
  TokenIds tokens;
  std::vector<CacheSpan> own;
  int64_t waiting = 0;  // children whose subtrees are not done yet
};

// One number to be read: after token `offset` of `node` (the row that predicts the next token).
struct Reading {
  int64_t node;
  int64_t offset;
  size_t request;
  TokenId target;
};

struct PrefixTree {
  std::vector<Node> nodes;
  std::vector<Reading> readings;  // by node, then offset
};

int64_t CommonPrefix(const TokenIds& a, const TokenIds& b) {
  const auto count = static_cast<int64_t>(std::min(a.size(), b.size()));
  int64_t same = 0;
  while (same < count && a[static_cast<size_t>(same)] == b[static_cast<size_t>(same)]) ++same;
  return same;
}

// Builds the tree of all fed tokens (a request's last token is only predicted). `limit` is the longest node.
class TreeBuilder {
 public:
  TreeBuilder(const std::vector<ScoreRequest>& requests, int64_t limit) : limit_(limit) {
    std::vector<size_t> order(requests.size());
    std::iota(order.begin(), order.end(), 0);
    std::vector<TokenIds> fed(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      fed[i] = TokenIds(requests[i].tokens.begin(), requests[i].tokens.end() - 1);
    }
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return fed[a] != fed[b] ? fed[a] < fed[b] : a < b; });
    // In sorted order a path shares with the one before exactly what it shares with any path so far. Nodes
    // are cut where some pair of neighbors parts, so that no node has to be split later.
    std::vector<int64_t> shared(order.size() + 1, 0);
    for (size_t i = 1; i < order.size(); ++i) shared[i] = CommonPrefix(fed[order[i - 1]], fed[order[i]]);
    for (size_t i = 0; i < order.size(); ++i) {
      const TokenIds& path = fed[order[i]];
      while (!path_.empty() && End(path_.back()) > shared[i]) path_.pop_back();
      const std::vector<int64_t> cuts = Cuts(shared, i, static_cast<int64_t>(path.size()));
      for (const int64_t cut : cuts) {
        const int64_t begin = path_.empty() ? 0 : End(path_.back());
        if (cut > begin) Extend(path, begin, cut);
      }
      AddReadings(requests[order[i]], order[i]);
    }
    std::stable_sort(tree_.readings.begin(), tree_.readings.end(), [](const Reading& a, const Reading& b) {
      return a.node != b.node ? a.node < b.node : a.offset < b.offset;
    });
  }

  PrefixTree Take() { return std::move(tree_); }

 private:
  int64_t End(int64_t node) const {
    const Node& n = tree_.nodes[static_cast<size_t>(node)];
    return n.depth + static_cast<int64_t>(n.tokens.size());
  }

  // Lengths at which the following paths leave path i, ascending, ending with its own length.
  static std::vector<int64_t> Cuts(const std::vector<int64_t>& shared, size_t i, int64_t length) {
    std::vector<int64_t> cuts{length};
    int64_t common = length;
    for (size_t next = i + 1; next + 1 < shared.size() && common > shared[i]; ++next) {
      common = std::min(common, shared[next]);
      if (common < cuts.back() && common > shared[i]) cuts.push_back(common);
    }
    std::reverse(cuts.begin(), cuts.end());
    return cuts;
  }

  void Extend(const TokenIds& path, int64_t begin, int64_t end) {
    for (; begin < end; begin = std::min(begin + limit_, end)) {
      Node node;
      node.parent = path_.empty() ? -1 : path_.back();
      node.depth = begin;
      node.tokens.assign(path.begin() + begin, path.begin() + std::min(begin + limit_, end));
      if (node.parent >= 0) ++tree_.nodes[static_cast<size_t>(node.parent)].waiting;
      path_.push_back(static_cast<int64_t>(tree_.nodes.size()));
      tree_.nodes.push_back(std::move(node));
      if (begin + limit_ >= end) break;
    }
  }

  void AddReadings(const ScoreRequest& request, size_t index) {
    size_t at = 0;
    for (int64_t i = request.first_scored; i < static_cast<int64_t>(request.tokens.size()); ++i) {
      while (End(path_[at]) < i) ++at;  // the row of token i - 1 predicts token i
      const Node& node = tree_.nodes[static_cast<size_t>(path_[at])];
      tree_.readings.push_back(
          {path_[at], i - 1 - node.depth, index, request.tokens[static_cast<size_t>(i)]});
    }
  }

  int64_t limit_;
  PrefixTree tree_;
  std::vector<int64_t> path_;  // nodes from the root to the current path's end
};

// An eighth of the machine's memory. No result depends on it: with less, fewer sequences are decoded
// together.
int64_t CacheBudget() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) / 8 * static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
}

class DecoderModel : public LanguageModel {
 public:
  DecoderModel(const Decoder& decoder, std::shared_ptr<const Tokenizer> tokenizer,
               const DecoderModelOptions& options)
      : decoder_(decoder), tokenizer_(std::move(tokenizer)), options_(options) {
    if (options_.context_length == 0) options_.context_length = decoder.model().config.context_length;
  }

  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  int64_t context_length() const override { return options_.context_length; }

  void Score(const std::vector<ScoreRequest>& requests, const ScoreSink& sink) override {
    if (requests.empty()) return;
    for (const ScoreRequest& request : requests) Check(request);
    PrefixTree tree = TreeBuilder(requests, options_.batch_tokens).Take();
    std::vector<Pending> pending(requests.size());
    for (const Reading& reading : tree.readings) ++pending[reading.request].left;
    int64_t longest = 0;
    for (const ScoreRequest& request : requests)
      longest = std::max(longest, static_cast<int64_t>(request.tokens.size()));
    // One path through the tree and the batch that is being computed.
    KvCache& cache = Cache(longest + options_.batch_tokens);
    size_t next = 0, next_reading = 0;
    while (next < tree.nodes.size()) {
      const size_t first = next;
      std::vector<TokenRun> runs;
      int64_t tokens = 0;
      while (next < tree.nodes.size()) {
        Node& node = tree.nodes[next];
        const auto count = static_cast<int64_t>(node.tokens.size());
        if ((tokens > 0 && tokens + count > options_.batch_tokens) || count > cache.free_slots()) break;
        node.own = cache.Allocate(count);
        TokenRun run;
        run.tokens = node.tokens;
        run.own = node.own;
        for (int64_t up = node.parent; up >= 0; up = tree.nodes[static_cast<size_t>(up)].parent) {
          const auto& spans = tree.nodes[static_cast<size_t>(up)].own;
          run.past.insert(run.past.begin(), spans.begin(), spans.end());
        }
        runs.push_back(std::move(run));
        tokens += count;
        ++next;
      }
      if (runs.empty())
        throw Error(ErrorKind::kInternal, "the key-value cache cannot hold one path of requests");
      ReadBatch(tree, first, next, runs, cache, next_reading, pending, sink);
      for (size_t i = first; i < next; ++i) Finish(tree, static_cast<int64_t>(i), cache);
    }
  }

  void Generate(const std::vector<GenerateRequest>& requests, const GenerateSink& sink) override {
    if (requests.empty()) return;
    int64_t longest = 0, all = 0;
    for (const GenerateRequest& request : requests) {
      longest = std::max(longest, SlotsNeeded(request));
      all += SlotsNeeded(request);
    }
    const int64_t token_bytes = CacheTokenBytes(decoder_.model().config, decoder_.model().cache);
    const int64_t together = std::min({all, longest * options_.sequences, CacheBudget() / token_bytes});
    GenerateAll(decoder_, *tokenizer_, Cache(std::max(longest, together)), options_, requests, sink);
  }

 private:
  struct Pending {
    int64_t left = 0;
    ScoreResult result{0.0, true};
  };

  // Empty between calls, so that a larger one can take its place.
  KvCache& Cache(int64_t least) {
    if (options_.cache_tokens > 0) least = options_.cache_tokens;
    if (!cache_ || cache_->capacity() < least) {
      cache_.reset();
      cache_ = std::make_unique<KvCache>(decoder_.model().config, least, decoder_.device(),
                                         decoder_.model().cache);
    }
    return *cache_;
  }

  void Check(const ScoreRequest& request) const {
    const auto size = static_cast<int64_t>(request.tokens.size());
    if (request.first_scored < 1 || request.first_scored >= size || size > options_.context_length + 1) {
      throw Error(ErrorKind::kInternal, "a score request has " + std::to_string(size) +
                                            " tokens, first scored " + std::to_string(request.first_scored) +
                                            ", context " + std::to_string(options_.context_length));
    }
  }

  // Computes the nodes [first, last) and gives their readings to the requests.
  void ReadBatch(const PrefixTree& tree, size_t first, size_t last, const std::vector<TokenRun>& runs,
                 KvCache& cache, size_t& next_reading, std::vector<Pending>& pending, const ScoreSink& sink) {
    std::vector<int64_t> node_rows;
    int64_t row = 0;
    for (size_t i = first; i < last; ++i) {
      node_rows.push_back(row);
      row += static_cast<int64_t>(tree.nodes[i].tokens.size());
    }
    const size_t begin = next_reading;
    std::vector<int64_t> rows;
    for (;
         next_reading < tree.readings.size() && tree.readings[next_reading].node < static_cast<int64_t>(last);
         ++next_reading) {
      const Reading& reading = tree.readings[next_reading];
      const int64_t wanted = node_rows[static_cast<size_t>(reading.node) - first] + reading.offset;
      if (rows.empty() || rows.back() != wanted) rows.push_back(wanted);
    }
    const at::Tensor hidden = decoder_.Forward(runs, cache, rows);
    size_t reading = begin;
    for (int64_t done = 0; done < static_cast<int64_t>(rows.size()); done += kLogitRows) {
      const int64_t count = std::min<int64_t>(kLogitRows, static_cast<int64_t>(rows.size()) - done);
      const at::Tensor logits = decoder_.Logits(hidden.narrow(0, done, count)).to(at::kCPU);
      const std::vector<RowSummary> summaries = Summarize(logits);
      const float* values = logits.const_data_ptr<float>();
      for (int64_t i = 0; i < count; ++i) {
        for (; reading < next_reading; ++reading) {
          const Reading& wanted = tree.readings[reading];
          if (node_rows[static_cast<size_t>(wanted.node) - first] + wanted.offset !=
              rows[static_cast<size_t>(done + i)])
            break;
          Pending& request = pending[wanted.request];
          const RowSummary& summary = summaries[static_cast<size_t>(i)];
          const double value = double{values[i * logits.size(1) + wanted.target]} - summary.log_sum_exp;
          request.result.log_likelihood += value;
          request.result.squares += value * value;
          request.result.greedy = request.result.greedy && summary.argmax == wanted.target;
          if (--request.left == 0) sink(wanted.request, request.result);
        }
      }
    }
  }

  // A leaf that is computed is not needed any more; nor is a node whose children's subtrees are all done.
  static void Finish(PrefixTree& tree, int64_t index, KvCache& cache) {
    while (index >= 0 && tree.nodes[static_cast<size_t>(index)].waiting == 0) {
      Node& node = tree.nodes[static_cast<size_t>(index)];
      cache.Release(std::exchange(node.own, {}));
      index = node.parent;
      if (index >= 0) --tree.nodes[static_cast<size_t>(index)].waiting;
    }
  }

  const Decoder& decoder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  DecoderModelOptions options_;
  std::unique_ptr<KvCache> cache_;
};

}  // namespace

std::unique_ptr<LanguageModel> MakeDecoderModel(const Decoder& decoder,
                                                std::shared_ptr<const Tokenizer> tokenizer,
                                                const DecoderModelOptions& options) {
  return std::make_unique<DecoderModel>(decoder, std::move(tokenizer), options);
}

}  // namespace tnb

#include "models/engine/generation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <list>

#include "base/error.h"
#include "models/engine/beam_search.h"
#include "models/engine/ops.h"

namespace tnb {

size_t StopWatch::Start() const {
  if (!request_.skip_leading_space) return 0;
  size_t start = 0;
  while (start < text_.size() && std::isspace(static_cast<unsigned char>(text_[start])) != 0) ++start;
  return start;
}

bool StopWatch::Add(TokenId token) { return AddAll({token}); }

bool StopWatch::AddAll(const TokenIds& tokens) {
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  // Decoded as a whole: the text of a token depends on those before it (leading spaces, split characters).
  text_ = tokenizer_.Decode(tokens_);
  stop_ = std::string::npos;
  const size_t start = Start();
  for (const std::string& stop : request_.stop) {
    if (!stop.empty()) stop_ = std::min(stop_, text_.find(stop, start));
  }
  return stop_ != std::string::npos;
}

std::string StopWatch::Text() const {
  const size_t start = std::min(Start(), text_.size());
  const size_t end = std::min(stop_, text_.size());
  return text_.substr(start, end > start ? end - start : 0);
}

namespace {

struct Sequence {
  size_t index;
  const GenerateRequest* request;
  StopWatch watch;
  TokenIds generated;
  std::vector<CacheSpan> spans;     // of all tokens fed so far
  std::vector<CacheSpan> reserved;  // for the tokens to come
  TokenIds next;                    // to be fed
};

class Generation {
 public:
  Generation(const Decoder& decoder, const Tokenizer& tokenizer, KvCache& cache,
             const DecoderModelOptions& options, const std::vector<GenerateRequest>& requests,
             const std::vector<size_t>& order, const GenerateSink& sink)
      : decoder_(decoder),
        tokenizer_(tokenizer),
        cache_(cache),
        options_(options),
        requests_(requests),
        order_(order),
        sink_(sink) {
    ends_ = tokenizer.EndOfGeneration();
  }

  void Run() {
    while (waiting_ < order_.size() || !active_.empty()) {
      Admit();
      Step();
    }
  }

 private:
  void Admit() {
    int64_t tokens = 0;
    while (waiting_ < order_.size() && static_cast<int64_t>(active_.size()) < options_.sequences) {
      const GenerateRequest& request = requests_[order_[waiting_]];
      const auto length = static_cast<int64_t>(request.prompt.size());
      if (length == 0 || request.max_new_tokens < 1 || SlotsNeeded(request) > options_.context_length) {
        throw Error(ErrorKind::kInternal, "a generation request does not fit: prompt of " +
                                              std::to_string(length) + " tokens and " +
                                              std::to_string(request.max_new_tokens) + " new ones, context " +
                                              std::to_string(options_.context_length));
      }
      if (reserved_ + SlotsNeeded(request) > cache_.capacity() && !active_.empty()) return;
      if (tokens > 0 && tokens + length > options_.batch_tokens) return;
      reserved_ += SlotsNeeded(request);
      tokens += length;
      // All slots at once: taken token by token, those of many sequences would lie interleaved, and attention
      // over single slots costs as much as over whole panels of 32.
      active_.push_back({order_[waiting_],
                         &request,
                         StopWatch(tokenizer_, request),
                         {},
                         {},
                         cache_.Allocate(SlotsNeeded(request)),
                         request.prompt});
      ++waiting_;
    }
  }

  void Step() {
    std::vector<TokenRun> runs;
    std::vector<int64_t> rows;
    int64_t row = 0;
    for (Sequence& sequence : active_) {
      TokenRun run;
      run.tokens = sequence.next;
      run.past = sequence.spans;
      run.own = TakeReserved(sequence);
      for (const CacheSpan& span : run.own) Append(sequence.spans, span);
      row += static_cast<int64_t>(sequence.next.size());
      rows.push_back(row - 1);
      runs.push_back(std::move(run));
    }
    at::Tensor logits = decoder_.Logits(decoder_.Forward(runs, cache_, rows));
    HideEnds(logits);
    const std::vector<RowSummary> best = Summarize(logits);
    size_t at = 0;
    for (auto sequence = active_.begin(); sequence != active_.end();) {
      if (Take(*sequence, static_cast<TokenId>(best[at++].argmax))) {
        sequence = active_.erase(sequence);
      } else {
        ++sequence;
      }
    }
  }

  // Answers that are too short cannot end.
  void HideEnds(at::Tensor& logits) const {
    int64_t row = 0;
    for (const Sequence& sequence : active_) {
      if (static_cast<int64_t>(sequence.generated.size()) < sequence.request->min_new_tokens) {
        logits = logits.to(at::kCPU).contiguous();
        for (const TokenId end : ends_) {
          if (end < logits.size(1)) logits.mutable_data_ptr<float>()[row * logits.size(1) + end] = -INFINITY;
        }
      }
      ++row;
    }
  }

  // Slots for the next tokens.
  static std::vector<CacheSpan> TakeReserved(Sequence& sequence) {
    std::vector<CacheSpan> own;
    for (auto count = static_cast<int64_t>(sequence.next.size()); count > 0;) {
      CacheSpan& first = sequence.reserved.front();
      const int64_t part = std::min(first.count, count);
      own.push_back({first.begin, part});
      first = {first.begin + part, first.count - part};
      count -= part;
      if (first.count == 0) sequence.reserved.erase(sequence.reserved.begin());
    }
    return own;
  }

  // Adjacent pieces become one, so that a long answer stays one span.
  static void Append(std::vector<CacheSpan>& spans, const CacheSpan& span) {
    if (!spans.empty() && spans.back().begin + spans.back().count == span.begin) {
      spans.back().count += span.count;
    } else {
      spans.push_back(span);
    }
  }

  // True when the sequence is done (and was reported).
  bool Take(Sequence& sequence, TokenId token) {
    sequence.generated.push_back(token);
    std::string finished;
    if (std::find(ends_.begin(), ends_.end(), token) != ends_.end()) {
      finished = "eos";
    } else if (sequence.watch.Add(token)) {
      finished = "stop";
    } else if (static_cast<int64_t>(sequence.generated.size()) >= sequence.request->max_new_tokens) {
      finished = "length";
    }
    if (finished.empty()) {
      sequence.next = {token};
      return false;
    }
    cache_.Release(sequence.spans);
    cache_.Release(sequence.reserved);
    reserved_ -= SlotsNeeded(*sequence.request);
    sink_(sequence.index, {sequence.watch.Text(), sequence.generated, finished});
    return true;
  }

  const Decoder& decoder_;
  const Tokenizer& tokenizer_;
  KvCache& cache_;
  const DecoderModelOptions& options_;
  const std::vector<GenerateRequest>& requests_;
  const std::vector<size_t>& order_;
  const GenerateSink& sink_;
  std::vector<TokenId> ends_;
  std::list<Sequence> active_;
  size_t waiting_ = 0;
  int64_t reserved_ = 0;
};

}  // namespace

void GenerateAll(const Decoder& decoder, const Tokenizer& tokenizer, KvCache& cache,
                 const DecoderModelOptions& options, const std::vector<GenerateRequest>& requests,
                 const GenerateSink& sink) {
  std::vector<size_t> greedy, beams;
  for (size_t i = 0; i < requests.size(); ++i) (requests[i].beams > 1 ? beams : greedy).push_back(i);
  Generation(decoder, tokenizer, cache, options, requests, greedy, sink).Run();
  BeamSearchAll(decoder, tokenizer, cache, options, requests, beams, sink);
}

}  // namespace tnb

#include "models/tokenizers/bpe_training.h"

#include <array>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "models/tokenizers/pretokenizer.h"

namespace tnb {
namespace {

// GPT-2's spelling of bytes in vocabulary files: printable Latin-1 characters stand for themselves, all other
// bytes, in order, for the characters from U+0100 on.
std::array<std::string, 256> ByteAlphabet() {
  std::array<std::string, 256> spellings;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
    const int character = printable ? byte : next++;
    std::string& spelling = spellings[static_cast<size_t>(byte)];
    if (character < 0x80) {
      spelling.push_back(static_cast<char>(character));
    } else {
      spelling.push_back(static_cast<char>(0xC0 | (character >> 6)));
      spelling.push_back(static_cast<char>(0x80 | (character & 0x3F)));
    }
  }
  return spellings;
}

struct Word {
  std::vector<uint32_t> symbols;
  int64_t count = 0;
};

class Learner {
 public:
  Learner(const std::vector<std::string>& texts, const BpeTrainingOptions& options) : options_(options) {
    const PreTokenizer cut({kDigitRegex, kGpt2Regex}, "BPE training");
    std::map<std::string, int64_t> counts;
    std::array<bool, 256> occurs{};
    for (const std::string& text : texts) {
      for (const std::string_view word : cut.Split(text)) ++counts[std::string(word)];
      for (const char c : text) occurs[static_cast<unsigned char>(c)] = true;
    }
    if (counts.empty()) throw Error(ErrorKind::kData, "there is no text to make a tokenizer from");
    const std::array<std::string, 256> spellings = ByteAlphabet();
    std::array<uint32_t, 256> ids{};
    for (size_t byte = 0; byte < 256; ++byte) {
      if (!occurs[byte]) continue;
      ids[byte] = static_cast<uint32_t>(pieces_.size());
      pieces_.push_back(spellings[byte]);
    }
    for (const auto& [text, count] : counts) {
      Word word{{}, count};
      for (const char c : text) word.symbols.push_back(ids[static_cast<unsigned char>(c)]);
      words_.push_back(std::move(word));
    }
    const auto most = options.vocabulary - static_cast<int64_t>(options.special.size());
    if (options.vocabulary > 0 && most < static_cast<int64_t>(pieces_.size())) {
      throw Error(ErrorKind::kUsage,
                  {"the vocabulary is smaller than the alphabet",
                   std::to_string(pieces_.size() + options.special.size()) + " tokens or more",
                   std::to_string(options.vocabulary), "vocabulary of the tokenizer", ""});
    }
    while (static_cast<int64_t>(pieces_.size()) < most && MergeOnce()) continue;
  }

  Json Tokenizer() const {
    const size_t first = options_.special.size();
    Json vocab = Json::object(), added = Json::array();
    for (size_t i = 0; i < first; ++i) {
      added.push_back({{"id", i},
                       {"content", options_.special[i]},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", true}});
      vocab[options_.special[i]] = i;
    }
    for (size_t i = 0; i < pieces_.size(); ++i) vocab[pieces_[i]] = first + i;
    const Json byte_level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
    return {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", added},
            {"normalizer", nullptr},
            {"pre_tokenizer",
             {{"type", "Sequence"},
              {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, byte_level}}}},
            {"post_processor", nullptr},
            {"decoder", byte_level},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", false},
              {"byte_fallback", false},
              {"vocab", vocab},
              {"merges", merges_}}}};
  }

 private:
  // False when no pair occurs twice.
  bool MergeOnce() {
    std::unordered_map<uint64_t, int64_t> counts;
    for (const Word& word : words_) {
      for (size_t i = 0; i + 1 < word.symbols.size(); ++i)
        counts[uint64_t{word.symbols[i]} << 32 | word.symbols[i + 1]] += word.count;
    }
    uint64_t best = 0;
    int64_t most = 1;
    for (const auto& [pair, count] : counts) {
      if (count > most || (count == most && most > 1 && pair < best)) {
        best = pair;
        most = count;
      }
    }
    if (most < 2) return false;
    const auto left = static_cast<uint32_t>(best >> 32), right = static_cast<uint32_t>(best);
    const auto merged = static_cast<uint32_t>(pieces_.size());
    merges_.push_back(pieces_[left] + " " + pieces_[right]);
    pieces_.push_back(pieces_[left] + pieces_[right]);
    for (Word& word : words_) {
      size_t end = 0;
      for (size_t i = 0; i < word.symbols.size(); ++i) {
        const bool pair =
            i + 1 < word.symbols.size() && word.symbols[i] == left && word.symbols[i + 1] == right;
        word.symbols[end++] = pair ? merged : word.symbols[i];
        i += pair ? 1 : 0;
      }
      word.symbols.resize(end);
    }
    return true;
  }

  const BpeTrainingOptions& options_;
  std::vector<std::string> pieces_;  // without the special ones
  std::vector<std::string> merges_;
  std::vector<Word> words_;
};

}  // namespace

Json TrainByteLevelTokenizer(const std::vector<std::string>& texts, const BpeTrainingOptions& options) {
  return Learner(texts, options).Tokenizer();
}

}  // namespace tnb

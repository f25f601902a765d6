#include "models/tokenizers/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "models/tokenizers/utf8.h"

namespace tnb {
namespace {

bool IsSpecial(PieceKind kind) { return kind == PieceKind::kControl || kind == PieceKind::kUnknown; }

// How many bytes of white space end `text`, and how many start it.
size_t SpaceAtEnd(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
    const Utf8Char character = DecodeUtf8(text, begin);
    if (begin + character.length != end || !IsWhiteSpace(character.code)) break;
    end = begin;
  }
  return text.size() - end;
}

size_t SpaceAtStart(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    const Utf8Char character = DecodeUtf8(text, begin);
    if (!IsWhiteSpace(character.code)) break;
    begin += character.length;
  }
  return begin;
}

}  // namespace

int ByteOfPiece(std::string_view piece) {
  if (piece.size() != 6 || piece.substr(0, 3) != "<0x" || piece[5] != '>') return -1;
  int value = 0;
  for (const char digit : piece.substr(3, 2)) {
    if (digit >= '0' && digit <= '9') {
      value = value * 16 + (digit - '0');
    } else if (digit >= 'A' && digit <= 'F') {
      value = value * 16 + (digit - 'A' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

TokenId Vocabulary::FindSpecial(std::string_view spelling) const {
  for (const AddedToken& token : added) {
    if (pieces[token.id] == spelling) return token.id;
  }
  return -1;
}

void Vocabulary::Finish(const std::string& where) {
  const auto size = static_cast<TokenId>(pieces.size());
  if (pieces.empty() || kinds.size() != pieces.size()) {
    throw Error(ErrorKind::kData,
                {"the vocabulary is empty or does not say what each token is", "",
                 fmt::format("{} tokens, {} kinds", pieces.size(), kinds.size()), where, ""});
  }
  const auto check = [&](TokenId id, const char* name) {
    if (id < -1 || id >= size) {
      throw Error(ErrorKind::kData, {fmt::format("the {} token is not in the vocabulary", name),
                                     fmt::format("an id below {}", size), std::to_string(id), where, ""});
    }
  };
  check(bos, "BOS"), check(eos, "EOS"), check(unknown, "unknown");
  for (const TokenId id : end_of_generation) check(id, "end-of-generation");
  for (const AddedToken& token : added) check(token.id, "added");
  std::erase_if(added, [&](const AddedToken& token) { return pieces[token.id].empty(); });
  // Names that end a turn or a text in the chat models known so far, whatever the metadata says.
  for (const char* name : {"<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>"}) {
    end_of_generation.push_back(FindSpecial(name));
  }
  end_of_generation.push_back(eos);
  std::sort(end_of_generation.begin(), end_of_generation.end());
  end_of_generation.erase(std::unique(end_of_generation.begin(), end_of_generation.end()),
                          end_of_generation.end());
  if (end_of_generation.front() < 0) end_of_generation.erase(end_of_generation.begin());
}

VocabularyTokenizer::VocabularyTokenizer(Vocabulary vocabulary, bool strips_first_space,
                                         const std::string& rules)
    : vocabulary_(std::move(vocabulary)), strips_first_space_(strips_first_space) {
  Sha256 hash;
  for (size_t i = 0; i < vocabulary_.pieces.size(); ++i) {
    const std::string& piece = vocabulary_.pieces[i];
    hash.Update(fmt::format("{} {} ", static_cast<int>(vocabulary_.kinds[i]), piece.size()));
    hash.Update(piece);
  }
  for (const AddedToken& token : vocabulary_.added) {
    hash.Update(fmt::format("{}{}{} ", token.id, token.left_strip ? "l" : "", token.right_strip ? "r" : ""));
  }
  hash.Update(fmt::format("bos {} eos {} unknown {} adds_bos {} strips {} end {} ", vocabulary_.bos,
                          vocabulary_.eos, vocabulary_.unknown, vocabulary_.adds_bos, strips_first_space_,
                          fmt::join(vocabulary_.end_of_generation, ",")));
  hash.Update(rules);
  hash_ = hash.Hex();
  for (size_t i = 0; i < vocabulary_.added.size(); ++i) {
    by_first_byte_[static_cast<uint8_t>(vocabulary_.pieces[vocabulary_.added[i].id][0])].push_back(i);
  }
  for (std::vector<size_t>& tokens : by_first_byte_) {
    std::stable_sort(tokens.begin(), tokens.end(), [&](size_t a, size_t b) {
      return vocabulary_.pieces[vocabulary_.added[a].id].size() >
             vocabulary_.pieces[vocabulary_.added[b].id].size();
    });
  }
}

const AddedToken* VocabularyTokenizer::Match(std::string_view text, size_t position,
                                             bool parse_special) const {
  for (const size_t i : by_first_byte_[static_cast<uint8_t>(text[position])]) {
    const AddedToken& token = vocabulary_.added[i];
    if (!parse_special && IsSpecial(vocabulary_.kinds[token.id])) continue;
    const std::string& spelling = vocabulary_.pieces[token.id];
    if (text.compare(position, spelling.size(), spelling) == 0) return &token;
  }
  return nullptr;
}

TokenIds VocabularyTokenizer::Encode(std::string_view text, bool parse_special,
                                     int64_t* dropped_bytes) const {
  TokenIds ids;
  int64_t dropped = 0;
  size_t begin = 0;  // of the ordinary text not encoded yet
  for (size_t i = 0; i < text.size();) {
    const AddedToken* token = Match(text, i, parse_special);
    if (token == nullptr) {
      ++i;
      continue;
    }
    std::string_view before = text.substr(begin, i - begin);
    if (token->left_strip) before.remove_suffix(SpaceAtEnd(before));
    if (!before.empty()) EncodeOrdinary(before, begin == 0, &ids, &dropped);
    ids.push_back(token->id);
    i += vocabulary_.pieces[token->id].size();
    if (token->right_strip) i += SpaceAtStart(text.substr(i));
    begin = i;
  }
  if (begin < text.size()) EncodeOrdinary(text.substr(begin), begin == 0, &ids, &dropped);
  if (dropped_bytes != nullptr) *dropped_bytes += dropped;
  return ids;
}

void VocabularyTokenizer::Check(TokenId id) const {
  if (id >= 0 && id < vocabulary_size()) return;
  throw Error(ErrorKind::kData, {"a token id is not in the vocabulary",
                                 fmt::format("0..{}", vocabulary_size() - 1), std::to_string(id), "", ""});
}

std::string VocabularyTokenizer::Decode(const TokenIds& ids, bool keep_special) const {
  std::string text;
  bool first = true;
  for (const TokenId id : ids) {
    Check(id);
    const PieceKind kind = vocabulary_.kinds[id];
    if (kind == PieceKind::kUnused || (IsSpecial(kind) && !keep_special)) continue;
    std::string_view piece = vocabulary_.pieces[id];
    if (first && strips_first_space_ && kind == PieceKind::kNormal && piece.starts_with(' '))
      piece.remove_prefix(1);
    text += piece;
    first = false;
  }
  return text;
}

std::string VocabularyTokenizer::Piece(TokenId id) const {
  Check(id);
  return vocabulary_.pieces[id];
}

}  // namespace tnb

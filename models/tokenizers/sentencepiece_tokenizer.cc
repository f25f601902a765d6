#include "models/tokenizers/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "models/tokenizers/spm_bpe.h"
#include "models/tokenizers/utf8.h"

namespace tnb {
namespace {

using Processor = sentencepiece::SentencePieceProcessor;

class SentencePieceTokenizer : public VocabularyTokenizer {
 public:
  SentencePieceTokenizer(Vocabulary vocabulary, bool dummy_prefix, const std::string& model_hash,
                         std::unique_ptr<Processor> processor)
      : VocabularyTokenizer(std::move(vocabulary), dummy_prefix, "sentencepiece " + model_hash),
        processor_(std::move(processor)) {}

 protected:
  void EncodeOrdinary(std::string_view text, bool /*at_start*/, TokenIds* ids,
                      int64_t* dropped_bytes) const override {
    std::vector<int> pieces;
    if (const auto status = processor_->Encode(text, &pieces); !status.ok()) {
      throw Error(ErrorKind::kData, {"SentencePiece cannot encode a text", "", status.ToString(), "", ""});
    }
    ids->insert(ids->end(), pieces.begin(), pieces.end());
    for (size_t i = 0; i < text.size();) {
      const Utf8Char character = DecodeUtf8(text, i);
      if (character.code < 0) ++*dropped_bytes;
      i += character.length;
    }
    *dropped_bytes += UnknownBytes(text, pieces);
  }

 private:
  // Bytes of the characters that became <unk>.
  int64_t UnknownBytes(std::string_view text, const std::vector<int>& pieces) const {
    bool any = false;
    for (const int piece : pieces) any = any || piece == processor_->unk_id();
    if (!any) return 0;
    int64_t bytes = 0;
    const auto proto = processor_->EncodeAsImmutableProto(text);
    for (const auto& piece : proto.pieces()) {
      if (static_cast<int>(piece.id()) == processor_->unk_id())
        bytes += static_cast<int64_t>(piece.surface().size());
    }
    return bytes;
  }

  std::unique_ptr<Processor> processor_;
};

PieceKind KindOf(const Processor& processor, int id) {
  if (processor.IsUnknown(id)) return PieceKind::kUnknown;
  if (processor.IsControl(id)) return PieceKind::kControl;
  if (processor.IsByte(id)) return PieceKind::kByte;
  if (processor.IsUnused(id)) return PieceKind::kUnused;
  return PieceKind::kNormal;  // user-defined ones included: the library finds those itself
}

}  // namespace

std::unique_ptr<Tokenizer> LoadSentencePiece(const std::filesystem::path& path,
                                             const SentencePieceOverrides& overrides) {
  const std::string content = ReadFile(path);
  auto processor = std::make_unique<Processor>();
  if (const auto status = processor->LoadFromSerializedProto(content); !status.ok()) {
    throw Error(ErrorKind::kData, {"not a SentencePiece model", "", status.ToString(), path.string(), ""});
  }
  Vocabulary vocabulary;
  for (int id = 0; id < processor->GetPieceSize(); ++id) {
    const PieceKind kind = KindOf(*processor, id);
    const std::string& piece = processor->IdToPiece(id);
    const int byte = kind == PieceKind::kByte ? ByteOfPiece(piece) : -1;
    vocabulary.kinds.push_back(kind);
    vocabulary.pieces.push_back(byte >= 0 ? std::string(1, static_cast<char>(byte)) : WithPlainSpaces(piece));
    if (kind == PieceKind::kControl || kind == PieceKind::kUnknown)
      vocabulary.added.push_back({id, false, false});
  }
  vocabulary.bos = overrides.bos >= 0 ? overrides.bos : processor->bos_id();
  vocabulary.eos = overrides.eos >= 0 ? overrides.eos : processor->eos_id();
  vocabulary.unknown = processor->unk_id();
  vocabulary.adds_bos = overrides.adds_bos && vocabulary.bos >= 0;
  vocabulary.end_of_generation = overrides.end_of_generation;
  vocabulary.Finish(path.string());
  // The processor does not show its normalizer's settings; a text shows the dummy prefix.
  std::vector<std::string> probe;
  const bool dummy_prefix =
      processor->Encode("a", &probe).ok() && !probe.empty() && probe[0].starts_with("\xE2\x96\x81");
  return std::make_unique<SentencePieceTokenizer>(std::move(vocabulary), dummy_prefix, Sha256Hex(content),
                                                  std::move(processor));
}

}  // namespace tnb

#include "base/error.h"
#include "models/tokenizers/loaders.h"
#include "models/tokenizers/sentencepiece_tokenizer.h"

namespace tnb {

std::unique_ptr<Tokenizer> LoadTokenizer(const TokenizerSource& source) {
  switch (source.kind) {
    case TokenizerSource::Kind::kHuggingFaceDirectory:
      return LoadHuggingFaceTokenizer(source.path);
    case TokenizerSource::Kind::kGguf:
      return LoadGgufTokenizer(source.path);
    case TokenizerSource::Kind::kSentencePiece:
      return LoadSentencePiece(source.path);
    case TokenizerSource::Kind::kLlama2c:
      return LoadLlama2cTokenizer(source.path);
    case TokenizerSource::Kind::kNone:
      break;
  }
  throw Error(ErrorKind::kData, {"the checkpoint has no tokenizer", "", "", source.path.string(),
                                 "put tokenizer.json or tokenizer.model beside the weights"});
}

}  // namespace tnb

#include "models/formats/gguf.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "base/error.h"

namespace tnb {
namespace {

constexpr char kCopyHint[] = "copy or download the file again";
constexpr uint32_t kBool = 7, kString = 8, kArray = 9, kFloat32 = 6, kFloat64 = 12;
constexpr uint32_t kTypes = 13;
constexpr const char* kTypeNames[kTypes] = {"uint8",  "int8",    "uint16", "int16",  "uint32",
                                            "int32",  "float32", "bool",   "string", "array",
                                            "uint64", "int64",   "float64"};
constexpr uint64_t kTypeBytes[kTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

// ggml_type numbers; empty: retired. Names without an ElementFormat are reported as unsupported.
constexpr const char* kTensorTypes[] = {
    "F32",    "F16",   "Q4_0",  "Q4_1",   "",      "",      "Q5_0",    "Q5_1",   "Q8_0",    "Q8_1",
    "Q2_K",   "Q3_K",  "Q4_K",  "Q5_K",   "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
    "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",    "I16",   "I32",     "I64",    "F64",     "IQ1_M",
    "BF16",   "",      "",      "",       "TQ1_0", "TQ2_0", "",        "",       "",        "MXFP4"};

// Printable form of text from an untrusted file.
std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, 64)) shown += c >= 32 && c < 127 ? c : '?';
  return shown;
}

template <typename T>
T LoadAt(const MappedFile& file, uint64_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

}  // namespace

// Walks the header once. Every read goes through Take, which knows the end of the file.
class GgufFile::Parser {
 public:
  explicit Parser(GgufFile* file) : result_(*file), file_(*file->file_) {}

  void Parse() {
    if (file_.size() < 4 || std::memcmp(file_.data(), "GGUF", 4) != 0)
      Damaged("not a GGUF file", "magic 'GGUF'", "");
    position_ = 4;
    const uint32_t version = Number<uint32_t>();
    if (version == 0x02000000 || version == 0x03000000 || version == 1) {
      throw Error(ErrorKind::kUnsupported,
                  {version == 1 ? "GGUF version 1" : "big-endian GGUF file", "little-endian version 2 or 3",
                   "", file_.path().string(), "convert the model again with a current converter"});
    }
    if (version != 2 && version != 3) Damaged("GGUF version", "2 or 3", std::to_string(version));
    result_.version_ = version;
    const uint64_t tensors = Number<uint64_t>();
    const uint64_t values = Number<uint64_t>();
    // The smallest metadata entry takes 8 + 1 + 4 + 1 bytes, the smallest tensor entry 8 + 1 + 4 + 8 + 4 + 8.
    CheckCount("metadata", values, 14);
    for (uint64_t i = 0; i < values; ++i) ParseValue();
    CheckCount("tensor", tensors, 33);
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < tensors; ++i) offsets.push_back(ParseTensor());
    PlaceTensors(offsets);
  }

 private:
  [[noreturn]] void Damaged(const std::string& what, const std::string& expected,
                            const std::string& found) const {
    throw Error(ErrorKind::kData, {what, expected, found, file_.path().string(), kCopyHint});
  }

  // Advances over `bytes` bytes and returns where they start.
  uint64_t Take(uint64_t bytes) {
    if (bytes > file_.size() - position_) {
      Damaged("the file ends within its header",
              std::to_string(bytes) + " more bytes at " + std::to_string(position_),
              std::to_string(file_.size() - position_));
    }
    return std::exchange(position_, position_ + bytes);
  }

  template <typename T>
  T Number() {
    return LoadAt<T>(file_, Take(sizeof(T)));
  }

  std::string_view Text() {
    const uint64_t length = Number<uint64_t>();
    const uint64_t begin = Take(length);
    return {reinterpret_cast<const char*>(file_.data() + begin), length};
  }

  void CheckCount(const std::string& of, uint64_t count, uint64_t least_bytes) const {
    const uint64_t most = (file_.size() - position_) / least_bytes;
    if (count > most) Damaged(of + " count", "at most " + std::to_string(most), std::to_string(count));
  }

  void ParseValue() {
    const std::string_view name = Text();
    if (name.empty() || name.size() > 65535) {
      Damaged("metadata key length", "1 to 65535", std::to_string(name.size()));
    }
    const std::string key(name);
    Value value;
    value.type = Type(key);
    if (value.type == kArray) {
      value.is_array = true;
      value.type = Type(key);
      if (value.type == kArray)
        Damaged("metadata '" + Shown(key) + "'", "a flat array", "an array of arrays");
      value.count = Number<uint64_t>();
    }
    value.offset = position_;
    if (value.type == kString) {
      if (value.is_array) CheckCount("string", value.count, 8);
      for (uint64_t i = 0; i < value.count; ++i) Text();
    } else {
      CheckCount("metadata '" + Shown(key) + "' element", value.count, kTypeBytes[value.type]);
      Take(value.count * kTypeBytes[value.type]);
      if (value.type == kBool) CheckBools(key, value);
    }
    if (!result_.values_.emplace(key, value).second)
      Damaged("metadata '" + Shown(key) + "' comes twice", "", "");
  }

  uint32_t Type(const std::string& key) {
    const uint32_t type = Number<uint32_t>();
    if (type >= kTypes) Damaged("type of metadata '" + Shown(key) + "'", "0 to 12", std::to_string(type));
    return type;
  }

  void CheckBools(const std::string& key, const Value& value) const {
    for (uint64_t i = 0; i < value.count; ++i) {
      const uint8_t byte = file_.data()[value.offset + i];
      if (byte > 1) Damaged("bool in metadata '" + Shown(key) + "'", "0 or 1", std::to_string(byte));
    }
  }

  // Reads one tensor entry and returns its offset in the data section.
  uint64_t ParseTensor() {
    const std::string_view name = Text();
    if (name.empty() || name.size() > 4096)
      Damaged("tensor name length", "1 to 4096", std::to_string(name.size()));
    const std::string label = "tensor '" + Shown(name) + "'";
    if (!names_.emplace(name).second) Damaged(label + " comes twice", "", "");
    const uint32_t dimensions = Number<uint32_t>();
    if (dimensions < 1 || dimensions > 4)
      Damaged(label + " dimensions", "1 to 4", std::to_string(dimensions));
    GgufTensor tensor;
    tensor.name = name;
    int64_t count = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
      const int64_t size = Number<int64_t>();
      if (size <= 0 || __builtin_mul_overflow(count, size, &count) || count > INT64_MAX / 8) {
        Damaged(label + " size", "positive sizes with a product below 2^60", std::to_string(size));
      }
      tensor.shape.insert(tensor.shape.begin(), size);
    }
    const uint32_t type = Number<uint32_t>();
    if (type >= std::size(kTensorTypes) || *kTensorTypes[type] == 0) {
      Damaged("type of " + label, "a ggml type", std::to_string(type));
    }
    tensor.format = FindElementFormat(kTensorTypes[type]);
    if (tensor.format == nullptr) {
      throw Error(ErrorKind::kUnsupported,
                  {label + " has a type that cannot be expanded",
                   "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K", kTensorTypes[type],
                   file_.path().string(), "take another quantization of the model"});
    }
    if (tensor.shape.back() % tensor.format->block_values != 0) {
      Damaged("row length of " + label, "a multiple of " + std::to_string(tensor.format->block_values),
              std::to_string(tensor.shape.back()));
    }
    tensor.bytes = static_cast<uint64_t>(count / tensor.format->block_values * tensor.format->block_bytes);
    result_.tensors_.push_back(std::move(tensor));
    return Number<uint64_t>();
  }

  void PlaceTensors(const std::vector<uint64_t>& offsets) {
    int64_t alignment = 32;
    if (result_.Has("general.alignment")) alignment = result_.GetInt("general.alignment");
    if (alignment < 1 || alignment > 1 << 20 || !std::has_single_bit(static_cast<uint64_t>(alignment))) {
      Damaged("general.alignment", "a power of two up to 2^20", std::to_string(alignment));
    }
    const uint64_t unit = static_cast<uint64_t>(alignment);
    const uint64_t begin = (position_ + unit - 1) / unit * unit;
    const uint64_t available = begin <= file_.size() ? file_.size() - begin : 0;
    std::vector<std::pair<uint64_t, size_t>> order;
    for (size_t i = 0; i < offsets.size(); ++i) {
      GgufTensor& tensor = result_.tensors_[i];
      const std::string label = "tensor '" + Shown(tensor.name) + "'";
      if (offsets[i] % unit != 0) {
        Damaged("offset of " + label, "a multiple of " + std::to_string(unit), std::to_string(offsets[i]));
      }
      if (offsets[i] > available || tensor.bytes > available - offsets[i]) {
        Damaged(label + " lies outside of the file", std::to_string(available) + " bytes of data",
                std::to_string(tensor.bytes) + " bytes at " + std::to_string(offsets[i]));
      }
      tensor.data = file_.data() + begin + offsets[i];
      order.emplace_back(offsets[i], i);
    }
    std::sort(order.begin(), order.end());
    for (size_t i = 1; i < order.size(); ++i) {
      const GgufTensor& before = result_.tensors_[order[i - 1].second];
      if (order[i].first < order[i - 1].first + before.bytes) {
        Damaged("tensors '" + Shown(before.name) + "' and '" + Shown(result_.tensors_[order[i].second].name) +
                    "' share bytes",
                "separate ranges", "");
      }
    }
  }

  GgufFile& result_;
  const MappedFile& file_;
  uint64_t position_ = 0;
  std::set<std::string, std::less<>> names_;
};

GgufFile::GgufFile(const std::filesystem::path& path) : file_(std::make_shared<const MappedFile>(path)) {
  Parser(this).Parse();
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const GgufTensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

std::vector<std::string> GgufFile::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values_) keys.push_back(key);
  return keys;
}

bool GgufFile::IsArray(const std::string& key) const { return Has(key) && values_.at(key).is_array; }

const GgufFile::Value& GgufFile::Find(const std::string& key, bool array) const {
  const auto found = values_.find(key);
  if (found == values_.end()) {
    throw Error(ErrorKind::kData, {"no metadata '" + key + "'", "", "", path().string(),
                                   "the file may be of another kind of model or made by an old converter"});
  }
  if (found->second.is_array != array) {
    throw Error(ErrorKind::kData, {"metadata '" + key + "'", array ? "an array" : "a single value",
                                   array ? "a single value" : "an array", path().string(), ""});
  }
  return found->second;
}

void GgufFile::WrongType(const std::string& key, const std::string& expected, uint32_t type) const {
  throw Error(ErrorKind::kData,
              {"type of metadata '" + key + "'", expected, kTypeNames[type], path().string(), ""});
}

int64_t GgufFile::IntAt(const std::string& key, uint32_t type, uint64_t offset) const {
  switch (type) {
    case 0:
      return LoadAt<uint8_t>(*file_, offset);
    case 1:
      return LoadAt<int8_t>(*file_, offset);
    case 2:
      return LoadAt<uint16_t>(*file_, offset);
    case 3:
      return LoadAt<int16_t>(*file_, offset);
    case 4:
      return LoadAt<uint32_t>(*file_, offset);
    case 5:
      return LoadAt<int32_t>(*file_, offset);
    case 11:
      return LoadAt<int64_t>(*file_, offset);
    case 10: {
      const uint64_t value = LoadAt<uint64_t>(*file_, offset);
      if (value <= static_cast<uint64_t>(INT64_MAX)) return static_cast<int64_t>(value);
      throw Error(ErrorKind::kData, {"metadata '" + key + "'", "an integer below 2^63", std::to_string(value),
                                     path().string(), ""});
    }
    default:
      WrongType(key, "an integer", type);
  }
}

double GgufFile::FloatAt(const std::string& key, uint32_t type, uint64_t offset) const {
  if (type == kFloat64) return LoadAt<double>(*file_, offset);
  if (type != kFloat32) WrongType(key, "float32 or float64", type);
  const float value = LoadAt<float>(*file_, offset);
  if (!std::isfinite(value)) return value;
  char text[64];
  const char* end = std::to_chars(text, text + sizeof text, value).ptr;
  double decimal = 0;
  std::from_chars(text, end, decimal);
  return decimal;
}

std::string GgufFile::GetString(const std::string& key) const {
  const Value& value = Find(key, false);
  if (value.type != kString) WrongType(key, "string", value.type);
  const uint64_t length = LoadAt<uint64_t>(*file_, value.offset);
  return {reinterpret_cast<const char*>(file_->data() + value.offset + 8), length};
}

int64_t GgufFile::GetInt(const std::string& key) const {
  const Value& value = Find(key, false);
  return IntAt(key, value.type, value.offset);
}

double GgufFile::GetFloat(const std::string& key) const {
  const Value& value = Find(key, false);
  return FloatAt(key, value.type, value.offset);
}

bool GgufFile::GetBool(const std::string& key) const {
  const Value& value = Find(key, false);
  if (value.type != kBool) WrongType(key, "bool", value.type);
  return file_->data()[value.offset] != 0;
}

std::string GgufFile::GetString(const std::string& key, const std::string& fallback) const {
  return Has(key) ? GetString(key) : fallback;
}

int64_t GgufFile::GetInt(const std::string& key, int64_t fallback) const {
  return Has(key) ? GetInt(key) : fallback;
}

double GgufFile::GetFloat(const std::string& key, double fallback) const {
  return Has(key) ? GetFloat(key) : fallback;
}

bool GgufFile::GetBool(const std::string& key, bool fallback) const {
  return Has(key) ? GetBool(key) : fallback;
}

std::vector<std::string> GgufFile::GetStrings(const std::string& key) const {
  const Value& value = Find(key, true);
  if (value.type != kString) WrongType(key, "an array of strings", value.type);
  std::vector<std::string> strings;
  strings.reserve(value.count);
  uint64_t offset = value.offset;
  for (uint64_t i = 0; i < value.count; ++i) {
    const uint64_t length = LoadAt<uint64_t>(*file_, offset);
    strings.emplace_back(reinterpret_cast<const char*>(file_->data() + offset + 8), length);
    offset += 8 + length;
  }
  return strings;
}

std::vector<int64_t> GgufFile::GetInts(const std::string& key) const {
  const Value& value = Find(key, true);
  if (value.type == kString) WrongType(key, "an array of integers", value.type);
  std::vector<int64_t> numbers;
  numbers.reserve(value.count);
  for (uint64_t i = 0; i < value.count; ++i) {
    numbers.push_back(IntAt(key, value.type, value.offset + i * kTypeBytes[value.type]));
  }
  return numbers;
}

std::vector<double> GgufFile::GetFloats(const std::string& key) const {
  const Value& value = Find(key, true);
  if (value.type == kString) WrongType(key, "an array of floats", value.type);
  std::vector<double> numbers;
  numbers.reserve(value.count);
  for (uint64_t i = 0; i < value.count; ++i) {
    numbers.push_back(FloatAt(key, value.type, value.offset + i * kTypeBytes[value.type]));
  }
  return numbers;
}

}  // namespace tnb

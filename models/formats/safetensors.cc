#include "models/formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "base/error.h"
#include "models/formats/nearest.h"

namespace tnb {
namespace {

constexpr uint64_t kLongestHeader = 100'000'000;  // the reference implementation's limit
constexpr std::string_view kPadding = "_padding.";
constexpr char kCopyHint[] = "copy or download the file again";

constexpr std::pair<std::string_view, int64_t> kElementBytes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8},
};

[[noreturn]] void Damaged(const std::string& what, const std::string& expected, const std::string& found,
                          const std::filesystem::path& path) {
  throw Error(ErrorKind::kData, {what, expected, found, path.string(), kCopyHint});
}

// Parses the header and refuses a name that comes twice, which a plain parse would hide.
Json ParseHeader(const char* begin, uint64_t size, const std::filesystem::path& path) {
  std::set<std::string> names;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1 && !names.insert(parsed.get<std::string>()).second) {
      Damaged("tensor '" + parsed.get<std::string>() + "' comes twice in the header", "distinct names", "",
              path);
    }
    return true;
  };
  try {
    Json header = Json::parse(begin, begin + size, check);
    if (!header.is_object()) Damaged("the header is not a JSON object", "", header.type_name(), path);
    return header;
  } catch (const Json::exception& error) {
    Damaged("the header is not JSON in UTF-8", "", error.what(), path);
  }
}

int64_t NonNegative(const Json& number, const std::string& what, const std::filesystem::path& path) {
  const bool fits = number.is_number_unsigned() && number.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
  if (!fits) Damaged(what, "an integer from 0 to 2^63 - 1", number.dump().substr(0, 80), path);
  return number.get<int64_t>();
}

}  // namespace

int64_t SafetensorsElementBytes(std::string_view dtype) {
  for (const auto& [name, bytes] : kElementBytes) {
    if (name == dtype) return bytes;
  }
  return 0;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(std::make_shared<const MappedFile>(path)) {
  if (file_->size() < 8)
    Damaged("not a safetensors file", "8 bytes or more", std::to_string(file_->size()), path);
  uint64_t length = 0;
  std::memcpy(&length, file_->data(), sizeof length);
  if (length > kLongestHeader) {
    Damaged("not a safetensors file: header length", "at most 100000000", std::to_string(length), path);
  }
  if (length > file_->size() - 8) {
    Damaged("the file is truncated within its header", std::to_string(length + 8) + " bytes or more",
            std::to_string(file_->size()), path);
  }
  const char* text = reinterpret_cast<const char*>(file_->data() + 8);
  if (length == 0 || text[0] != '{') Damaged("the header is not a JSON object", "'{' first", "", path);
  const Json header = ParseHeader(text, length, path);
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) Damaged("__metadata__", "an object", entry.type_name(), path);
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) Damaged("__metadata__ '" + key + "'", "text", value.type_name(), path);
        metadata_[key] = value.get<std::string>();
      }
    } else {
      AddTensor(name, entry, 8 + length);
    }
  }
  std::stable_sort(tensors_.begin(), tensors_.end(),
                   [](const SafetensorsTensor& a, const SafetensorsTensor& b) { return a.data < b.data; });
  CheckOverlaps();
  std::erase_if(tensors_, [](const SafetensorsTensor& tensor) { return tensor.name.starts_with(kPadding); });
  for (size_t i = 0; i < tensors_.size(); ++i) index_[tensors_[i].name] = i;
}

void SafetensorsFile::AddTensor(const std::string& name, const Json& entry, uint64_t data_begin) {
  const std::string label = "tensor '" + name.substr(0, 200) + "'";
  const bool complete = entry.is_object() && entry.contains("dtype") && entry.contains("shape") &&
                        entry.contains("data_offsets") && entry["dtype"].is_string() &&
                        entry["shape"].is_array() && entry["data_offsets"].is_array() &&
                        entry["data_offsets"].size() == 2;
  if (!complete) {
    Damaged(label, "{dtype, shape, data_offsets: [begin, end]}", entry.dump().substr(0, 80), path());
  }
  SafetensorsTensor tensor;
  tensor.name = name;
  tensor.dtype = entry["dtype"].get<std::string>();
  int64_t bytes = SafetensorsElementBytes(tensor.dtype);
  if (bytes == 0) {
    throw Error(ErrorKind::kUnsupported,
                {label + " has an unknown dtype", "F32, F16, BF16, U8, I8, I16, I32, I64, ...", tensor.dtype,
                 path().string(), "convert it to F32, F16 or BF16"});
  }
  bool overflow = false;
  for (const Json& size : entry["shape"]) {
    tensor.shape.push_back(NonNegative(size, label + " has a bad shape", path()));
    overflow = overflow || __builtin_mul_overflow(bytes, tensor.shape.back(), &bytes);
  }
  if (overflow)
    Damaged(label + " is larger than memory can be", "", entry["shape"].dump().substr(0, 80), path());
  const int64_t begin = NonNegative(entry["data_offsets"][0], label + " has a bad offset", path());
  const int64_t end = NonNegative(entry["data_offsets"][1], label + " has a bad offset", path());
  const uint64_t available = file_->size() - data_begin;
  if (begin > end || static_cast<uint64_t>(end) > available) {
    Damaged(label + " lies outside of the file",
            "offsets within " + std::to_string(available) + " bytes of data",
            "[" + std::to_string(begin) + ", " + std::to_string(end) + ")", path());
  }
  if (end - begin != bytes) {
    Damaged(label + " has offsets that do not fit its shape", std::to_string(bytes) + " bytes",
            std::to_string(end - begin), path());
  }
  tensor.bytes = static_cast<uint64_t>(bytes);
  tensor.data = file_->data() + data_begin + begin;
  tensors_.push_back(std::move(tensor));
}

void SafetensorsFile::CheckOverlaps() const {
  const SafetensorsTensor* last = nullptr;  // the last one that is not empty
  for (const SafetensorsTensor& tensor : tensors_) {
    if (tensor.bytes == 0) continue;
    if (last != nullptr && tensor.data < last->data + last->bytes) {
      Damaged("tensors '" + last->name + "' and '" + tensor.name + "' share bytes", "separate ranges", "",
              path());
    }
    last = &tensor;
  }
}

const SafetensorsTensor* SafetensorsFile::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const SafetensorsTensor& SafetensorsFile::Get(const std::string& name) const {
  if (const SafetensorsTensor* tensor = Find(name)) return *tensor;
  std::vector<std::string> names;
  for (const SafetensorsTensor& tensor : tensors_) names.push_back(tensor.name);
  const std::vector<std::string> nearest = NearestNames(name, names, 1);
  throw Error(ErrorKind::kData,
              {"no tensor '" + name + "'", "", "", path().string(),
               nearest.empty() ? "the file has no tensors" : "the nearest is '" + nearest[0] + "'"});
}

void SafetensorsFile::Release(const SafetensorsTensor& tensor) const {
  file_->Release(static_cast<size_t>(tensor.data - file_->data()), tensor.bytes);
}

}  // namespace tnb

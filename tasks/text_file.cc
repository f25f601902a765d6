#include "tasks/text_file.h"

#include "base/error.h"
#include "tasks/located_json.h"

namespace tnb {

namespace fs = std::filesystem;

bool IsTextFileTask(const std::string& name) {
  return name.starts_with("ppl.") && name.find(':') != std::string::npos;
}

TaskSpec TextFileTask(const std::string& text) {
  const size_t colon = text.find(':');
  std::string protocol = text.substr(0, colon), file = text.substr(colon + 1);
  const auto fail = [&](const std::string& what, const std::string& found) {
    throw Error(ErrorKind::kUsage, {what, "ppl.gptq:FILE, ppl.llamacpp:FILE or ppl.lmeval:FILE", found,
                                    "--tasks " + text, "another window length: ppl.gptq-1024:FILE"});
  };
  if (file.empty()) fail("no file to measure the perplexity of", text);
  int64_t length = 0;
  if (const size_t dash = protocol.find('-'); dash != std::string::npos) {
    const std::string digits = protocol.substr(dash + 1);
    if (digits.empty() || digits.size() > 7 || digits.find_first_not_of("0123456789") != std::string::npos) {
      fail("not a window length", digits);
    }
    length = std::stoll(digits);
    if (length == 0) fail("not a window length", digits);
    protocol.resize(dash);
  }
  if (protocol != "ppl.gptq" && protocol != "ppl.llamacpp" && protocol != "ppl.lmeval") {
    fail("no such perplexity protocol", protocol);
  }
  std::error_code ignored;
  if (fs::is_regular_file(file, ignored)) file = fs::absolute(file).lexically_normal().string();
  std::string name = text.substr(0, colon + 1) + fs::path(file).filename().string();
  for (char& c : name) {
    if (c == ' ' || c == '\t' || c == '\n' || c == ',') c = '_';
  }
  Json json = {
      {"name", name},       {"version", "1.0"},
      {"form", "rolling"},  {"dataset", {{"file", file}, {"format", "text"}, {"split", "whole file"}}},
      {"target", "{text}"}, {"metrics", {protocol}}};
  if (protocol == "ppl.lmeval") {
    if (length != 0) fail("ppl.lmeval has no window length", std::to_string(length));
    json["metrics"] = {"ppl.lmeval", "ppl.lmeval_byte", "bits_per_byte", "ppl.lmeval_token"};
  } else {
    const bool gptq = protocol == "ppl.gptq";
    json["window"] = {{"protocol", protocol.substr(4)}, {"length", length != 0 ? length : gptq ? 2048 : 512}};
  }
  return ReadTaskSpec(LocatedJson(json.dump(1), text));
}

}  // namespace tnb

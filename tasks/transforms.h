// The named text transforms that task files may put after a field ("then": ["strip"]). One list; a new
// transform is one function and one line in it.
#pragma once

#include <string>
#include <vector>

namespace tnb {

struct Transform {
  const char* name;
  const char* help;
  std::string (*apply)(const std::string& text);
};

const std::vector<Transform>& Transforms();
// nullptr when there is none of that name.
const Transform* FindTransform(const std::string& name);

}  // namespace tnb

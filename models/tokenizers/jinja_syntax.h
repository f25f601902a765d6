// Templates as trees: what jinja_parser.cc makes of a text and jinja.cc walks. For these two files only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace tnb::jinja {

struct Expression {
  enum class Kind {
    kLiteral,    // value
    kName,       // name
    kList,       // children
    kDict,       // children: key, value, key, value ...
    kAttribute,  // children[0] . name
    kItem,       // children[0] [ children[1] ]
    kSlice,      // children[0] [ children[1] : children[2] : children[3] ], null where left out
    kCall,       // children[0] ( children[1..] ), the last `names.size()` of which are by name
    kFilter,     // children[0] | name ( children[1..] )
    kTest,       // children[0] is name ( children[1..] )
    kUnary,      // name children[0]: not, -, +
    kBinary,     // children[0] name children[1]: + - * / // % ~ == != < <= > >= in and or
    kChoice,     // children[0] if children[1] else children[2] (null: nothing)
  };
  Kind kind = Kind::kLiteral;
  Json value;
  std::string name;
  std::vector<std::unique_ptr<Expression>> children;
  std::vector<std::string> names;
};

struct Statement {
  enum class Kind { kText, kOutput, kFor, kIf, kSet, kBreak, kContinue };
  Kind kind = Kind::kText;
  std::string text;                // kText
  std::vector<std::string> names;  // kFor: loop variables; kSet: the name, or object and attribute
  // kOutput, kSet: one. kFor: what is looped over, and the filter after `if` or null. kIf: one a branch.
  std::vector<std::unique_ptr<Expression>> expressions;
  // kFor: body, else. kIf: one a branch, and else.
  std::vector<std::vector<Statement>> bodies;
};

std::vector<Statement> Parse(const std::string& text, const std::string& where);

}  // namespace tnb::jinja

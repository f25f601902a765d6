#include <algorithm>
#include <cctype>
#include <set>

#include "base/error.h"
#include "models/tokenizers/jinja_syntax.h"
#include "models/tokenizers/utf8.h"

namespace tnb::jinja {
namespace {

constexpr int kMostDepth = 200;

struct Token {
  enum class Kind { kEnd, kName, kNumber, kString, kSymbol };
  Kind kind = Kind::kEnd;
  std::string text;
};

// A stretch of the template: text, or what stands between {{ }} or {% %}.
struct Segment {
  enum class Kind { kText, kOutput, kBlock };
  Kind kind;
  std::string text;
};

[[noreturn]] void Unsupported(const std::string& what, const std::string& found, const std::string& where) {
  throw Error(ErrorKind::kUnsupported, {"the chat template uses " + what, "", found.substr(0, 80), where,
                                        "leave --apply-chat-template out, or simplify the template"});
}

[[noreturn]] void Malformed(const std::string& what, const std::string& found, const std::string& where) {
  throw Error(ErrorKind::kData,
              {"the chat template is malformed: " + what, "", found.substr(0, 80), where, ""});
}

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

// Where the tag that begins at `at` is closed; strings inside are skipped.
size_t FindClose(const std::string& text, size_t at, const std::string& close, const std::string& where) {
  char quote = 0;
  for (size_t i = at; i < text.size(); ++i) {
    if (quote != 0) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == quote) {
        quote = 0;
      }
    } else if (text[i] == '\'' || text[i] == '"') {
      quote = text[i];
    } else if (text.compare(i, 2, close) == 0) {
      return i;
    }
  }
  Malformed("a tag is not closed", text.substr(at), where);
}

std::vector<Segment> Split(std::string text, const std::string& where) {
  if (text.ends_with('\n')) text.pop_back();  // Jinja's keep_trailing_newline is off
  std::vector<Segment> segments;
  std::string pending;
  bool strip_next = false;
  const auto flush = [&] {
    if (!pending.empty()) segments.push_back({Segment::Kind::kText, pending});
    pending.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const size_t open = text.find('{', at);
    const bool tag = open != std::string::npos && open + 1 < text.size() &&
                     std::string("{%#").find(text[open + 1]) != std::string::npos;
    std::string plain = text.substr(at, (tag ? open : open == std::string::npos ? open : open + 1) - at);
    if (open == std::string::npos) plain = text.substr(at);
    if (strip_next) {
      plain.erase(0, std::min(plain.size(), plain.find_first_not_of(" \t\r\n\v\f")));
      strip_next = plain.empty();
    }
    pending += plain;
    if (open == std::string::npos) break;
    if (!tag) {
      at = open + 1;
      continue;
    }
    const char kind = text[open + 1];
    size_t begin = open + 2;
    const char before = begin < text.size() ? text[begin] : ' ';
    if (before == '-') {
      while (!pending.empty() && IsSpace(pending.back())) pending.pop_back();
    } else if (kind != '{' && before != '+') {  // lstrip_blocks: white space from the start of the line
      size_t line = pending.size();
      while (line > 0 && pending[line - 1] != '\n' && IsSpace(pending[line - 1])) --line;
      const bool starts_line = line > 0 ? pending[line - 1] == '\n' : segments.empty();
      if (starts_line) pending.resize(line);
    }
    if (before == '-' || before == '+') ++begin;
    const std::string close = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
    const size_t end = kind == '#' ? text.find(close, begin) : FindClose(text, begin, close, where);
    if (end == std::string::npos) Malformed("a comment is not closed", text.substr(open), where);
    std::string inside = text.substr(begin, end - begin);
    const char after = inside.empty() ? ' ' : inside.back();
    if (after == '-' || after == '+') inside.pop_back();
    at = end + 2;
    strip_next = after == '-';
    if (kind != '{' && after != '+' && !strip_next && at < text.size() && text[at] == '\n')
      ++at;  // trim_blocks
    if (kind == '#') {
      if (strip_next) flush();
      continue;
    }
    flush();
    segments.push_back({kind == '{' ? Segment::Kind::kOutput : Segment::Kind::kBlock, inside});
  }
  flush();
  return segments;
}

std::vector<Token> Tokenize(const std::string& text, const std::string& where) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (IsSpace(c)) {
      ++i;
    } else if (std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_') {
      size_t end = i;
      while (end < text.size() &&
             (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
        ++end;
      tokens.push_back({Token::Kind::kName, text.substr(i, end - i)});
      i = end;
    } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      size_t end = i;
      while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0) ++end;
      if (end - i > 15) Malformed("a number is too long", text.substr(i), where);
      tokens.push_back({Token::Kind::kNumber, text.substr(i, end - i)});
      i = end;
    } else if (c == '\'' || c == '"') {
      std::string value;
      size_t at = i + 1;
      for (; at < text.size() && text[at] != c; ++at) {
        if (text[at] != '\\' || at + 1 >= text.size()) {
          value += text[at];
          continue;
        }
        const char escaped = text[++at];
        static const std::string from = "ntr\\'\"0abfv", to("\n\t\r\\'\"\0\a\b\f\v", 11);
        const size_t known = from.find(escaped);
        if (escaped == 'x' || escaped == 'u' || escaped == 'U' || escaped == 'N') {
          Unsupported("an escape", text.substr(at - 1, 8), where);
        }
        if (known == std::string::npos) value += '\\';
        value += known == std::string::npos ? escaped : to[known];
      }
      if (at >= text.size()) Malformed("a text is not closed", text.substr(i), where);
      if (!tokens.empty() && tokens.back().kind == Token::Kind::kString) {
        tokens.back().text += value;
      } else {
        tokens.push_back({Token::Kind::kString, value});
      }
      i = at + 1;
    } else {
      std::string symbol(1, c);
      for (const char* pair : {"==", "!=", "<=", ">=", "//", "**"}) {
        if (text.compare(i, 2, pair) == 0) symbol = pair;
      }
      tokens.push_back({Token::Kind::kSymbol, symbol});
      i += symbol.size();
    }
  }
  tokens.push_back({});
  return tokens;
}

using Kind = Expression::Kind;
using Node = std::unique_ptr<Expression>;

Node Make(Kind kind, const std::string& name = "") {
  Node node = std::make_unique<Expression>();
  node->kind = kind;
  node->name = name;
  return node;
}

Node Make(Kind kind, const std::string& name, Node first, Node second = nullptr) {
  Node node = Make(kind, name);
  node->children.push_back(std::move(first));
  if (second != nullptr) node->children.push_back(std::move(second));
  return node;
}

class ExpressionParser {
 public:
  ExpressionParser(const std::string& text, const std::string& where)
      : tokens_(Tokenize(text, where)), text_(text), where_(where) {}

  Node Full() {
    Deeper();
    Node node = Or();
    if (Take("if")) {
      Node choice = Make(Kind::kChoice, "", std::move(node), Or());
      choice->children.push_back(Take("else") ? Full() : nullptr);
      node = std::move(choice);
    }
    --depth_;
    return node;
  }
  Node Or() {
    Node node = And();
    while (Take("or")) node = Make(Kind::kBinary, "or", std::move(node), And());
    return node;
  }
  bool Take(const std::string& word) {
    const Token& token = tokens_[at_];
    if ((token.kind != Token::Kind::kName && token.kind != Token::Kind::kSymbol) || token.text != word)
      return false;
    ++at_;
    return true;
  }
  void Need(const std::string& word) {
    if (!Take(word)) Malformed("'" + word + "' was expected", text_, where_);
  }
  std::string Name() {
    if (tokens_[at_].kind != Token::Kind::kName) Malformed("a name was expected", text_, where_);
    return tokens_[at_++].text;
  }
  void End() {
    if (tokens_[at_].kind != Token::Kind::kEnd) Malformed("something follows", text_, where_);
  }

 private:
  void Deeper() {
    if (++depth_ > kMostDepth) Malformed("too deep", text_, where_);
  }
  Node And() {
    Node node = Not();
    while (Take("and")) node = Make(Kind::kBinary, "and", std::move(node), Not());
    return node;
  }
  Node Not() {
    if (!Take("not")) return Compare();
    Deeper();
    Node node = Make(Kind::kUnary, "not", Not());
    --depth_;
    return node;
  }
  Node Compare() {
    Node node = Sum();
    int count = 0;
    while (true) {
      std::string sign;
      for (const char* known : {"==", "!=", "<=", ">=", "<", ">", "in"}) {
        if (sign.empty() && Take(known)) sign = known;
      }
      bool negated = false;
      if (sign.empty() && tokens_[at_].text == "not" && at_ + 1 < tokens_.size() &&
          tokens_[at_ + 1].text == "in" && tokens_[at_].kind == Token::Kind::kName) {
        at_ += 2;
        sign = "in";
        negated = true;
      }
      if (sign.empty()) return node;
      if (++count > 1) Unsupported("a chain of comparisons", text_, where_);
      node = Make(Kind::kBinary, sign, std::move(node), Sum());
      if (negated) node = Make(Kind::kUnary, "not", std::move(node));
    }
  }
  Node Left(Node (ExpressionParser::*part)(), std::initializer_list<const char*> signs) {
    Node node = (this->*part)();
    while (true) {
      std::string sign;
      for (const char* known : signs) {
        if (sign.empty() && tokens_[at_].kind == Token::Kind::kSymbol && Take(known)) sign = known;
      }
      if (sign.empty()) return node;
      node = Make(Kind::kBinary, sign, std::move(node), (this->*part)());
    }
  }
  Node Sum() { return Left(&ExpressionParser::Joined, {"+", "-"}); }
  Node Joined() { return Left(&ExpressionParser::Product, {"~"}); }
  Node Product() { return Left(&ExpressionParser::Unary, {"*", "//", "/", "%"}); }

  Node Unary() {
    Deeper();
    Node node;
    if (tokens_[at_].kind == Token::Kind::kSymbol && (Take("-"))) {
      node = Make(Kind::kUnary, "-", Unary());
    } else {
      node = Filters(Postfix(Primary()));
    }
    --depth_;
    return node;
  }

  Node Primary() {
    const Token token = tokens_[at_];
    if (token.kind == Token::Kind::kString) {
      ++at_;
      Node node = Make(Kind::kLiteral);
      node->value = token.text;
      return node;
    }
    if (token.kind == Token::Kind::kNumber) {
      ++at_;
      if (tokens_[at_].text == "." && tokens_[at_ + 1].kind == Token::Kind::kNumber)
        Unsupported("a number with a fraction", text_, where_);
      Node node = Make(Kind::kLiteral);
      node->value = static_cast<int64_t>(std::stoll(token.text));
      return node;
    }
    if (token.kind == Token::Kind::kName) {
      ++at_;
      static const std::set<std::string> yes = {"true", "True"}, no = {"false", "False"},
                                         none = {"none", "None"};
      if (yes.contains(token.text) || no.contains(token.text) || none.contains(token.text)) {
        Node node = Make(Kind::kLiteral);
        if (!none.contains(token.text)) node->value = yes.contains(token.text);
        return node;
      }
      return Make(Kind::kName, token.text);
    }
    if (Take("(")) {
      Node node = Full();
      if (Take(",")) Unsupported("a tuple", text_, where_);
      Need(")");
      return node;
    }
    if (Take("[")) {
      Node node = Make(Kind::kList);
      while (!Take("]")) {
        node->children.push_back(Full());
        if (!Take(",")) {
          Need("]");
          break;
        }
      }
      return node;
    }
    if (Take("{")) {
      Node node = Make(Kind::kDict);
      while (!Take("}")) {
        node->children.push_back(Full());
        Need(":");
        node->children.push_back(Full());
        if (!Take(",")) {
          Need("}");
          break;
        }
      }
      return node;
    }
    Malformed("an expression was expected", text_, where_);
  }

  Node Postfix(Node node) {
    while (true) {
      if (Take(".")) {
        node = Make(Kind::kAttribute, Name(), std::move(node));
      } else if (Take("[")) {
        node = Subscript(std::move(node));
      } else if (Take("(")) {
        node = Make(Kind::kCall, "", std::move(node));
        Arguments(*node);
      } else {
        return node;
      }
    }
  }

  Node Subscript(Node node) {
    Node parts[3];
    int colons = 0;
    while (!Take("]")) {
      if (Take(":")) {
        if (++colons > 2) Malformed("a slice has three parts", text_, where_);
        continue;
      }
      if (parts[colons] != nullptr) Malformed("']' was expected", text_, where_);
      parts[colons] = Full();
    }
    if (colons == 0) {
      if (parts[0] == nullptr) Malformed("an index was expected", text_, where_);
      return Make(Kind::kItem, "", std::move(node), std::move(parts[0]));
    }
    Node slice = Make(Kind::kSlice, "", std::move(node));
    for (Node& part : parts) slice->children.push_back(std::move(part));
    return slice;
  }

  // After the "(": up to and with the ")".
  void Arguments(Expression& call) {
    while (!Take(")")) {
      if (tokens_[at_].kind == Token::Kind::kName && tokens_[at_ + 1].kind == Token::Kind::kSymbol &&
          tokens_[at_ + 1].text == "=") {
        call.names.push_back(Name());
        Need("=");
      } else if (!call.names.empty()) {
        Malformed("an argument by position follows one by name", text_, where_);
      }
      call.children.push_back(Full());
      if (!Take(",")) {
        Need(")");
        return;
      }
    }
  }

  Node Filters(Node node) {
    while (true) {
      if (Take("|")) {
        node = Make(Kind::kFilter, Name(), std::move(node));
        if (Take("(")) Arguments(*node);
        node = Postfix(std::move(node));
      } else if (tokens_[at_].kind == Token::Kind::kName && Take("is")) {
        const bool negated = Take("not");
        node = Make(Kind::kTest, Name(), std::move(node));
        if (Take("(")) Arguments(*node);
        if (negated) node = Make(Kind::kUnary, "not", std::move(node));
      } else {
        return node;
      }
    }
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  std::string text_, where_;
};

class Parser {
 public:
  Parser(std::vector<Segment> segments, const std::string& where)
      : segments_(std::move(segments)), where_(where) {}

  std::vector<Statement> All() {
    std::string stop;
    std::vector<Statement> statements = Body({}, &stop);
    return statements;
  }

 private:
  // Statements up to a block that begins with one of `ends`, which is left in `stop` with its rest.
  std::vector<Statement> Body(const std::set<std::string>& ends, std::string* stop) {
    if (++depth_ > kMostDepth) Malformed("too deep", "", where_);
    std::vector<Statement> statements;
    while (at_ < segments_.size()) {
      const Segment segment = segments_[at_++];
      if (segment.kind == Segment::Kind::kText) {
        statements.push_back({Statement::Kind::kText, segment.text, {}, {}, {}});
        continue;
      }
      ExpressionParser parser(segment.text, where_);
      if (segment.kind == Segment::Kind::kOutput) {
        Statement output{Statement::Kind::kOutput, "", {}, {}, {}};
        output.expressions.push_back(parser.Full());
        parser.End();
        statements.push_back(std::move(output));
        continue;
      }
      const std::string word = parser.Name();
      if (ends.contains(word)) {
        *stop = segment.text;
        --depth_;
        return statements;
      }
      if (word == "generation" || word == "endgeneration") continue;  // marks for training; prints nothing
      statements.push_back(Block(word, parser, segment.text));
    }
    if (!ends.empty()) Malformed("a block is not closed", *ends.begin() + " is missing", where_);
    --depth_;
    return statements;
  }

  Statement Block(const std::string& word, ExpressionParser& parser, const std::string& text) {
    Statement statement;
    if (word == "for") {
      statement.kind = Statement::Kind::kFor;
      do {
        statement.names.push_back(parser.Name());
      } while (parser.Take(","));
      parser.Need("in");
      statement.expressions.push_back(parser.Or());
      statement.expressions.push_back(parser.Take("if") ? parser.Full() : nullptr);
      parser.End();
      std::string stop;
      statement.bodies.push_back(Body({"endfor", "else"}, &stop));
      statement.bodies.emplace_back();
      if (Word(stop) == "else") statement.bodies.back() = Body({"endfor"}, &stop);
    } else if (word == "if") {
      statement.kind = Statement::Kind::kIf;
      statement.expressions.push_back(parser.Full());
      parser.End();
      std::string stop;
      while (true) {
        statement.bodies.push_back(Body({"endif", "else", "elif"}, &stop));
        if (Word(stop) != "elif") break;
        ExpressionParser next(stop, where_);
        next.Name();
        statement.expressions.push_back(next.Full());
        next.End();
      }
      statement.bodies.emplace_back();
      if (Word(stop) == "else") statement.bodies.back() = Body({"endif"}, &stop);
    } else if (word == "set") {
      statement.kind = Statement::Kind::kSet;
      statement.names.push_back(parser.Name());
      if (parser.Take(".")) statement.names.push_back(parser.Name());
      if (!parser.Take("=")) Unsupported("a block with set", text, where_);
      statement.expressions.push_back(parser.Full());
      parser.End();
    } else if (word == "break" || word == "continue") {
      statement.kind = word == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue;
      parser.End();
    } else {
      Unsupported("a statement that is not known here", text, where_);
    }
    return statement;
  }

  std::string Word(const std::string& text) const { return ExpressionParser(text, where_).Name(); }

  std::vector<Segment> segments_;
  size_t at_ = 0;
  int depth_ = 0;
  std::string where_;
};

}  // namespace

std::vector<Statement> Parse(const std::string& text, const std::string& where) {
  return Parser(Split(text, where), where).All();
}

}  // namespace tnb::jinja

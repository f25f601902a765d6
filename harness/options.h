// The options of a command: declared here, read by CLI11. That library stays behind this header, because it
// cost 10 s in every file that includes it.
//
//   options.Add("--threads", threads, "0: one a logical core").Between(0, 4096).ShowDefault();
//   options.Flag("--json", json, "as JSON");
//
// A name without a dash is an argument by its place. Variables must live until the command line has been
// parsed.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace tnb {

// An option that was declared. What changes how it is read or shown returns it again; values that do not fit
// are errors of the command line, exit code 2.
class DeclaredOption {
 public:
  explicit DeclaredOption(CLI::Option* option) : option_(option) {}

  DeclaredOption Required() const;
  DeclaredOption Needs(const DeclaredOption& other) const;  // is an error without it
  DeclaredOption OneOf(const std::vector<std::string>& values) const;
  DeclaredOption Between(int least, int most) const;  // both included
  DeclaredOption Between(double least, double most) const;
  DeclaredOption Positive() const;
  DeclaredOption NonNegative() const;
  DeclaredOption CommaSeparated() const;                    // of a vector
  DeclaredOption ShowDefault() const;                       // the help names what the variable holds now
  DeclaredOption ShownAs(const std::string& values) const;  // in the help, in place of TEXT or INT

  // After parsing.
  bool Given() const;
  std::vector<std::string> Texts() const;  // as typed; parts of a list apart
  bool TakesValue() const;                 // false: a flag
  std::string Name() const;                // the long one, with its dashes

 private:
  CLI::Option* option_;
};

class OptionList {
 public:
  explicit OptionList(CLI::App& app) : app_(&app) {}

  // T: std::string, int, int64_t, double, std::optional of a whole number, std::vector of std::string or int.
  template <typename T>
  DeclaredOption Add(const std::string& name, T& variable, const std::string& help);
  DeclaredOption Flag(const std::string& name, bool& variable, const std::string& help);
  void Remove(const std::string& name);
  std::vector<DeclaredOption> Declared() const;

  // A command below this one, of which one must be given; options of this one are taken after its name too.
  // `declare` declares its options and returns what is called after parsing when it was given.
  void AddCommand(const std::string& name, const std::string& summary, const std::string& examples,
                  const std::function<std::function<void()>(OptionList&)>& declare);

 private:
  CLI::App* app_;
};

// Parses a command line of its own, without the program's and the command's name, into the options that
// `declare` declares; of an option given twice the last one counts. Error{kUsage} naming `where` and
// `program`, whose they are.
void ParseOptions(const std::vector<std::string>& arguments, const std::function<void(OptionList&)>& declare,
                  const std::string& where, const std::string& program);

}  // namespace tnb

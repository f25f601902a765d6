#include "harness/options.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

#include "base/error.h"

namespace tnb {

DeclaredOption DeclaredOption::Required() const {
  option_->required();
  return *this;
}

DeclaredOption DeclaredOption::Needs(const DeclaredOption& other) const {
  option_->needs(other.option_);
  return *this;
}

DeclaredOption DeclaredOption::OneOf(const std::vector<std::string>& values) const {
  option_->check(CLI::IsMember(values));
  return *this;
}

DeclaredOption DeclaredOption::Between(int least, int most) const {
  option_->check(CLI::Range(least, most));
  return *this;
}

DeclaredOption DeclaredOption::Between(double least, double most) const {
  option_->check(CLI::Range(least, most));
  return *this;
}

DeclaredOption DeclaredOption::Positive() const {
  option_->check(CLI::PositiveNumber);
  return *this;
}

DeclaredOption DeclaredOption::NonNegative() const {
  option_->check(CLI::NonNegativeNumber);
  return *this;
}

DeclaredOption DeclaredOption::CommaSeparated() const {
  option_->delimiter(',');
  return *this;
}

DeclaredOption DeclaredOption::ShowDefault() const {
  option_->capture_default_str();
  return *this;
}

DeclaredOption DeclaredOption::ShownAs(const std::string& values) const {
  option_->type_name(values);
  return *this;
}

bool DeclaredOption::Given() const { return option_->count() > 0; }
std::vector<std::string> DeclaredOption::Texts() const { return option_->results(); }
bool DeclaredOption::TakesValue() const { return option_->get_items_expected_max() > 0; }
std::string DeclaredOption::Name() const { return option_->get_name(); }

template <typename T>
DeclaredOption OptionList::Add(const std::string& name, T& variable, const std::string& help) {
  return DeclaredOption(app_->add_option(name, variable, help));
}

template DeclaredOption OptionList::Add(const std::string&, std::string&, const std::string&);
template DeclaredOption OptionList::Add(const std::string&, int&, const std::string&);
template DeclaredOption OptionList::Add(const std::string&, int64_t&, const std::string&);
template DeclaredOption OptionList::Add(const std::string&, double&, const std::string&);
template DeclaredOption OptionList::Add(const std::string&, std::optional<int>&, const std::string&);
template DeclaredOption OptionList::Add(const std::string&, std::optional<int64_t>&, const std::string&);
template DeclaredOption OptionList::Add(const std::string&, std::vector<int>&, const std::string&);
template DeclaredOption OptionList::Add(const std::string&, std::vector<std::string>&, const std::string&);

DeclaredOption OptionList::Flag(const std::string& name, bool& variable, const std::string& help) {
  return DeclaredOption(app_->add_flag(name, variable, help));
}

void OptionList::Remove(const std::string& name) { app_->remove_option(app_->get_option(name)); }

std::vector<DeclaredOption> OptionList::Declared() const {
  std::vector<DeclaredOption> declared;
  for (CLI::Option* option : app_->get_options()) declared.emplace_back(option);
  return declared;
}

void OptionList::AddCommand(const std::string& name, const std::string& summary, const std::string& examples,
                            const std::function<std::function<void()>(OptionList&)>& declare) {
  app_->require_subcommand(1);
  CLI::App* command = app_->add_subcommand(name, summary);
  command->fallthrough();
  command->footer("Examples:\n" + examples);
  OptionList options(*command);
  command->callback(declare(options));
}

void ParseOptions(const std::vector<std::string>& arguments, const std::function<void(OptionList&)>& declare,
                  const std::string& where, const std::string& program) {
  CLI::App app;
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  OptionList options(app);
  declare(options);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // as CLI11 takes them
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::kUsage, {error.what(), "options of " + program, "", where, program + " --help"});
  }
}

}  // namespace tnb

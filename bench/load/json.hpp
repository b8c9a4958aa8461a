// Writes JSON: names and values in their order, with the commas between them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace load {

class Json {
 public:
  // What has no name is in an array, or outermost.
  Json& open(char bracket, std::string_view name = {});
  Json& close(char bracket);

  // Text is plain: nothing in it is escaped. What is not there is null.
  Json& text(std::string_view name, std::string_view value);
  Json& number(std::string_view name, std::optional<double> value);
  Json& truth(std::string_view name, std::optional<bool> value);

  const std::string& written() const { return text_; }

 private:
  void begin(std::string_view name);

  std::string text_;
  bool first_ = true;
};

}  // namespace load

#include "json.hpp"

#include <cstdio>

namespace load {

Json& Json::open(char bracket, std::string_view name) {
  begin(name);
  text_ += bracket;
  first_ = true;
  return *this;
}

Json& Json::close(char bracket) {
  text_ += bracket;
  first_ = false;
  return *this;
}

Json& Json::text(std::string_view name, std::string_view value) {
  begin(name);
  text_.append("\"").append(value).append("\"");
  return *this;
}

Json& Json::number(std::string_view name, std::optional<double> value) {
  begin(name);
  char digits[32] = "null";
  if (value) std::snprintf(digits, sizeof digits, "%.12g", *value);
  text_ += digits;
  return *this;
}

Json& Json::truth(std::string_view name, std::optional<bool> value) {
  begin(name);
  text_ += !value ? "null" : *value ? "true" : "false";
  return *this;
}

void Json::begin(std::string_view name) {
  if (!first_) text_ += ", ";
  first_ = false;
  if (!name.empty()) text_.append("\"").append(name).append("\": ");
}

}  // namespace load

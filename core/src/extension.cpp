#include "timtow/extension.hpp"

#include <algorithm>

#include "timtow/http.hpp"

namespace timtow {
namespace {

// What is left of the text to read; each of these takes what it finds at the front.
class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : left_(text) {}

  bool empty() const noexcept { return left_.empty(); }

  void skip_spaces() noexcept {
    left_.remove_prefix(std::min(left_.find_first_not_of(" \t"), left_.size()));
  }

  bool take(char c) noexcept {
    skip_spaces();
    if (!left_.starts_with(c)) return false;
    left_.remove_prefix(1);
    skip_spaces();
    return true;
  }

  // Empty when there is none.
  std::string_view take_token() noexcept {
    std::size_t size = 0;
    while (size < left_.size() && is_token(left_.substr(size, 1))) ++size;
    const std::string_view token = left_.substr(0, size);
    left_.remove_prefix(size);
    return token;
  }

  // A token or a quoted string; nothing when it is neither.
  std::optional<std::string> take_value() {
    if (!left_.starts_with('"')) return std::string{take_token()};
    std::string text;
    for (std::size_t i = 1; i < left_.size(); ++i) {
      if (left_[i] == '"') {
        left_.remove_prefix(i + 1);
        return text;
      }
      if (left_[i] == '\\' && ++i == left_.size()) break;
      text += left_[i];
    }
    return std::nullopt;
  }

 private:
  std::string_view left_;
};

}  // namespace

// extension *( OWS ";" OWS token [ "=" ( token / quoted-string ) ] )
std::optional<Extension> Extension::parse(std::string_view text) {
  Reader reader{text};
  Extension extension;
  extension.name = reader.take_token();
  if (extension.name.empty()) return std::nullopt;
  while (reader.take(';')) {
    Parameter& parameter = extension.parameters.emplace_back();
    parameter.name = reader.take_token();
    if (parameter.name.empty()) return std::nullopt;
    if (!reader.take('=')) continue;
    parameter.value = reader.take_value();
    if (!parameter.value || parameter.value->empty()) return std::nullopt;
  }
  reader.skip_spaces();
  if (!reader.empty()) return std::nullopt;
  return extension;
}

}  // namespace timtow

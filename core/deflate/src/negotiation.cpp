// The parameters of permessage-deflate (RFC 7692 section 7.1): read, answered, checked.
#include <algorithm>
#include <optional>

#include "codec.hpp"
#include "timtow/deflate.hpp"
#include "timtow/extension.hpp"

namespace timtow {
namespace {

constexpr std::string_view extension_name = "permessage-deflate";
constexpr int most_bits = 15;

// Those of an offer, or of an answer to one.
struct Parameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<int> server_max_window_bits;
  std::optional<int> client_max_window_bits;  // 0: without a value, which only an offer may be
};

// 8 to 15, without a leading zero; 0 for anything else.
int window_bits(std::string_view text) noexcept {
  if (text == "8" || text == "9") return text[0] - '0';
  return text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5' ? 10 + text[1] - '0'
                                                                                : 0;
}

bool read_flag(const Extension::Parameter& parameter, bool& flag) noexcept {
  return !parameter.value && !std::exchange(flag, true);
}

bool read_bits(const Extension::Parameter& parameter, bool may_be_bare,
               std::optional<int>& bits) noexcept {
  if (bits) return false;
  bits = parameter.value ? window_bits(*parameter.value) : 0;
  return *bits != 0 || (may_be_bare && !parameter.value);
}

// The first that is unknown, comes twice, or has a value that it may not have (section 7.1); null
// where there is none, and then `all` are these.
const Extension::Parameter* read_parameters(const Extension& extension, bool is_offer,
                                            Parameters& all) noexcept {
  const auto read = [&](const Extension::Parameter& each) {
    if (each.name == "server_no_context_takeover")
      return read_flag(each, all.server_no_context_takeover);
    if (each.name == "client_no_context_takeover")
      return read_flag(each, all.client_no_context_takeover);
    if (each.name == "server_max_window_bits")
      return read_bits(each, false, all.server_max_window_bits);
    if (each.name == "client_max_window_bits")
      return read_bits(each, is_offer, all.client_max_window_bits);
    return false;
  };
  const auto wrong =
      std::find_if_not(extension.parameters.begin(), extension.parameters.end(), read);
  return wrong == extension.parameters.end() ? nullptr : &*wrong;
}

std::string to_text(const Parameters& parameters) {
  std::string text{extension_name};
  const auto add_bits = [&](const char* name, const std::optional<int>& bits) {
    if (!bits) return;
    text.append("; ").append(name);
    if (*bits != 0) text.append("=").append(std::to_string(*bits));
  };
  if (parameters.server_no_context_takeover) text += "; server_no_context_takeover";
  if (parameters.client_no_context_takeover) text += "; client_no_context_takeover";
  add_bits("server_max_window_bits", parameters.server_max_window_bits);
  add_bits("client_max_window_bits", parameters.client_max_window_bits);
  return text;
}

Error bad_response(const char* sentence) noexcept {
  return make_error(errc::bad_response, "permessage-deflate: the response %s", sentence);
}

}  // namespace

Deflate::Deflate(const DeflateOptions& options) noexcept : options_(options) {
  const auto clamp = [](int& number, int least, int most) {
    number = std::clamp(number, least, most);
  };
  clamp(options_.server_max_window_bits, 8, most_bits);
  clamp(options_.client_max_window_bits, 8, most_bits);
  clamp(options_.level, 1, 9);
  clamp(options_.memory_level, 1, 9);
}

std::unique_ptr<Codec> Deflate::accept(const std::vector<std::string_view>& offers, Pool& pool,
                                       std::string& answer) const {
  for (const std::string_view each : offers) {
    const auto extension = Extension::parse(each);
    if (!extension || extension->name != extension_name) continue;
    Parameters offer;
    if (read_parameters(*extension, true, offer) != nullptr) continue;

    Parameters agreed;
    agreed.server_no_context_takeover =
        offer.server_no_context_takeover || options_.server_no_context_takeover;
    agreed.client_no_context_takeover =
        offer.client_no_context_takeover || options_.client_no_context_takeover;
    const int bits =
        std::min(offer.server_max_window_bits.value_or(most_bits), options_.server_max_window_bits);
    if (offer.server_max_window_bits || bits < most_bits) agreed.server_max_window_bits = bits;
    // The client's may be stated only to one who says that it can be limited (section 7.1.2.2).
    if (offer.client_max_window_bits) {
      const int asked = *offer.client_max_window_bits;
      const int most = std::min(asked == 0 ? most_bits : asked, options_.client_max_window_bits);
      if (asked != 0 || most < most_bits) agreed.client_max_window_bits = most;
    }
    answer = to_text(agreed);
    return deflate::make_codec({.compressing = {bits, options_.level, options_.memory_level},
                                .compressing_takes_over = !agreed.server_no_context_takeover,
                                .decompressing_takes_over = !agreed.client_no_context_takeover,
                                .min_size = options_.min_size},
                               pool);
  }
  return nullptr;
}

std::string Deflate::offer() const {
  Parameters offer;
  offer.server_no_context_takeover = options_.server_no_context_takeover;
  offer.client_no_context_takeover = options_.client_no_context_takeover;
  if (options_.server_max_window_bits < most_bits)
    offer.server_max_window_bits = options_.server_max_window_bits;
  // Always, so that the server may limit it.
  offer.client_max_window_bits =
      options_.client_max_window_bits < most_bits ? options_.client_max_window_bits : 0;
  return to_text(offer);
}

Error Deflate::confirm(const std::vector<std::string_view>& chosen, Pool& pool,
                       std::unique_ptr<Codec>& codec) const {
  if (chosen.empty()) return {};
  const auto extension = Extension::parse(chosen[0]);
  if (chosen.size() > 1 || !extension || extension->name != extension_name)
    return make_error(errc::bad_response,
                      "the response selects an extension that we did not offer");
  Parameters answer;
  if (const auto* const wrong = read_parameters(*extension, false, answer))
    return make_error(errc::bad_response,
                      "permessage-deflate: the response's parameter \"%.64s\" is unknown, comes "
                      "twice, or has no such value",
                      std::string{wrong->name}.c_str());
  if (options_.server_no_context_takeover && !answer.server_no_context_takeover)
    return bad_response("does not grant server_no_context_takeover, which we asked for");
  if (answer.server_max_window_bits.value_or(most_bits) > options_.server_max_window_bits)
    return bad_response("grants no server_max_window_bits as small as we asked for");
  if (answer.client_max_window_bits.value_or(0) > options_.client_max_window_bits)
    return bad_response("selects a client_max_window_bits larger than we offered");

  const int bits =
      std::min(answer.client_max_window_bits.value_or(most_bits), options_.client_max_window_bits);
  const bool takes_over =
      !options_.client_no_context_takeover && !answer.client_no_context_takeover;
  codec = deflate::make_codec({.compressing = {bits, options_.level, options_.memory_level},
                               .compressing_takes_over = takes_over,
                               .decompressing_takes_over = !answer.server_no_context_takeover,
                               .min_size = options_.min_size},
                              pool);
  return {};
}

}  // namespace timtow

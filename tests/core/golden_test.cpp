// Runs the golden logs, golden/*.log: bytes in, events and output out. golden/README.md tells their
// form. Each case is fed whole, split in two at every byte, and byte by byte, and must always give
// the same log.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "handshake_drafts.hpp"
#include "support/harness.hpp"

namespace {

using namespace timtow;

const std::filesystem::path golden = TIMTOW_GOLDEN;

// Stands for the Sec-WebSocket-Accept that answers the client's random key; as long as that is.
constexpr std::string_view accept_mark = "{the accept for its own key}";
static_assert(accept_mark.size() == 28);
// And for the answer to the challenge of its draft 76; and for one that ends wrongly.
constexpr std::string_view answer_mark = "{that, its 76th}";
constexpr std::string_view wrong_answer_mark = "{the wrong that}";
static_assert(answer_mark.size() == 16 && wrong_answer_mark.size() == 16);

// -- Cases ----------------------------------------------------------------------------------------

// What happens, and what is expected of it: actions of the application, then input.
struct Step {
  test::Lines actions;
  std::string input;
  bool end_of_input = false;
  test::Lines expected;
};

struct Case {
  std::string title;
  std::string where;
  Role role = Role::server;
  bool open = false;       // the opening handshake is done
  bool accepting = false;  // the application accepts as soon as it is asked
  bool echo = false;
  bool streaming = false;
  bool drafts = false;
  Limits limits;
  std::vector<Step> steps;
  std::set<std::size_t> ends;  // where the lines of input end: the places to split long input

  std::size_t input_size() const {
    std::size_t sum = 0;
    for (const auto& step : steps) sum += step.input.size();
    return sum;
  }
};

// The next word of a line: up to a space, with what is quoted in it.
std::string take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  std::size_t end = 0;
  for (bool in_quotes = false; end < line.size() && (in_quotes || line[end] != ' '); ++end) {
    if (line[end] == '\\')
      ++end;
    else if (line[end] == '"')
      in_quotes = !in_quotes;
  }
  const std::string word{line.substr(0, end)};
  line.remove_prefix(std::min(end, line.size()));
  return word;
}

unsigned long number(const std::string& text) {
  std::size_t used = 0;
  const unsigned long value = std::stoul(text, &used, 0);
  if (used != text.size()) throw std::runtime_error("not a number: " + text);
  return value;
}

std::string unquoted(std::string_view text) { return test::take_quoted(text); }

// An option `name=value` of a word.
bool is_option(const std::string& word, std::string_view name, std::string& value) {
  if (!word.starts_with(name) || word.size() <= name.size() || word[name.size()] != '=')
    return false;
  value = word.substr(name.size() + 1);
  return true;
}

// Puts the one in the place of the other's first.
void replace(std::string& text, std::string_view what, std::string_view with) {
  if (const auto at = text.find(what); at != text.npos) text.replace(at, what.size(), with);
}

std::string hex(std::string_view line) {
  std::string bytes;
  for (std::string word = take_word(line); !word.empty(); word = take_word(line)) {
    if (word.size() != 2) throw std::runtime_error("not two hex digits: " + word);
    bytes += static_cast<char>(test::hex_digit(word[0]) << 4 | test::hex_digit(word[1]));
  }
  return bytes;
}

// A frame as the peer of `role` sends it, unless its options say otherwise.
std::string frame(Role role, std::string_view line) {
  static const std::map<std::string, unsigned> opcodes{{"continuation", test::opcode::continuation},
                                                       {"text", test::opcode::text},
                                                       {"binary", test::opcode::binary},
                                                       {"close", test::opcode::close},
                                                       {"ping", test::opcode::ping},
                                                       {"pong", test::opcode::pong}};
  test::Frame frame;
  bool has_opcode = false;
  if (role == Role::server) frame.key = test::rfc_key;
  for (std::string word = take_word(line); !word.empty(); word = take_word(line)) {
    std::string value;
    if (is_option(word, "fin", value)) {
      frame.fin = value != "0";
    } else if (is_option(word, "rsv", value)) {
      frame.rsv = static_cast<unsigned>(number(value));
    } else if (is_option(word, "opcode", value)) {
      frame.opcode = static_cast<unsigned>(number(value));
      has_opcode = true;
    } else if (is_option(word, "length", value)) {
      frame.form = static_cast<test::LengthForm>(number(value));
    } else if (is_option(word, "announced", value)) {
      frame.announced = number(value);
    } else if (is_option(word, "mask", value)) {
      frame.key.reset();
      if (value != "none") {
        const std::uint32_t key = static_cast<std::uint32_t>(number("0x" + value));
        frame.key.emplace();
        for (unsigned i = 0; i < 4; ++i)
          (*frame.key)[i] = static_cast<unsigned char>(key >> (24 - 8 * i));
      }
    } else if (opcodes.contains(word)) {
      frame.opcode = opcodes.at(word);
      has_opcode = true;
    } else if (word.starts_with('"')) {
      frame.payload += unquoted(word);
    } else if (frame.opcode == test::opcode::close && frame.payload.empty()) {
      frame.payload = test::close_payload(static_cast<unsigned>(number(word)));
    } else {
      throw std::runtime_error("not part of a frame: " + word);
    }
  }
  if (!has_opcode) throw std::runtime_error("a frame without an opcode");
  return test::encode(frame);
}

void set_limit(Limits& limits, const std::string& word) {
  static const std::map<std::string, std::size_t Limits::*> fields{
      {"handshake_bytes", &Limits::handshake_bytes},
      {"handshake_headers", &Limits::handshake_headers},
      {"message_bytes", &Limits::message_bytes},
      {"message_fragments", &Limits::message_fragments},
      {"output_bytes", &Limits::output_bytes},
  };
  const auto equals = word.find('=');
  const auto field = fields.find(word.substr(0, equals));
  if (equals == word.npos || field == fields.end())
    throw std::runtime_error("not a limit: " + word);
  limits.*(field->second) = number(word.substr(equals + 1));
}

void set_up(Case& it, std::string_view line) {
  for (std::string word = take_word(line); !word.empty(); word = take_word(line)) {
    if (word == "server")
      it.role = Role::server;
    else if (word == "client")
      it.role = Role::client;
    else if (word == "open")
      it.open = true;
    else if (word == "accepting")
      it.accepting = true;
    else if (word == "echo")
      it.echo = true;
    else if (word == "streaming")
      it.streaming = true;
    else if (word == "drafts")
      it.drafts = true;
    else
      set_limit(it.limits, word);
  }
}

// An expected line, with what it quotes written as the log writes it.
std::string normalised(std::string_view line) {
  if (line.starts_with(">|")) return std::string{line};
  std::string result;
  while (!line.empty()) {
    if (line[0] == '"') {
      result += test::in_quotes(test::take_quoted(line));
    } else {
      const std::size_t size = line[0] == '\\' ? 2 : 1;
      result += line.substr(0, size);
      line.remove_prefix(std::min(size, line.size()));
    }
  }
  return result;
}

class Reader {
 public:
  std::vector<Case> read(const std::string& name) {
    const auto path = golden / name;
    std::ifstream file{path};
    if (!file) throw std::runtime_error("cannot read " + path.string());
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
      try {
        take(line, name + ':' + std::to_string(number));
      } catch (const std::exception& error) {
        throw std::runtime_error(name + ':' + std::to_string(number) + ": " + error.what());
      }
    }
    return std::move(cases_);
  }

 private:
  void take(std::string line, const std::string& where) {
    line.erase(line.find_last_not_of(" \r") + 1);
    if (line.empty() || line[0] == '#') return;
    if (line.starts_with("== ")) {
      cases_.emplace_back();
      cases_.back().title = line.substr(3);
      cases_.back().where = where;
      return;
    }
    if (cases_.empty()) throw std::runtime_error("a case begins with == and its title");
    Case& it = cases_.back();
    if (line.starts_with("server") || line.starts_with("client")) return set_up(it, line);
    if (line == "---") return it.steps.emplace_back(), void();
    if (line.starts_with("! ")) {
      if (it.steps.empty() || !it.steps.back().input.empty() || !it.steps.back().expected.empty())
        it.steps.emplace_back();
      it.steps.back().actions.push_back(line.substr(2));
    } else if (line.starts_with("<")) {
      if (it.steps.empty() || it.steps.back().end_of_input || !it.steps.back().expected.empty())
        it.steps.emplace_back();
      take_input(it, line);
    } else {
      if (it.steps.empty()) it.steps.emplace_back();
      it.steps.back().expected.push_back(normalised(line));
    }
  }

  static void take_input(Case& it, std::string_view line) {
    std::string& input = it.steps.back().input;
    if (line.starts_with("<|")) {
      line.remove_prefix(std::min<std::size_t>(line.size(), line.starts_with("<| ") ? 3 : 2));
      std::string text = test::unescaped(line);
      replace(text, "{accept}", accept_mark);
      input.append(text).append("\r\n");
    } else if (line == "< eof") {
      it.steps.back().end_of_input = true;
    } else if (line.starts_with("< raw ")) {
      line.remove_prefix(6);
      std::string bytes = line.starts_with('"') ? unquoted(line) : hex(line);
      replace(bytes, "{answer}", answer_mark);
      replace(bytes, "{wrong answer}", wrong_answer_mark);
      input += bytes;
    } else {
      input += frame(it.role, line.substr(1));
    }
    it.ends.insert(it.input_size());
  }

  std::vector<Case> cases_;
};

// -- Running --------------------------------------------------------------------------------------

class Run {
 public:
  explicit Run(const Case& it)
      : case_(it), self_(it.role, it.limits, it.drafts), output_(it.role, it.open) {
    self_.session.stream_messages(it.streaming);
    if (it.open) self_.open();
    self_.on_event = [this](test::Harness& self, const Event& event) {
      if (event.request() != nullptr && case_.accepting) report(self.session.accept());
      if (event.message() != nullptr && case_.echo) report(self.session.send(*event.message()));
    };
  }

  // Splits the input before byte `split` of it all, and after `most` bytes at the latest.
  std::string log(std::size_t split, std::size_t most) {
    std::size_t done = 0;
    test::Lines lines;
    for (std::size_t i = 0; i < case_.steps.size(); ++i) {
      const Step& step = case_.steps[i];
      for (const auto& action : step.actions) act(action);
      if (!step.actions.empty()) self_.drain();
      const std::string filled = filled_in(step.input);
      for (std::string_view input = filled; !input.empty();) {
        std::size_t size = std::min(input.size(), most);
        if (done < split && split < done + size) size = split - done;
        self_.feed(input.substr(0, size));
        input.remove_prefix(size);
        done += size;
      }
      if (step.end_of_input) self_.end_of_input();
      if (i != 0) lines.emplace_back("---");
      finish_step(lines);
    }
    return test::joined(lines);
  }

 private:
  // The input with what answers the client's random keys.
  std::string filled_in(std::string input) {
    replace(input, accept_mark, accept_for(output_.key()));
    std::string answer = answer_to_challenge();
    replace(input, answer_mark, answer);
    answer.back() ^= 1;
    replace(input, wrong_answer_mark, answer);
    return input;
  }
  std::string answer_to_challenge() const {
    std::string challenge;
    for (const auto& key : {output_.key1(), output_.key2()})
      challenge += test::big_endian(hixie_number(key).value_or(0), 4);
    return std::string{as_text(md5(as_bytes(challenge + output_.key3())))};
  }

  void finish_step(test::Lines& lines) {
    for (auto& line : self_.log.take()) lines.push_back(std::move(line));
    for (auto& line : output_.read(std::exchange(self_.written, {})))
      lines.push_back(std::move(line));
    if (self_.session.finished()) {
      if (!std::exchange(finished_, true)) lines.emplace_back("finished");
    } else if (self_.session.wants_shutdown() && !std::exchange(shut_down_, true)) {
      lines.emplace_back("wants_shutdown");
    }
  }

  void report(const Error& error) {
    if (error) self_.log.add("-> " + test::describe(error));
  }
  void report(errc error) {
    if (error != errc::ok) self_.log.add("-> " + test::name_of(error));
  }

  void act(std::string_view line) {
    Session& session = self_.session;
    const std::string verb = take_word(line);
    test::Lines words;
    std::string host = "server.example.com";
    std::string target = "/";
    ProtocolVersion version = ProtocolVersion::rfc6455;
    std::vector<std::string> subprotocols;
    std::vector<std::pair<std::string, std::string>> pairs;
    for (std::string word = take_word(line); !word.empty(); word = take_word(line)) {
      std::string value;
      if (is_option(word, "subprotocol", value)) {
        subprotocols.push_back(value);
      } else if (is_option(word, "host", value)) {
        host = unquoted(value);
      } else if (is_option(word, "target", value)) {
        target = unquoted(value);
      } else if (is_option(word, "version", value)) {
        version = static_cast<ProtocolVersion>(number(value));
      } else if (is_option(word, "header", value)) {
        const std::string text = unquoted(value);
        const auto colon = text.find(": ");
        pairs.emplace_back(text.substr(0, colon), text.substr(colon + 2));
      } else {
        words.push_back(word.starts_with('"') ? unquoted(word) : word);
      }
    }
    std::vector<Header> headers;
    for (const auto& [name, value] : pairs) headers.push_back({name, value});
    const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string{}; };
    const auto message = [&] {
      return Message{word(0) == "text" ? MessageType::text : MessageType::binary,
                     as_bytes(words.at(1))};
    };

    if (verb == "accept") {
      const std::string subprotocol = subprotocols.empty() ? "" : subprotocols[0];
      report(session.accept({.subprotocol = subprotocol, .headers = headers}));
    } else if (verb == "respond") {
      const std::string body = word(1);
      report(session.respond(
          {.status = static_cast<int>(number(word(0))), .body = body, .headers = headers}));
    } else if (verb == "request") {
      report(session.request({.host = host,
                              .target = target,
                              .subprotocols = {subprotocols.begin(), subprotocols.end()},
                              .headers = headers,
                              .version = version}));
    } else if (verb == "send") {
      report(session.send(message()));
    } else if (verb == "piece") {
      report(session.send_piece(message(), word(2) == "last"));
    } else if (verb == "ping") {
      report(session.ping(as_bytes(words.at(0))));
    } else if (verb == "pong") {
      report(session.pong(as_bytes(words.at(0))));
    } else if (verb == "close") {
      report(
          session.close(static_cast<CloseCode>(words.empty() ? 1000 : number(word(0))), word(1)));
    } else if (verb == "lost") {
      session.lost(std::make_error_code(std::errc::connection_reset));
    } else {
      throw std::runtime_error("unknown action: " + verb);
    }
  }

  const Case& case_;
  test::Harness self_;
  test::OutputLog output_;
  bool shut_down_ = false;
  bool finished_ = false;
};

constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

// Every byte. Input that is too long for that: where something begins or ends, and here and there.
std::vector<std::size_t> places_to_split(const Case& it) {
  std::vector<std::size_t> places;
  const std::size_t size = it.input_size();
  for (std::size_t place = 1; place < size; ++place) {
    const auto next_end = it.ends.lower_bound(place);
    const bool near_next = next_end != it.ends.end() && *next_end - place < 24;
    const bool near_last =
        next_end == it.ends.begin() ? place < 24 : place - *std::prev(next_end) < 24;
    if (size <= 4096 || near_next || near_last || place % 997 == 0) places.push_back(place);
  }
  return places;
}

void check(const Case& it) {
  test::Lines lines;
  for (std::size_t i = 0; i < it.steps.size(); ++i) {
    if (i != 0) lines.emplace_back("---");
    for (const auto& line : it.steps[i].expected) lines.push_back(line);
  }
  const std::string expected = test::joined(lines);
  const auto is_expected = [&](const std::string& log, const std::string& how) {
    const bool equal = log == expected;
    CHECK_MESSAGE(equal, it.where, ": ", it.title, "\nfed ", how, ", expected:\n", expected,
                  "\nbut it gave:\n", log);
    return equal;
  };

  REQUIRE_MESSAGE(!it.steps.empty(), it.where, ": ", it.title, ": nothing happens");
  if (!is_expected(Run{it}.log(nowhere, nowhere), "whole")) return;
  if (it.input_size() < 100'000 && !is_expected(Run{it}.log(nowhere, 1), "byte by byte")) return;
  for (const std::size_t place : places_to_split(it))
    if (!is_expected(Run{it}.log(place, nowhere), "split before byte " + std::to_string(place)))
      return;
}

}  // namespace

TEST_CASE("golden logs") {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{golden})
    if (entry.path().extension() == ".log") names.insert(entry.path().filename().string());
  REQUIRE_FALSE(names.empty());
  for (const auto& name : names) {
    SUBCASE(name.c_str()) {
      const auto cases = Reader{}.read(name);
      CHECK_MESSAGE(!cases.empty(), name, " holds no case");
      for (const auto& each : cases) check(each);
    }
  }
}

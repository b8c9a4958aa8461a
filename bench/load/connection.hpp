// One connection to the server: it opens, plays the tape as far as it is told, holds what comes
// back against it, and closes. Whatever is not as it must be ends the program.
//
// It is non-blocking. What the socket does not take at once goes when it is writable again, and
// meanwhile it reads on, so that large messages cannot block both sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "clock.hpp"
#include "echo_check.hpp"
#include "options.hpp"
#include "tape.hpp"

namespace load {

// What the connections of a run have in common.
struct Shared {
  explicit Shared(const Options& options);
  ~Shared();
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  const Options& options;
  const Tape tape;
  const std::string request;
  const int epoll;
  std::string buffer;  // of what is read; nothing stays in it
};

class Connection {
 public:
  enum class State { connecting, handshake, open, closing, closed };

  // Starts to connect. Its first message is the first of that batch of the tape. `receive_buffer`
  // is the socket's, in bytes; 0 leaves it to the system.
  Connection(Shared& shared, unsigned number, std::size_t batch, int receive_buffer = 0);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // What epoll says. Returns how many echoes have come.
  std::size_t ready(std::uint32_t events);

  // Sends so many messages more, with one call if the socket takes them.
  void send(std::uint64_t messages);
  // So many will come that others have sent.
  void expect(std::uint64_t messages) { check_.expect(messages); }
  // Sends no message that has not begun to leave.
  void stop_sending();
  // Closes as the protocol has it; all echoes must be back. Ends in State::closed.
  void close();

  // For a slow reader: it reads only when told, and may be disconnected for being slow.
  void read_only_when_told() { reads_only_when_told_ = true; }
  std::size_t read(std::size_t most_bytes);

  State state() const { return state_; }
  unsigned number() const { return number_; }
  bool is_sending() const { return left_to_send_ > 0; }
  std::size_t left_to_send() const { return left_to_send_; }
  std::uint64_t outstanding() const { return check_.outstanding(); }
  const EchoCheck& check() const { return check_; }
  bool is_waiting() const { return state_ != State::open || outstanding() > 0; }
  // Which one it is and what it waits for, in words.
  std::string describe() const;

  // When what it waits for was sent; kept by who measures.
  Time sent_at = 0;

 private:
  std::string waits_for() const;
  void connect();
  void connected();
  void flush();
  void watch();
  bool receive(std::size_t most_bytes, std::size_t& messages, bool to_the_end);
  std::size_t take(std::string_view bytes);
  void take_answer(std::string_view& bytes);
  void take_close_frame(std::string_view bytes);
  void lose(const std::string& how);
  void end();
  [[noreturn]] void fail_because(const std::string& what) const;

  Shared& shared_;
  unsigned number_;
  int socket_;
  State state_ = State::connecting;
  bool reads_only_when_told_ = false;
  bool close_frame_came_ = false;

  std::size_t next_byte_;  // on the tape
  std::size_t left_to_send_ = 0;
  EchoCheck check_;
  std::string head_;  // what has come of the answer, later of the Close frame
};

}  // namespace load

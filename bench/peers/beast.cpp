// Boost.Beast, after its example "WebSocket server, asynchronous": a session is kept alive by the
// operation that it waits for, and what it has read is what it writes. With --fanout after its
// example "chat server": one copy of a message, and a queue of them for each session.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "../program.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;
// Of the executor's own type: nothing is called through a polymorphic one.
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(Socket socket) : ws_{std::move(socket)} {}
  virtual ~Session() = default;

  void start() {
    ws_.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    ws_.read_message_max(bench::message_limit);
    ws_.auto_fragment(false);  // what came as one message is sent in one frame
    ws_.async_accept(beast::bind_front_handler(&Session::on_accept, shared_from_this()));
  }

 protected:
  virtual void opened() {}
  virtual void received() = 0;

  void read() {
    ws_.async_read(buffer_, beast::bind_front_handler(&Session::on_read, shared_from_this()));
  }

  websocket::stream<Socket, false> ws_;  // false: without compression
  beast::flat_buffer buffer_;

 private:
  void on_accept(error_code error) {
    if (error) return;
    opened();
    read();
  }

  void on_read(error_code error, std::size_t) {
    if (!error) received();
  }
};

class Echo final : public Session {
  using Session::Session;

  void received() override {
    ws_.text(ws_.got_text());
    ws_.async_write(buffer_.data(),
                    [this, self = shared_from_this()](error_code error, std::size_t written) {
                      if (error) return;
                      buffer_.consume(written);
                      read();
                    });
  }
};

class Member final : public Session {
 public:
  using Session::Session;
  ~Member() override { all.erase(this); }

 private:
  struct Message {
    std::string payload;
    bool is_text;
  };
  using Shared = std::shared_ptr<const Message>;

  void opened() override { all.insert(this); }

  void received() override {
    const Shared message = std::make_shared<const Message>(
        Message{beast::buffers_to_string(buffer_.data()), ws_.got_text()});
    buffer_.consume(buffer_.size());
    for (Member* member : all) member->send(message);
    read();
  }

  void send(const Shared& message) {
    queue_.push_back(message);
    if (queue_.size() == 1) write();
  }

  void write() {
    ws_.text(queue_.front()->is_text);
    ws_.async_write(asio::buffer(queue_.front()->payload),
                    [this, self = shared_from_this()](error_code error, std::size_t) {
                      if (error) return;
                      queue_.erase(queue_.begin());
                      if (!queue_.empty()) write();
                    });
  }

  static inline std::unordered_set<Member*> all;
  std::vector<Shared> queue_;
};

template <typename Kind>
void accept(Acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, Socket socket) {
    if (error) bench::fail("cannot accept: " + error.message());
    socket.set_option(tcp::no_delay{true});
    std::make_shared<Kind>(std::move(socket))->start();
    accept<Kind>(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::read_options(argc, argv);
  try {
    asio::io_context context{1};  // one thread
    Acceptor acceptor{context, tcp::endpoint{asio::ip::address_v4::loopback(), options.port}};
    acceptor.listen(asio::socket_base::max_listen_connections);
    bench::announce(acceptor.local_endpoint().port());
    options.fanout ? accept<Member>(acceptor) : accept<Echo>(acceptor);
    context.run();
  } catch (const std::exception& error) {
    bench::fail(error.what());
  }
}

// WebSocket++, after its example echo_server, with what its manual offers a server of one thread
// that logs nothing: no locks, and no channels of the log. With --fanout after its example
// broadcast_server.
#include <set>
#include <websocketpp/concurrency/none.hpp>
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/server.hpp>

#include "../program.hpp"

namespace {

struct Config : websocketpp::config::asio {
  using type = Config;
  using concurrency_type = websocketpp::concurrency::none;
  using elog_type = websocketpp::log::basic<concurrency_type, websocketpp::log::elevel>;
  using alog_type = websocketpp::log::basic<concurrency_type, websocketpp::log::alevel>;
  static constexpr websocketpp::log::level elog_level = websocketpp::log::elevel::none;
  static constexpr websocketpp::log::level alog_level = websocketpp::log::alevel::none;
  static constexpr std::size_t max_message_size = bench::message_limit;

  struct transport_config : websocketpp::config::asio::transport_config {
    using concurrency_type = type::concurrency_type;
    using elog_type = type::elog_type;
    using alog_type = type::alog_type;
    static constexpr bool enable_multithreading = false;
  };
  using transport_type = websocketpp::transport::asio::endpoint<transport_config>;
};

using Server = websocketpp::server<Config>;
using Handle = websocketpp::connection_hdl;

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::read_options(argc, argv);
  try {
    Server server;
    std::set<Handle, std::owner_less<Handle>> all;
    server.init_asio();
    server.set_reuse_addr(true);
    server.set_listen_backlog(websocketpp::lib::asio::socket_base::max_listen_connections);
    server.set_tcp_post_init_handler([&server](Handle peer) {
      const auto nodelay = websocketpp::lib::asio::ip::tcp::no_delay{true};
      server.get_con_from_hdl(peer)->get_raw_socket().set_option(nodelay);
    });
    if (options.fanout) {
      server.set_open_handler([&](Handle peer) { all.insert(peer); });
      server.set_close_handler([&](Handle peer) { all.erase(peer); });
      server.set_message_handler([&](Handle, const Server::message_ptr& message) {
        websocketpp::lib::error_code ignored;  // of one that is closing
        for (const Handle& peer : all)
          server.send(peer, message->get_payload(), message->get_opcode(), ignored);
      });
    } else {
      server.set_message_handler([&](Handle peer, const Server::message_ptr& message) {
        websocketpp::lib::error_code ignored;
        server.send(peer, message, ignored);
      });
    }
    server.listen(websocketpp::lib::asio::ip::tcp::endpoint{
        websocketpp::lib::asio::ip::address_v4::loopback(), options.port});
    server.start_accept();
    websocketpp::lib::asio::error_code error;
    bench::announce(server.get_local_endpoint(error).port());
    server.run();
  } catch (const std::exception& error) {
    bench::fail(error.what());
  }
}

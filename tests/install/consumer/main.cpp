// Uses each library once, and headers of both: a session of the core, a task on the loop.
#include <timtow/poll.hpp>
#include <timtow/session.hpp>

#ifdef WITH_DEFLATE
#include <timtow/deflate.hpp>
#endif

int main() {
  timtow::Pool pool;
  timtow::SessionOptions options;
#ifdef WITH_DEFLATE
  const timtow::Deflate deflate;
  options.compression = &deflate;
#endif
  timtow::Session session{timtow::Role::server, pool, options};
  session.end_of_input();
  while (session.next()) {
  }

  timtow::poll::Loop loop;
  bool ran = false;
  loop.post([&] {
    ran = true;
    loop.stop();
  });
  loop.run();
  return ran && session.finished() ? 0 : 1;
}

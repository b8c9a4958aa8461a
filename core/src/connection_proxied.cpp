#include "connection_proxied.hpp"

#include <new>
#include <span>
#include <utility>

namespace timtow {

void Proxied::opened(Transport& below) noexcept {
  const Loop::Batch batch{loop_};
  below_ = &below;
  std::error_code error;
  try {
    is_trusted_ = trusted_.contains(below.peer());
  } catch (const std::bad_alloc&) {
    error = errc::no_memory;
  }
  if (survives([&] { above_.opened(*this); }) && error) failed(error);
}

void Proxied::take(MutableBytes bytes) noexcept {
  using Result = ProxyHeader::Result;
  std::error_code error;
  try {
    const std::size_t before = begun_.size();
    ProxyHeader header;
    if (before != 0) begun_ += as_text(bytes);
    const Result result = ProxyHeader::parse(before != 0 ? as_bytes(begun_) : bytes, header);
    if (result == Result::incomplete) {
      if (before == 0) begun_ = as_text(bytes);
      return;
    }
    if (result == Result::complete && is_trusted_) {
      done_ = true;
      client_ = std::move(header.client);
      begun_ = {};
      const MutableBytes rest = bytes.subspan(header.size - before);
      if (survives([&] { connection_.meet(); }) && !rest.empty()) above_.received(rest);
      return;
    }
    if (result == Result::none && !is_trusted_) {
      done_ = true;
      std::string all = std::move(begun_);  // `bytes` are its end, if there was a beginning
      return above_.received(before == 0 ? bytes : std::as_writable_bytes(std::span{all}));
    }
    error = !is_trusted_             ? errc::proxy_header_untrusted
            : result == Result::none ? errc::proxy_header_missing
                                     : errc::bad_proxy_header;
  } catch (const std::bad_alloc&) {
    error = errc::no_memory;
  }
  failed(error);
}

}  // namespace timtow

#include "connection_tunnel.hpp"

namespace timtow {

void Tunnel::opened(Transport& below) noexcept {
  const Loop::Batch batch{loop_};
  below_ = &below;
  if (survives([&] { above_.opened(*this); })) ask();
}

// Sends what is left of the request. Its last act, for it may fail.
void Tunnel::ask() noexcept {
  Gather rest;
  rest.add(as_bytes(request_).subspan(sent_));
  std::error_code error;
  sent_ += below_->write(rest, error);
  if (error) return failed(error);
  if (sent_ == request_.size()) return;
  Gather left;
  left.add(as_bytes(request_).subspan(sent_));
  below_->write_later(left);
}

void Tunnel::written(std::size_t taken) noexcept {
  if (stands_) return above_.written(taken);
  sent_ += taken;
  if (sent_ < request_.size()) ask();
}

void Tunnel::write_later(const Gather& rest) noexcept {
  if (stands_) return below_->write_later(rest);
  output_waits_ = true;
}

void Tunnel::received(MutableBytes bytes) noexcept {
  if (stands_) return above_.received(bytes);
  const Loop::Batch batch{loop_};
  std::size_t used = 0;
  std::error_code error;
  stands_ = answer_.take(bytes, used, error);
  // Before we have asked, whatever is said is no answer.
  if (!error && stands_ && sent_ < request_.size()) error = errc::bad_proxy_answer;
  if (error) return failed(error);
  if (!stands_) return;
  request_ = {};
  answer_ = {};
  const MutableBytes rest = bytes.subspan(used);
  if (!rest.empty() && !survives([&] { above_.received(rest); })) return;
  if (output_waits_) above_.written(0);
}

void Tunnel::ended() noexcept {
  stands_ ? above_.ended() : failed(make_error_code(errc::bad_proxy_answer));
}

}  // namespace timtow

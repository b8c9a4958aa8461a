// The opening handshake of RFC 6455, section 4, from the client's side.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace load {

std::string handshake_request(std::uint16_t port);

// What is wrong with the head of an answer, its empty line included; empty if nothing is.
std::string fault_of_answer(std::string_view head);

}  // namespace load

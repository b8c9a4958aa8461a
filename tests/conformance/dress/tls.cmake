# Over TLS.
set(link timtow::tls OpenSSL::SSL)
set(include "${TIMTOW_TESTS_DIR}/tls")
set(without_files
  "*seam_test.cpp"  # about a Transport and a Listener as they are
  "*loop_test.cpp")  # about timers and posts, with no connection
set(without_cases
  "connect:*"  # about Loop::connect(), as it is
  "*resolve:*"  # about Loop::resolve()
  # Over TLS they are told nothing: tests/core has it. And the PROXY header stands before the TLS.
  "caps: who is turned away is told so*"
  "caps: an address that a PROXY header names*"
  # Its peer has to act while memory fails, and is not in another process: tests/tls has it.
  "memory that runs out while a peer is accepted*"
  "memory that runs out while the alarm*")  # no connection

# Messages compressed, both ways.
set(link timtow::deflate ZLIB::ZLIB)
set(without_files
  "*seam_test.cpp"  # about a Transport and a Listener as they are
  "*loop_test.cpp")  # about timers and posts, with no connection
set(without_cases
  "connect:*"  # about Loop::connect(), as it is
  "*resolve:*")  # about Loop::resolve()

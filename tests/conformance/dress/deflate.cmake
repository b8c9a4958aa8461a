# Messages compressed, both ways.
set(link timtow::deflate ZLIB::ZLIB)
set(without_files
  "*seam_test.cpp"  # about a Transport and a Listener as they are
  "*loop_test.cpp")  # about timers and posts, with no connection
set(without_cases
  # They need more output than sockets hold, and what they send is one byte over and over.
  "every act is safe inside every call"
  "a server with much to write can be destroyed*"
  "a peer that vanished is closed after idle_time also while output waits for it"
  "a peer that ends its side*"
  "a peer that does not read stops the reading from it*"
  # Of a frame that a peer has begun, the server sees nothing before the peer can compress it.
  "a peer may break off at any stage*"
  "connect:*"  # about Loop::connect(), as it is
  "*resolve:*")  # about Loop::resolve()

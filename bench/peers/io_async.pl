#!/usr/bin/perl
# IO::Async on its loop for this system, with Protocol::WebSocket: io_async.pl --port PORT
use v5.36;

use FindBin;
use Getopt::Long;
use IO::Async::Listener;
use IO::Async::Loop;
use IO::Async::Stream;
use Socket qw(IPPROTO_TCP SOMAXCONN TCP_NODELAY);
use lib $FindBin::Bin;
use WebSocketEcho;

GetOptions('port=i' => \(my $port = 0), quiet => \my $quiet) or exit 2;

my $loop = IO::Async::Loop->new;

sub on_connection ($listener, $stream) {
  my $echo = WebSocketEcho->new;
  setsockopt $stream->write_handle, IPPROTO_TCP, TCP_NODELAY, 1;
  $stream->configure(
    read_len  => 64 * 1024,
    write_len => 64 * 1024,
    autoflush => 1,    # written at once, and only the rest when there is room
    on_read   => sub ($stream, $buffer, $is_end) {
      $stream->write($echo->receive($$buffer));
      $$buffer = '';
      $stream->close_when_empty if $echo->is_over;
      return 0;
    },
    on_read_error  => sub ($stream, @) { $stream->close_now },
    on_write_error => sub ($stream, @) { $stream->close_now },
  );
  $loop->add($stream);
}

my $listener = IO::Async::Listener->new(
  handle_class => 'IO::Async::Stream',
  on_accept    => \&on_connection,
);
$loop->add($listener);
$listener->listen(
  addr      => {family => 'inet', socktype => 'stream', ip => '127.0.0.1', port => $port},
  queuesize => SOMAXCONN,
)->get;
$| = 1;
say 'io_async listening on http://127.0.0.1:', $listener->read_handle->sockport, '/';
$loop->run;

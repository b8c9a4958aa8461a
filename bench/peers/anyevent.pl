#!/usr/bin/perl
# AnyEvent on EV, with Protocol::WebSocket: anyevent.pl --port PORT
use v5.36;

use EV;
use AnyEvent::Handle;
use AnyEvent::Socket;
use FindBin;
use Getopt::Long;
use Socket qw(SOMAXCONN);
use lib $FindBin::Bin;
use WebSocketEcho;

GetOptions('port=i' => \(my $port = 0), quiet => \my $quiet) or exit 2;

my %handles;    # what keeps them alive

sub on_connection ($socket, @) {
  my $echo = WebSocketEcho->new;
  my $end = sub ($handle, @) { delete $handles{$handle}; $handle->destroy };
  my $handle = AnyEvent::Handle->new(
    fh       => $socket,
    no_delay => 1,
    on_error => $end,
    on_eof   => $end,
    on_read  => sub ($handle) {
      $handle->push_write($echo->receive(delete $handle->{rbuf}));
      $handle->push_shutdown if $echo->is_over;
    },
  );
  $handles{$handle} = $handle;
}

tcp_server '127.0.0.1', $port, \&on_connection, sub ($socket, $host, $its_port) {
  $port = $its_port;
  return SOMAXCONN;
};
$| = 1;
say "anyevent listening on http://127.0.0.1:$port/";
EV::run;

#!/usr/bin/perl
# POE on poll(), with Protocol::WebSocket: poe.pl --port PORT
use v5.36;

use FindBin;
use Getopt::Long;
use Socket qw(IPPROTO_TCP SOMAXCONN TCP_NODELAY unpack_sockaddr_in);
use lib $FindBin::Bin;
use WebSocketEcho;

use POE qw(Loop::IO_Poll Driver::SysRW Filter::Stream Wheel::ReadWrite Wheel::SocketFactory);

GetOptions('port=i' => \(my $port = 0), quiet => \my $quiet) or exit 2;

my $listener;
my (%wheels, %echoes);    # by the wheel's id

sub on_start {
  $listener = POE::Wheel::SocketFactory->new(
    BindAddress  => '127.0.0.1',
    BindPort     => $port,
    Reuse        => 1,
    ListenQueue  => SOMAXCONN,
    SuccessEvent => 'on_connection',
    FailureEvent => 'on_failure',
  );
  my ($its_port) = unpack_sockaddr_in $listener->getsockname;
  $| = 1;
  say "poe listening on http://127.0.0.1:$its_port/";
}

sub on_connection {
  my $socket = $_[ARG0];
  setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
  my $wheel = POE::Wheel::ReadWrite->new(
    Handle       => $socket,
    Driver       => POE::Driver::SysRW->new(BlockSize => 64 * 1024),
    Filter       => POE::Filter::Stream->new,
    InputEvent   => 'on_input',
    FlushedEvent => 'on_flushed',
    ErrorEvent   => 'on_error',
  );
  $wheels{$wheel->ID} = $wheel;
  $echoes{$wheel->ID} = WebSocketEcho->new;
}

sub on_input {
  my ($bytes, $id) = @_[ARG0, ARG1];
  my $output = $echoes{$id}->receive($bytes);
  $wheels{$id}->put($output) if length $output;
}

sub on_flushed {
  my $id = $_[ARG0];
  $wheels{$id}->shutdown_output if $echoes{$id}->is_over;
}

sub on_error {    # of reading, the end as well
  my $id = $_[ARG3];
  delete $wheels{$id};
  delete $echoes{$id};
}

sub on_failure {
  my ($operation, $error) = @_[ARG0, ARG2];
  die "poe: $operation: $error\n";
}

POE::Session->create(
  package_states => [main => [qw(on_start on_connection on_input on_flushed on_error on_failure)]],
  inline_states  => {_start => \&on_start},
);
POE::Kernel->run;

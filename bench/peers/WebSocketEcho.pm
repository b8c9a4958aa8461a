# An echoing WebSocket connection without a loop, on Protocol::WebSocket: what was read goes in,
# what is to be written comes out. The three servers that use it differ in their loops only.
#
# A text goes back as the bytes that came: Protocol::WebSocket would not say which are not UTF-8.
package WebSocketEcho;
use v5.36;

use Protocol::WebSocket::Frame;
use Protocol::WebSocket::Handshake::Server;

use constant {TEXT => 1, BINARY => 2, CLOSE => 8, PING => 9, PONG => 10};
use constant HEAD_LIMIT => 16 * 1024;

my %limits = (max_payload_size => 16 * 1024 * 1024, max_fragments_amount => 128 * 1024);

sub new ($class) {
  return bless {
    head    => '',    # of the handshake, until it is whole
    frames  => Protocol::WebSocket::Frame->new(%limits),
    is_over => 0,
  }, $class;
}

# Whether the stream is to be ended, once the output is written.
sub is_over ($self) { return $self->{is_over} }

# Takes what was read, and returns what to write.
sub receive ($self, $bytes) {
  return $self->_open($bytes) if defined $self->{head};
  my $output = '';
  my $frames = $self->{frames}->append($bytes);
  my $is_right = eval {
    while (!$self->is_over && defined(my $payload = $frames->next_bytes)) {
      $output .= $self->_answer($frames->opcode, $payload);
    }
    1;
  };
  $output .= $self->_close(pack 'n', 1009) unless $is_right;    # it dies of its limits
  return $output;
}

# No more than the head is for the handshake: what is behind it would be a mistake there.
sub _open ($self, $bytes) {
  $self->{head} .= $bytes;
  my $end = index($self->{head}, "\r\n\r\n") + 4;
  return '' if $end < 4 && length $self->{head} <= HEAD_LIMIT;
  my $rest = substr $self->{head}, $end, length $self->{head}, '';
  my $handshake = Protocol::WebSocket::Handshake::Server->new;
  return $handshake->to_string . $self->receive($rest)
    if $handshake->parse(delete $self->{head}) && $handshake->is_done;
  $self->{is_over} = 1;
  return "HTTP/1.1 400 Bad Request\r\n\r\n";
}

sub _answer ($self, $opcode, $payload) {
  return _frame($opcode, $payload) if $opcode == TEXT || $opcode == BINARY;
  return _frame(PONG, $payload) if $opcode == PING;
  return '' if $opcode == PONG;
  return $self->_close($payload);
}

sub _close ($self, $payload) {
  $self->{is_over} = 1;
  return _frame(CLOSE, $payload);
}

sub _frame ($opcode, $payload) {
  return Protocol::WebSocket::Frame->new(%limits, opcode => $opcode, buffer => $payload)->to_bytes;
}

1;

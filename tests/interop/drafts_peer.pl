#!/usr/bin/perl
# Perl's Protocol::WebSocket as the peer of a program that speaks drafts:
#
#   drafts_peer.pl client VERSION PORT   opens, sends each line of standard input when the one before
#                                        came back, prints what comes back, and closes
#   drafts_peer.pl server VERSION        prints its port, and sends back what one client sends
#
# VERSION is the module's name of a draft, as draft-ietf-hybi-00. It ends with 0 when the peer closed
# as the draft has it. What the module does not do is done here: a server's answer to the client's
# key is compared, and frames are only taken from behind the handshake.
use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use IO::Socket::INET;
use Protocol::WebSocket::Handshake::Client;
use Protocol::WebSocket::Handshake::Server;

$SIG{ALRM} = sub { die "the peer is silent\n" };
alarm 60;
binmode $_ for *STDIN, *STDOUT;

my ($role, $version, $port) = @ARGV;
my $is_hixie = $version =~ /hixie|-00$/;
my $socket;

sub read_more {
    my $read = sysread $socket, my $bytes, 65536;
    die "reading: $!\n" unless defined $read;
    return $read ? $bytes : undef;
}

sub write_all {
    my ($bytes) = @_;
    while (length $bytes) {
        my $written = syswrite $socket, $bytes;
        die "writing: $!\n" unless defined $written;
        substr $bytes, 0, $written, '';
    }
}

# The handshake; what came behind it.
sub open_by {
    my ($handshake) = @_;
    my $input = '';
    until ($handshake->is_done) {
        my $bytes = read_more() // die "the stream ended inside the handshake\n";
        $handshake->parse($bytes) or die 'the handshake: ' . $handshake->error . "\n";
        $input = $bytes;
    }
    return $input;
}

sub closing { $_[0]->new(type => 'close', version => $version, masked => $role eq 'client') }

if ($role eq 'client') {
    $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connecting: $!\n";
    my $handshake =
      Protocol::WebSocket::Handshake::Client->new(url => "ws://127.0.0.1:$port/chat?room=1", version => $version);
    my $request = $handshake->to_string;
    write_all($request);
    my $frame = $handshake->build_frame;
    my $input = open_by($handshake);
    if (!$is_hixie) {
        my ($key) = $request =~ /^Sec-WebSocket-Key: (\S+)/m;
        die "the answer to the key is wrong\n"
          if $handshake->res->field('Sec-WebSocket-Accept') ne
          sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
    }
    $frame->append($input);
    while (my $line = <STDIN>) {
        chomp $line;
        write_all($handshake->build_frame(buffer => $line)->to_bytes);
        my $message;
        until (defined($message = $frame->next_bytes)) {
            $frame->append(read_more() // die "the stream ended\n");
        }
        print "$message\n";
    }
    if ($version eq 'draft-hixie-75') {
        shutdown $socket, 1;
    } else {
        write_all($handshake->build_frame(type => 'close')->to_bytes);
        until (defined $frame->next_bytes && $frame->is_close) {
            $frame->append(read_more() // die "the stream ended without a close frame\n");
        }
    }
    die "something came behind the end\n" if defined read_more();
} else {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listening: $!\n";
    $| = 1;
    print $listener->sockport, "\n";
    $socket = $listener->accept or die "accepting: $!\n";
    my $handshake = Protocol::WebSocket::Handshake::Server->new;
    my $input = open_by($handshake);
    die 'the client asks for ' . $handshake->version . "\n" if $handshake->version ne $version;
    write_all($handshake->to_string);
    my $frame = $handshake->build_frame;
    $frame->append($input);
    while (1) {
        while (defined(my $message = $frame->next_bytes)) {
            if ($frame->is_close) {
                write_all($handshake->build_frame(type => 'close')->to_bytes);
                shutdown $socket, 1;
                die "something came behind the close frame\n" if defined read_more();
                exit 0;
            }
            write_all($handshake->build_frame(buffer => $message)->to_bytes);
        }
        my $bytes = read_more();
        last unless defined $bytes;
        $frame->append($bytes);
    }
    die "the stream ended without a close frame\n" if $version ne 'draft-hixie-75';
}

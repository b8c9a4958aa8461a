#!/usr/bin/perl
# Mojolicious::Lite, which runs on EV where that is there: mojolicious.pl --port PORT
use Mojolicious::Lite -signatures;

use Getopt::Long;
use Mojo::IOLoop;
use Mojo::Server::Daemon;

GetOptions('port=i' => \(my $port = 0), quiet => \my $quiet) or exit 2;

# The messages as bytes: neither decoded nor encoded.
websocket '/' => sub ($c) {
  $c->tx->max_websocket_size(16 * 1024 * 1024);
  $c->on(text   => sub ($c, $bytes) { $c->send({text   => $bytes}) });
  $c->on(binary => sub ($c, $bytes) { $c->send({binary => $bytes}) });
};

app->log->level('fatal');
my $daemon = Mojo::Server::Daemon->new(
  app                => app,
  listen             => ["http://127.0.0.1:$port"],
  silent             => 1,
  max_clients        => 100_000,
  inactivity_timeout => 0,
)->start;
$| = 1;
print 'mojolicious listening on http://127.0.0.1:', $daemon->ports->[0], "/\n";
Mojo::IOLoop->start;
